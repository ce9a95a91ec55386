"""Fields that are changed by their dotted names."""

from dataclasses import dataclass, fields

import pytest

from anomalyncd import PRESETS, Config, InputError
from anomalyncd.config.overrides import with_overrides
from anomalyncd_bench.baselines.anomaly_clustering import AnomalyClustering
from anomalyncd_bench.baselines.simgcd import SimGCD


def test_only_named_fields_change() -> None:
    before = PRESETS["paper"]
    after = with_overrides(
        before,
        {
            "encoder.guidance": "none",
            "encoder.n_guided": 3,
            "mebin.binarisation": "otsu",
            "training.correction": "none",
            "aggregation.rule": "score",
        },
    )
    assert (after.encoder.guidance, after.encoder.n_guided) == ("none", 3)
    assert after.encoder.readout == before.encoder.readout == -1
    assert (after.mebin.rules, after.mebin.binarisation) == ("paper", "otsu")
    assert (after.training.start, after.training.correction) == ("random", "none")
    assert after.aggregation.rule == "score"
    assert after.crops == before.crops
    assert before.encoder.guidance == "hard"
    assert with_overrides(before, {}) == before


def test_every_field_can_be_set_to_its_value() -> None:
    values = {
        f"{stage.name}.{field.name}": getattr(getattr(Config(), stage.name), field.name)
        for stage in fields(Config)
        for field in fields(getattr(Config(), stage.name))
    }
    assert len(values) > 60
    assert with_overrides(Config(), values) == Config()


def test_values_from_yaml_are_accepted() -> None:
    after = with_overrides(
        Config(), {"encoder.extra_cls": [], "encoder.guidance_factor": [1, 0.5, 0.1]}
    )
    assert after.encoder.extra_cls == ()
    assert after.encoder.guidance_factor == (1.0, 0.5, 0.1)
    rate = with_overrides(Config(), {"mebin.floor": None, "training.learning_rate": 1})
    assert type(rate.training.learning_rate) is float


def test_fields_of_one_stage_are_checked_together() -> None:
    both = {"detector.bank_size": 200_000, "detector.n_candidates": 300_000}
    assert with_overrides(Config(), both).detector.bank_size == 200_000
    with pytest.raises(InputError, match=r"detector.n_candidates=100000 .* use bank_size or more"):
        with_overrides(Config(), {"detector.bank_size": 200_000})


def test_stages_are_checked_together() -> None:
    both = {"detector.layers": [3, 4], "encoder.readout": 6}
    assert with_overrides(Config(), both).detector.layers == (3, 4)
    with pytest.raises(InputError, match=r"detector.layers=\(5, 8\) cannot be used"):
        with_overrides(Config(), {"encoder.readout": 6})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("encoder.guidence", r"did you mean encoder\.guidance"),
        ("n_guided", r"did you mean encoder\.n_guided\?"),
        ("rules", r"did you mean mebin\.rules or regions\.rules\?"),
        ("Training.epochs", r"did you mean training\.epochs"),
        ("encoder", r"encoder\."),
        ("xyz", "use STAGE.FIELD, with one of the stages detector, mebin"),
        ("training.epochs.x", r"did you mean training\.epochs"),
    ],
)
def test_unknown_names_are_refused_with_the_closest_ones(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"config field '{name}' is not known; .*{hint}"):
        with_overrides(Config(), {name: 1})


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("encoder.guidance", "firm", "one of hard, soft, learned, none"),
        ("training.start", None, "one of random, kmeans"),
        ("encoder.n_guided", "9", "a whole number"),
        ("encoder.n_guided", 3.5, "a whole number"),
        ("training.epochs", True, "a whole number"),
        ("training.contrast", 0, "True or False"),
        ("training.learning_rate", "0.1", "a number"),
        ("regions.max_per_image", 2.0, "a whole number, or None"),
        ("encoder.extra_cls", 8, "a list of whole numbers"),
        ("encoder.extra_cls", ["8"], "a list of whole numbers"),
        ("training.teacher_temperature", [0.1], "2 numbers"),
        ("encoder.n_guided", -1, "0 or more"),
    ],
)
def test_values_that_cannot_be_used_are_refused(name: str, value: object, remedy: str) -> None:
    with pytest.raises(InputError) as refused:
        with_overrides(Config(), {name: value})
    assert str(refused.value).startswith(f"{name}=")
    assert str(refused.value).endswith(f" cannot be used; use {remedy}")


def test_baselines_are_changed_in_the_same_way() -> None:
    assert with_overrides(SimGCD(), {"epochs": 3}) == SimGCD(3)
    changed = with_overrides(AnomalyClustering("others"), {"distances": "maps"})
    assert changed == AnomalyClustering("maps")
    with pytest.raises(InputError, match=r"'epoch' is not known; did you mean epochs\?"):
        with_overrides(SimGCD(), {"epoch": 3})
    with pytest.raises(InputError, match="'xyz' is not known; use epochs"):
        with_overrides(SimGCD(), {"xyz": 3})
    with pytest.raises(InputError, match=r"^epochs='3' cannot be used; use a whole number$"):
        with_overrides(SimGCD(), {"epochs": "3"})
    with pytest.raises(InputError, match=r"distances='x' .* use one of others, normals, maps"):
        with_overrides(AnomalyClustering("others"), {"distances": "x"})


def test_ordinary_dataclasses_may_be_empty_or_have_tuples() -> None:
    @dataclass(frozen=True)
    class Empty:
        pass

    @dataclass(frozen=True)
    class Blocks:
        blocks: tuple[int, ...] = (1,)

    assert with_overrides(Blocks(), {"blocks": [2, 3]}) == Blocks((2, 3))
    with pytest.raises(InputError, match="there are no fields to change"):
        with_overrides(Empty(), {"blocks": 1})

"""Settings changed by their dotted names."""

from dataclasses import fields

import pytest

from anomalyncd import (
    PRESETS,
    Config,
    InputError,
)
from anomalyncd.config.overrides import with_overrides
from anomalyncd_bench.baselines.simgcd import SimGCD


def test_only_what_is_named_changes() -> None:
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
    assert after.merging.rule == "score"
    assert after.views == before.views
    assert before.encoder.guidance == "hard"


def test_every_setting_can_be_set_to_what_it_is() -> None:
    names = {
        f"{stage.name}.{one.name}": getattr(getattr(Config(), stage.name), one.name)
        for stage in fields(Config)
        for one in fields(getattr(Config(), stage.name))
    }
    assert len(names) > 60
    assert with_overrides(Config(), names) == Config()


def test_what_yaml_says_is_taken() -> None:
    after = with_overrides(
        Config(), {"encoder.extra_cls": [], "encoder.guidance_factor": [1, 0.5, 0.1]}
    )
    assert after.encoder.extra_cls == ()
    assert after.encoder.guidance_factor == (1, 0.5, 0.1)
    assert with_overrides(
        Config(), {"mebin.floor": None, "training.learning_rate": 1}
    ) == with_overrides(Config(), {"training.learning_rate": 1.0})


def test_settings_that_go_together_are_checked_together() -> None:
    both = {"detector.bank_size": 200_000, "detector.n_candidates": 300_000}
    assert with_overrides(Config(), both).detector.bank_size == 200_000
    with pytest.raises(InputError, match="n_candidates"):
        with_overrides(Config(), {"detector.bank_size": 200_000})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("encoder.guidence", "encoder.guidance"),
        ("n_guided", "encoder.n_guided"),
        ("rules", "mebin.rules or regions.rules"),
        ("Training.epochs", "training.epochs"),
        ("encoder", "encoder\\."),
        ("xyz", "use STAGE.NAME, with one of the stages detector, mebin"),
        ("training.epochs.x", "training.epochs"),
    ],
)
def test_unknown_names_are_refused_with_what_is_near(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is not known.*{hint}"):
        with_overrides(Config(), {name: 1})


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("encoder.guidance", "firm", "one of hard, soft, learned, none"),
        ("training.start", None, "one of random, kmeans"),
        ("encoder.n_guided", "9", "use int"),
        ("encoder.n_guided", 3.5, "use int"),
        ("training.epochs", True, "use int"),
        ("training.contrast", 0, "use bool"),
        ("training.learning_rate", "0.1", "use float"),
        ("regions.max_per_image", 2.0, r"use int \| None"),
        ("encoder.extra_cls", 8, r"use tuple\[int, \.\.\.\]"),
        ("encoder.extra_cls", ["8"], r"use tuple\[int, \.\.\.\]"),
        ("training.teacher_temperature", [0.1], r"use tuple\[float, float\]"),
        ("encoder.n_guided", -1, "use 0 or more"),
    ],
)
def test_values_that_cannot_be_used_are_refused(name: str, value: object, remedy: str) -> None:
    with pytest.raises(InputError, match=f"{name.partition('.')[2]}=.*{remedy}"):
        with_overrides(Config(), {name: value})


def test_dataclasses_without_stages_are_changed_alike() -> None:
    assert with_overrides(SimGCD(), {"epochs": 3}) == SimGCD(3)
    with pytest.raises(InputError, match=r"setting 'epoch' is not known; did you mean epochs\?"):
        with_overrides(SimGCD(), {"epoch": 3})

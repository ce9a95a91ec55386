"""Values that cannot be used are refused when a config is made, with one clear sentence."""

import pickle
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass, replace
from typing import Annotated, Literal

import pytest
from pydantic import Field

from anomalyncd.config import (
    AggregationConfig,
    ClassNumberConfig,
    Config,
    CropConfig,
    DetectorConfig,
    EncoderConfig,
    ForegroundConfig,
    MebinConfig,
    RegionConfig,
    ReliabilityConfig,
    TrainingConfig,
)
from anomalyncd.config.validation import validated
from anomalyncd.errors import InputError

STAGES = {field.name: type(getattr(Config(), field.name)) for field in fields(Config)}
NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("stage", "name", "value", "remedy"),
    [
        (DetectorConfig, "resolution", 55, "56 or more, or None"),
        (DetectorConfig, "roi", "product", "one of foreground, image"),
        (DetectorConfig, "layers", (8, 5), "block indices in ascending order"),
        (DetectorConfig, "layers", (5, 5), "block indices in ascending order"),
        (DetectorConfig, "layers", (-1, 5), "block indices in ascending order"),
        (DetectorConfig, "layers", (), "block indices in ascending order"),
        (DetectorConfig, "neighbourhoods", (1, 2), "odd sides such as 1 and 3"),
        (DetectorConfig, "neighbourhoods", (-1,), "odd sides such as 1 and 3"),
        (DetectorConfig, "common", 0.0, "more than 0"),
        (DetectorConfig, "reference_discount", 1.5, "1 or less"),
        (DetectorConfig, "n_references", 1, "2 or more"),
        (DetectorConfig, "closest", (0.1, 1.5), "1 or less"),
        (DetectorConfig, "bank_size", 0, "1 or more"),
        (DetectorConfig, "n_rotations", 3, "one of 1, 2, 4, 8"),
        (DetectorConfig, "smoothing", -0.1, "0 or more"),
        (DetectorConfig, "map_size", 0, "1 or more, or None"),
        (MebinConfig, "rules", "published", "one of paper, default"),
        (MebinConfig, "binarisation", "li", "one of mebin, otsu, fixed"),
        (MebinConfig, "n_thresholds", 1, "2 or more"),
        (MebinConfig, "n_thresholds", 256, "255 or less"),
        (MebinConfig, "erosion", 0, "1 or more"),
        (MebinConfig, "min_interval_length", 0, "1 or more"),
        (MebinConfig, "floor", INFINITE, "a finite number"),
        (MebinConfig, "background_quantile", -0.1, "0 or more"),
        (MebinConfig, "max_normal_quantile", 1.1, "1 or less"),
        (RegionConfig, "margin", 0.9, "1 or more"),
        (RegionConfig, "min_half_side", 0.0, "more than 0"),
        (RegionConfig, "min_half_side", 0.6, "0.5 or less"),
        (RegionConfig, "merge_gap", -0.1, "0 or more"),
        (RegionConfig, "max_per_image", 0, "1 or more, or None"),
        (ForegroundConfig, "source", "sam", "one of auto, backbone, grounded-sam, none"),
        (ForegroundConfig, "prompt", " . ", "a word or two, or None"),
        (ForegroundConfig, "box_threshold", 1.0, "less than 1"),
        (ForegroundConfig, "text_threshold", -0.1, "0 or more"),
        (ForegroundConfig, "max_objects", 0, "1 or more"),
        (EncoderConfig, "guidance_factor", (1.0, 0.1, 0.0), "more than 0"),
        (EncoderConfig, "guidance_factor", (1.0, 0.1), "3 numbers"),
        (EncoderConfig, "n_guided", -1, "0 or more"),
        (EncoderConfig, "n_rotations", 2, "one of 1, 4, 8"),
        (CropConfig, "colour", 1.1, "1 or less"),
        (CropConfig, "n_views", -1, "0 or more"),
        (CropConfig, "memory_limit_gb", -1.0, "0 or more"),
        (CropConfig, "memory_limit_gb", NAN, "0 or more"),
        (TrainingConfig, "n_heads", 0, "1 or more"),
        (TrainingConfig, "epochs", -1, "0 or more"),
        (TrainingConfig, "learning_rate", NAN, "a finite number"),
        (TrainingConfig, "momentum", 1.0, "less than 1"),
        (TrainingConfig, "teacher_temperature", (0.0, 0.1), "more than 0"),
        (TrainingConfig, "hard_share", 1.1, "1 or less"),
        (TrainingConfig, "entropy_weight", -1.0, "0 or more"),
        (AggregationConfig, "rule", "max", "one of area, mean, score"),
        (ReliabilityConfig, "share", 1.0, "less than 1"),
        (ReliabilityConfig, "least_confidence", 2.0, "1 or less"),
        (ClassNumberConfig, "max_classes", 3, "4 or more"),
        (ClassNumberConfig, "n_resamples", 1, "2 or more"),
    ],
)
def test_values_out_of_range_are_refused(
    stage: type, name: str, value: object, remedy: str
) -> None:
    where = next(key for key, cls in STAGES.items() if cls is stage)
    with pytest.raises(InputError) as refused:
        stage(**{name: value})
    assert str(refused.value) == f"{where}.{name}={value!r} cannot be used; use {remedy}"


@pytest.mark.parametrize(
    ("stage", "values"),
    [
        (DetectorConfig, {"resolution": 56, "reference_discount": 1.0, "n_references": 2}),
        (DetectorConfig, {"bank_size": 5, "n_candidates": 5, "closest": (0.0, 1.0)}),
        (MebinConfig, {"n_thresholds": 255, "erosion": 1, "background_quantile": 1.0}),
        (RegionConfig, {"margin": 1.0, "min_half_side": 0.5, "merge_gap": 0.0}),
        (ForegroundConfig, {"box_threshold": 0.0, "prompt": "bolt"}),
        (EncoderConfig, {"n_guided": 0, "extra_cls": (), "n_rotations": 8}),
        (CropConfig, {"memory_limit_gb": INFINITE, "n_views": 0, "colour": 0.0}),
        (TrainingConfig, {"hard_share": 1.0, "entropy_weight": 0.0, "epochs": 0}),
        (ReliabilityConfig, {"share": 0.0, "least_confidence": 1.0}),
        (ClassNumberConfig, {"max_classes": 4, "n_resamples": 2, "n_components": 2}),
    ],
)
def test_values_at_the_ends_of_a_range_are_accepted(stage: type, values: dict[str, object]) -> None:
    config = stage(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bank_size": 200_000}, "detector.n_candidates=100000 cannot be used; use bank_size"),
        ({"closest": (0.2, 0.1)}, r"detector.closest=\(0.2, 0.1\) cannot be used; use two shares"),
        ({"closest": (0.2, 0.2)}, "ascending order"),
    ],
)
def test_fields_of_a_detector_are_checked_together(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectorConfig(**values)  # type: ignore[arg-type]


def test_window_of_a_crop_lies_within_it() -> None:
    with pytest.raises(InputError, match=r"crops\.size=300 cannot be used; use load_size or less"):
        CropConfig(size=300)


def test_a_floor_needs_the_default_rules() -> None:
    assert MebinConfig(floor=0.5).floor == 0.5
    with pytest.raises(InputError, match=r"mebin.floor=0.5 .* use None, or rules='default'"):
        MebinConfig("paper", floor=0.5)


def test_the_detector_reads_frozen_blocks_only() -> None:
    with pytest.raises(InputError) as refused:
        Config(detector=DetectorConfig(layers=(5, 10)))
    message = "detector.layers=(5, 10) cannot be used; use blocks before the readout of the encoder"
    assert str(refused.value) == message
    Config(detector=DetectorConfig(layers=(5, 9)))
    Config(detector=DetectorConfig(layers=(5, 11)), encoder=EncoderConfig(readout=-1))


def test_replace_validates_as_construction_does() -> None:
    assert replace(MebinConfig(), erosion=3).erosion == 3
    with pytest.raises(InputError, match=r"mebin.erosion=0 cannot be used; use 1 or more"):
        replace(MebinConfig(), erosion=0)
    with pytest.raises(InputError, match=r"detector.layers=\(5, 8\)"):
        replace(Config(), encoder=EncoderConfig(readout=8))


def test_positional_values_are_named_in_errors() -> None:
    with pytest.raises(InputError, match=r"mebin.rules='old' cannot be used"):
        MebinConfig("old")  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"guidence": "none"}, {"n_guided": 1, "guided": 2}])
def test_fields_that_do_not_exist_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'guid"):
        EncoderConfig(**values)  # type: ignore[arg-type]


@validated("types")
class Types:
    whole: int = 0
    number: float = 1
    switch: bool = False
    text: str = ""
    optional: Annotated[int, Field(ge=1)] | None = None
    several: tuple[int, ...] = ()
    pair: tuple[float, float] = (0, 1)
    choice: Literal["a", "b"] = "a"


@pytest.mark.parametrize(
    ("name", "values", "remedy"),
    [
        ("whole", ["3", 3.0, True, None], "a whole number"),
        ("number", ["0.1", True, None], "a number"),
        ("switch", [0, 1, "yes", None], "True or False"),
        ("text", [3, None], "text"),
        ("optional", ["3", 2.0, True], "a whole number, or None"),
        ("several", [3, (1, "2"), "12", {1, 2}], "a list of whole numbers"),
        ("pair", [(1.0,), (1.0, 2.0, 3.0), ("1", 2.0), 1.0], "2 numbers"),
        ("choice", ["c", None, 1], "one of a, b"),
    ],
)
def test_types_are_strict(name: str, values: list[object], remedy: str) -> None:
    for value in values:
        with pytest.raises(InputError) as refused:
            Types(**{name: value})  # type: ignore[arg-type]
        assert str(refused.value) == f"types.{name}={value!r} cannot be used; use {remedy}"


def test_lists_become_tuples_and_ints_become_floats() -> None:
    config = Types(several=[1, 2], pair=[1, 2], number=3)  # type: ignore[arg-type]
    assert (config.several, config.pair) == ((1, 2), (1.0, 2.0))
    defaults = Types()
    numbers = (config.number, *config.pair, defaults.number, *defaults.pair)
    assert all(type(number) is float for number in numbers)


def test_a_stage_must_be_of_its_class() -> None:
    with pytest.raises(InputError, match=r"encoder=\{\} cannot be used; use EncoderConfig"):
        Config(encoder={})  # type: ignore[arg-type]


def test_configs_are_ordinary_frozen_dataclasses() -> None:
    config = Config()
    assert is_dataclass(config)
    assert list(asdict(config)) == list(STAGES)
    assert config == Config()
    assert hash(config) == hash(Config())
    assert pickle.loads(pickle.dumps(config)) == config
    assert repr(AggregationConfig()) == "AggregationConfig(rule='area')"
    with pytest.raises(FrozenInstanceError):
        config.encoder = EncoderConfig()  # type: ignore[misc]

"""The config of a run, its presets, and how it is stored and described."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from anomalyncd.config import (
    PRESETS,
    PROTO_PRESETS,
    Config,
    CropConfig,
    TrainingConfig,
    config_from_dict,
    json_schema,
    resolve_config,
)
from anomalyncd.config.overrides import with_overrides
from anomalyncd.errors import InputError

ALL_PRESETS = [*PRESETS.values(), *PROTO_PRESETS.values()]
REFERENCE = Path(__file__).parents[2] / "docs/reference/config.md"


def stored(config: Config) -> dict[str, Any]:
    """What JSON makes of a config."""
    restored: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return restored


@pytest.mark.parametrize("config", ALL_PRESETS)
def test_a_config_is_restored_from_what_json_has_stored(config: Config) -> None:
    assert config_from_dict(stored(config)) == config
    assert config_from_dict(asdict(config)) == config


def test_a_stored_config_must_be_complete_and_valid() -> None:
    cases: list[tuple[str, str, Any, str]] = [
        ("encoder", "guidance", "firm", r"encoder.guidance='firm' cannot be used"),
        ("encoder", "guided", 1, "config stage 'encoder' has no field 'guided'"),
        ("growth", "rate", 1, "config has no field 'growth'"),
        ("mebin", "erosion", "6", r"mebin.erosion='6' cannot be used; use a whole number"),
    ]
    for stage, name, value, message in cases:
        stages = stored(Config())
        stages.setdefault(stage, {})[name] = value
        with pytest.raises(InputError, match=message):
            config_from_dict(stages)
    stages = stored(Config())
    del stages["encoder"]["guidance"]
    with pytest.raises(InputError, match="config stage 'encoder' lacks 'guidance'"):
        config_from_dict(stages)
    del stages["encoder"]
    with pytest.raises(InputError, match="config lacks 'encoder'"):
        config_from_dict(stages)


def test_training_decides_between_views_and_rotations() -> None:
    config = Config()
    untrained = config.resolved()
    trained = replace(config, training=TrainingConfig(epochs=3)).resolved()
    assert (untrained.training.epochs, trained.training.epochs) == (0, 3)
    assert (untrained.crops.n_views, trained.crops.n_views) == (0, 4)
    assert (untrained.encoder.n_rotations, trained.encoder.n_rotations) == (4, 1)
    assert trained.central_views_only().crops.n_views == 0
    with pytest.raises(InputError, match=r"crops\.n_views=1 cannot be used; each step of"):
        replace(trained, crops=CropConfig(n_views=1)).resolved()


def test_presets_are_found_by_name() -> None:
    assert resolve_config("paper", PROTO_PRESETS) is PROTO_PRESETS["paper"]
    assert resolve_config(PRESETS["paper"], {}) is PRESETS["paper"]
    with pytest.raises(InputError, match="preset 'papers' is not known; use one of default, paper"):
        resolve_config("papers", PRESETS)


def test_paper_presets_follow_the_publications() -> None:
    paper, proto = PRESETS["paper"], PROTO_PRESETS["paper"]
    assert (paper.mebin.rules, paper.regions.rules) == ("paper", "paper")
    assert (paper.encoder.guidance, paper.encoder.readout) == ("hard", -1)
    assert (paper.training.start, paper.training.epochs) == ("random", 50)
    assert (proto.encoder.guidance, proto.encoder.guided_by) == ("soft", "map")
    assert (proto.training.start, proto.training.separation_weight) == ("kmeans", 0.1)
    assert proto.foreground.source == PROTO_PRESETS["default"].foreground.source == "auto"
    assert paper.foreground.source == Config().foreground.source == "none"


def test_json_schema_describes_every_field() -> None:
    schema = json_schema()
    json.dumps(schema)
    assert list(schema["properties"]) == [stage.name for stage in fields(Config)]
    for stage in fields(Config):
        value = getattr(Config(), stage.name)
        described = schema["$defs"][type(value).__name__]
        assert described["additionalProperties"] is False
        assert set(described["properties"]) == {field.name for field in fields(value)}
        assert all(entry["description"] for entry in described["properties"].values())


def test_json_schema_holds_ranges_choices_and_defaults() -> None:
    stages = json_schema()["$defs"]
    thresholds = stages["MebinConfig"]["properties"]["n_thresholds"]
    limits = (thresholds["minimum"], thresholds["maximum"], thresholds["default"])
    assert limits == (2, 255, Config().mebin.n_thresholds)
    guidance = stages["EncoderConfig"]["properties"]["guidance"]
    assert guidance["enum"] == ["hard", "soft", "learned", "none"]
    rotations = stages["DetectorConfig"]["properties"]["n_rotations"]
    assert rotations["enum"] == [1, 2, 4, 8]
    assert stages["RegionConfig"]["properties"]["max_per_image"]["anyOf"] == [
        {"minimum": 1, "type": "integer"},
        {"type": "null"},
    ]


def test_reference_page_shows_every_stage_and_runs() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    for stage in fields(Config):
        assert f"::: anomalyncd.config.{type(getattr(Config(), stage.name)).__name__}\n" in page
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)
    changes = {"mebin.erosion": 4, "training.epochs": 20}
    assert names["config"] == with_overrides(Config(), changes)
    with pytest.raises(InputError) as refused:
        with_overrides(Config(), {"mebin.erosion": 0})
    assert f"`{refused.value}`" in page

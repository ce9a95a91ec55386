"""All settings of a discovery, and what presets mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from anomalyncd.config.checks import require
from anomalyncd.config.detection import DetectorConfig, ForegroundConfig
from anomalyncd.config.discovery import (
    AggregationConfig,
    ClassNumberConfig,
    ReliabilityConfig,
    TrainingConfig,
)
from anomalyncd.config.embedding import CropConfig, EncoderConfig
from anomalyncd.config.regions import MebinConfig, RegionConfig
from anomalyncd.errors import InputError


@dataclass(frozen=True)
class Config:
    """All settings of a discovery."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """Maps, where the user has none."""
    mebin: MebinConfig = field(default_factory=MebinConfig)
    """From maps to masks."""
    regions: RegionConfig = field(default_factory=RegionConfig)
    """From masks to regions."""
    foreground: ForegroundConfig = field(default_factory=lambda: ForegroundConfig(source="none"))
    """Which pixels are product; off unless it is asked for."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """From regions to vectors."""
    crops: CropConfig = field(default_factory=CropConfig)
    """How regions are shown to the backbone."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """From vectors to classes."""
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    """From classes of regions to those of images."""
    reliability: ReliabilityConfig = field(default_factory=ReliabilityConfig)
    """From classes to "unseen" and "unsure"."""
    class_number: ClassNumberConfig = field(default_factory=ClassNumberConfig)
    """How many classes there are."""

    def __post_init__(self) -> None:
        last = max(self.detector.layers)
        frozen = self.encoder.readout < 0 or last < self.encoder.readout
        require(frozen, "detector.layers", self.detector.layers, "use blocks before the readout")

    def resolved(self, with_base: bool) -> "Config":
        """What holds with or without a base set: epochs, and views only if they are learnt from,
        or else poses."""
        chosen = self.training.epochs_with_base if with_base else self.training.epochs
        held = replace(self, training=replace(self.training, epochs=chosen))
        if not chosen:
            return held.central_views_only()
        return replace(held, encoder=replace(held.encoder, n_rotations=1))

    def central_views_only(self) -> "Config":
        """For prediction, and where nothing is learnt from augmented views."""
        return replace(self, crops=replace(self.crops, n_views=0))


PRESETS = {
    "default": Config(),
    "paper": Config(
        mebin=MebinConfig(rules="paper"),
        regions=RegionConfig(rules="paper"),
        encoder=EncoderConfig(
            guidance="hard", readout=-1, extra_cls=(), region_means=(), centred=False, n_rotations=1
        ),
        training=TrainingConfig(
            start="random", correction="published", epochs=50, epochs_with_base=50
        ),
    ),
}
"""`paper`: every rule as published, with whatever backbone is given; `default`: our own choice."""

_DEFAULT, _PAPER = PRESETS["default"], PRESETS["paper"]

PROTO_PRESETS = {
    "default": replace(
        _DEFAULT,
        foreground=ForegroundConfig(),
        training=replace(_DEFAULT.training, head_choice="consensus", n_heads=10),
    ),
    "paper": replace(
        _PAPER,
        foreground=ForegroundConfig(),
        encoder=replace(_PAPER.encoder, guidance="soft", guided_by="map"),
        training=replace(
            _PAPER.training,
            start="kmeans",
            teacher_temperature=(0.05, 0.05),
            hard_share=1.0,
            separation_weight=0.1,
            entropy_weight=2.0,
        ),
    ),
}
"""`paper`: ProtoAnomalyNCD as far as it is known, our own definition for the rest; `default`: that
of `AnomalyNCD` with an object prior and a consensus of ten starts."""


def config_from_dict(stages: Mapping[str, Mapping[str, Any]]) -> Config:
    """Restores a config from what `dataclasses.asdict` made of it and JSON has stored.

    Raises:
        KeyError, TypeError: A stage or a setting is missing or unknown.
        InputError: A value cannot be used.
    """
    default = Config()
    return Config(
        **{
            one.name: type(getattr(default, one.name))(**stages[one.name])
            for one in fields(default)
        }
    )


def resolve_config(preset: str | Config, presets: dict[str, Config]) -> Config:
    """Settings by the name of a preset, of an estimator's; settings are returned as they are."""
    if isinstance(preset, Config):
        return preset
    if preset not in presets:
        raise InputError(f"preset {preset!r} is not known; use one of {', '.join(presets)}")
    return presets[preset]

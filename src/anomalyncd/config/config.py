"""The config of a whole run, one stage after the other."""

from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Any, Self

from pydantic import TypeAdapter, model_validator

from anomalyncd.config.detection import DetectorConfig, ForegroundConfig
from anomalyncd.config.discovery import (
    AggregationConfig,
    ClassNumberConfig,
    ReliabilityConfig,
    TrainingConfig,
)
from anomalyncd.config.embedding import CropConfig, EncoderConfig
from anomalyncd.config.regions import MebinConfig, RegionConfig
from anomalyncd.config.validation import require, validated
from anomalyncd.errors import InputError


@validated("")
class Config:
    """The config of a run: one frozen dataclass for each stage."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """Makes anomaly maps where none are given."""
    mebin: MebinConfig = field(default_factory=MebinConfig)
    """Turns anomaly maps into masks."""
    regions: RegionConfig = field(default_factory=RegionConfig)
    """Turns masks into regions."""
    foreground: ForegroundConfig = field(default_factory=lambda: ForegroundConfig(source="none"))
    """Separates the foreground from the background; off by default."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Turns crops into descriptors."""
    crops: CropConfig = field(default_factory=CropConfig)
    """Prepares the crops of regions for the backbone."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """Groups descriptors into classes."""
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    """Combines the predictions of regions into those of images."""
    reliability: ReliabilityConfig = field(default_factory=ReliabilityConfig)
    """Recognises unseen and unsure images."""
    class_number: ClassNumberConfig = field(default_factory=ClassNumberConfig)
    """Estimates the number of classes."""

    @model_validator(mode="after")
    def _check_stages_together(self) -> Self:
        layers, readout = self.detector.layers, self.encoder.readout
        frozen = readout < 0 or max(layers) < readout
        require(frozen, "detector.layers", layers, "blocks before the readout of the encoder")
        return self

    def resolved(self) -> "Config":
        """Returns the config that a run follows.

        With training, descriptors have one rotation; without it, crops have no augmented views.

        Raises:
            InputError: There are too few augmented views to train with.
        """
        if not self.training.epochs:
            return self.central_views_only()
        if self.crops.n_views < 2:
            raise InputError(
                f"crops.n_views={self.crops.n_views} cannot be used; each step of the training "
                "uses two views, so set it to 2 or more, or training.epochs to 0"
            )
        return replace(self, encoder=replace(self.encoder, n_rotations=1))

    def central_views_only(self) -> "Config":
        """Returns the config without augmented views, which only training uses."""
        return replace(self, crops=replace(self.crops, n_views=0))


def config_from_dict(stages: Mapping[str, Mapping[str, Any]]) -> Config:
    """Restores a config from what `dataclasses.asdict` returned, also after JSON has stored it.

    Args:
        stages: All fields of all stages.

    Raises:
        InputError: A stage or a field is missing or not known, or a value cannot be used.
    """
    default = Config()
    names = [stage.name for stage in fields(default)]
    _require_names("config", stages, names)
    restored = {}
    for name in names:
        stage = getattr(default, name)
        _require_names(f"config stage '{name}'", stages[name], [one.name for one in fields(stage)])
        restored[name] = type(stage)(**stages[name])
    return Config(**restored)


def _require_names(where: str, values: Mapping[str, Any], names: list[str]) -> None:
    for name in names:
        if name not in values:
            raise InputError(f"{where} lacks '{name}'; use one that this version has written")
    for name in values:
        if name not in names:
            raise InputError(
                f"{where} has no field '{name}'; use one that this version has written"
            )


def json_schema() -> dict[str, Any]:
    """Returns the JSON schema of a config: types, ranges, choices and defaults of all fields."""
    return TypeAdapter(Config).json_schema()

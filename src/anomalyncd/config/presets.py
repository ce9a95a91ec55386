"""Configs that have a name."""

from collections.abc import Mapping
from dataclasses import replace

from anomalyncd.config.config import Config
from anomalyncd.config.detection import ForegroundConfig
from anomalyncd.config.discovery import TrainingConfig
from anomalyncd.config.embedding import EncoderConfig
from anomalyncd.config.regions import MebinConfig, RegionConfig
from anomalyncd.errors import InputError

_DEFAULT = Config()
_PAPER = Config(
    mebin=MebinConfig(rules="paper"),
    regions=RegionConfig(rules="paper"),
    encoder=EncoderConfig(
        guidance="hard",
        readout=-1,
        extra_cls=(),
        region_means=(),
        centred=False,
        shape_weight=0.0,
        n_rotations=1,
    ),
    training=TrainingConfig(
        start="random", correction="published", head_choice="lowest_loss", epochs=50
    ),
)

PRESETS = {"default": _DEFAULT, "paper": _PAPER}
"""Presets of `AnomalyNCD`. `default` gives the best results that we have measured. `paper` follows
every published rule, with any backbone."""

PROTO_PRESETS = {
    "default": replace(
        _DEFAULT,
        foreground=ForegroundConfig(),
        training=replace(_DEFAULT.training, n_heads=10),
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
"""Presets of `ProtoAnomalyNCD`. `default` is that of `AnomalyNCD` with foreground masks and the
consensus of ten heads. `paper` follows the publication as far as it is known, and our own
definitions for the rest."""


def resolve_config(preset: str | Config, presets: Mapping[str, Config]) -> Config:
    """Returns the config of a preset.

    Args:
        preset: Its name; a config is returned as it is.
        presets: The configs by name.

    Raises:
        InputError: There is no preset of that name.
    """
    if isinstance(preset, Config):
        return preset
    if preset not in presets:
        raise InputError(f"preset {preset!r} is not known; use one of {', '.join(presets)}")
    return presets[preset]

"""All settings of a discovery, and what presets mean."""

from dataclasses import dataclass, field, replace

from anomalyncd.errors import InputError
from anomalyncd.settings.checks import require
from anomalyncd.settings.detection import DetectorSettings, ObjectSettings
from anomalyncd.settings.encoding import EncoderSettings, ViewSettings
from anomalyncd.settings.learning import (
    ClassNumberSettings,
    MergingSettings,
    RejectionSettings,
    TrainingSettings,
)
from anomalyncd.settings.regions import MebinSettings, RegionSettings


@dataclass(frozen=True)
class Settings:
    """All settings of a discovery."""

    detector: DetectorSettings = field(default_factory=DetectorSettings)
    """Maps, where the user has none."""
    mebin: MebinSettings = field(default_factory=MebinSettings)
    """From maps to masks."""
    regions: RegionSettings = field(default_factory=RegionSettings)
    """From masks to regions."""
    objects: ObjectSettings = field(default_factory=lambda: ObjectSettings(source="none"))
    """Which pixels are product; off unless it is asked for."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    """From regions to vectors."""
    views: ViewSettings = field(default_factory=ViewSettings)
    """How regions are shown to the backbone."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """From vectors to classes."""
    merging: MergingSettings = field(default_factory=MergingSettings)
    """From classes of regions to those of parts."""
    rejection: RejectionSettings = field(default_factory=RejectionSettings)
    """From classes to "unseen" and "unsure"."""
    class_number: ClassNumberSettings = field(default_factory=ClassNumberSettings)
    """How many classes there are."""

    def __post_init__(self) -> None:
        last = max(self.detector.layers)
        frozen = self.encoder.readout < 0 or last < self.encoder.readout
        require(frozen, "detector.layers", self.detector.layers, "use blocks before the readout")

    def resolved(self, with_base: bool) -> "Settings":
        """What holds with or without a base set: epochs, and views only if they are learnt from,
        or else poses."""
        chosen = self.training.epochs_with_base if with_base else self.training.epochs
        held = replace(self, training=replace(self.training, epochs=chosen))
        if not chosen:
            return held.central_views_only()
        return replace(held, encoder=replace(held.encoder, n_poses=1))

    def central_views_only(self) -> "Settings":
        """For prediction, and where nothing is learnt from augmented views."""
        return replace(self, views=replace(self.views, n_views=0))


PRESETS = {
    "default": Settings(),
    "paper": Settings(
        mebin=MebinSettings(rules="paper"),
        regions=RegionSettings(rules="paper"),
        encoder=EncoderSettings(
            guidance="hard", readout=-1, extra_cls=(), region_means=(), centred=False, n_poses=1
        ),
        training=TrainingSettings(
            start="random", correction="published", epochs=50, epochs_with_base=50
        ),
    ),
}
"""`paper`: every rule as published, with whatever backbone is given; `default`: our own choice."""

_DEFAULT, _PAPER = PRESETS["default"], PRESETS["paper"]

PROTO_PRESETS = {
    "default": replace(
        _DEFAULT,
        objects=ObjectSettings(),
        training=replace(_DEFAULT.training, head_choice="consensus", n_heads=10),
    ),
    "paper": replace(
        _PAPER,
        objects=ObjectSettings(),
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


def resolve_settings(preset: str | Settings, presets: dict[str, Settings]) -> Settings:
    """Settings by the name of a preset, of an estimator's; settings are returned as they are."""
    if isinstance(preset, Settings):
        return preset
    if preset not in presets:
        raise InputError(f"preset {preset!r} is not known; use one of {', '.join(presets)}")
    return presets[preset]

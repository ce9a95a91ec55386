"""Every number a person may set, one frozen dataclass a stage."""

from dataclasses import dataclass, field, replace
from typing import Literal

from anomalyncd.errors import InputError


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise InputError(f"setting {name}={value!r} cannot be used; {remedy}")


@dataclass(frozen=True)
class MebinSettings:
    """Main element binarisation (AnomalyNCD, section 3.1)."""

    rules: Literal["paper", "default"] = "default"
    """`paper`: maps in 8 bits and the range as published; `default`: floating point, safe range."""
    n_thresholds: int = 64
    """Number of thresholds `255 - 256 k / n_thresholds`, on the scale that maps the score range to
    0..255; the published step of 4 makes 64."""
    erosion: int = 6
    """Side in map pixels of the box that erodes each map; 1 switches erosion off."""
    min_interval_length: int = 4
    """Thresholds in a row for which a region count must hold to be called stable."""
    floor: float | None = None
    """Lowest score that can be anomalous, in map units; None derives it from the maps, those of
    normal images where there are some. The `paper` rules always derive it."""

    def __post_init__(self) -> None:
        _require(self.rules in ("paper", "default"), "rules", self.rules, "use paper or default")
        _require(2 <= self.n_thresholds <= 255, "n_thresholds", self.n_thresholds, "use 2..255")
        _require(self.erosion >= 1, "erosion", self.erosion, "use 1 (off) or more")
        _require(
            self.min_interval_length >= 1,
            "min_interval_length",
            self.min_interval_length,
            "use >= 1",
        )
        _require(
            self.floor is None or self.rules == "default",
            "floor",
            self.floor,
            "use rules='default'",
        )


@dataclass(frozen=True)
class RegionSettings:
    """Square crops around the connected parts of a mask (AnomalyNCD, section 3.1)."""

    rules: Literal["paper", "default"] = "default"
    """`paper`: boxes merged with direct neighbours, may leave the image; `default`: merged
    transitively, shifted inside."""
    margin: float = 1.1
    """Side of a crop over the longer side of its connected part."""
    min_half_side: float = 0.1
    """Smallest half side of a crop as a share of the image's longer side."""
    merge_gap: float = 0.01
    """Boxes closer than this share of the image's longer side become one."""
    max_per_image: int | None = None
    """Keep at most this many regions an image, largest first; None keeps all (`paper`: MEBin's
    count + 1, as published)."""

    def __post_init__(self) -> None:
        _require(self.rules in ("paper", "default"), "rules", self.rules, "use paper or default")
        _require(self.margin >= 1, "margin", self.margin, "use 1 or more")
        _require(0 < self.min_half_side <= 0.5, "min_half_side", self.min_half_side, "use 0..0.5")
        _require(self.merge_gap >= 0, "merge_gap", self.merge_gap, "use 0 or more")
        _require(
            self.max_per_image is None or self.max_per_image >= 1,
            "max_per_image",
            self.max_per_image,
            "use 1 or more",
        )


@dataclass(frozen=True)
class DetectorSettings:
    """Anomaly maps for parts that come without: mutual scoring (MuSc), or with normal images a
    memory bank (PatchCore)."""

    resolution: int | None = None
    """What is looked at enters the backbone with the area of a square of this side in pixels: more
    detail takes more time. None takes 504 for a product that is cut out, since the rest of the
    picture is saved, and 336 for whole pictures."""
    frame: Literal["product", "whole"] = "product"
    """What is looked at: the product, cut out and turned into one pose where a plain background
    shows it, or always the `whole` picture."""
    layers: tuple[int, ...] = (5, 8)
    """Blocks, counted from 0, whose patch tokens are compared; the last one finds the product."""
    neighbourhoods: tuple[int, ...] = (1,)
    """Sides, in patches, of the squares over which tokens are averaged."""
    common: float = 2.0
    """Weight of what all patches have in common, as a multiple of how far they differ."""
    n_references: int = 40
    """Parts that every part is compared with (mutual scoring)."""
    closest: tuple[float, float] = (0.05, 0.2)
    """The references that a patch is judged by, closest first, from one share of them to another
    (mutual scoring). The very closest may show the same part once more."""
    bank_size: int = 10_000
    """Normal patches that are kept (memory bank)."""
    n_candidates: int = 100_000
    """Normal patches that they are chosen from (memory bank)."""
    smoothing: float = 0.5
    """Standard deviation, in patches, of the Gaussian that smooths a map."""
    map_size: int = 256
    """Maps have the area of a square of this side in pixels, so that erosion means the same."""

    def __post_init__(self) -> None:
        layers, sides = self.layers, self.neighbourhoods
        ascending = bool(layers) and tuple(sorted(set(layers))) == tuple(layers) and layers[0] >= 0
        _require(ascending, "layers", layers, "use block indices in ascending order")
        odd = bool(sides) and all(side % 2 == 1 for side in sides)
        _require(odd, "neighbourhoods", sides, "use odd sides such as 1 and 3")
        _require(self.n_references >= 2, "n_references", self.n_references, "use 2 or more")
        _require(self.bank_size >= 1, "bank_size", self.bank_size, "use 1 or more")
        enough = self.n_candidates >= self.bank_size
        _require(enough, "n_candidates", self.n_candidates, "use bank_size or more")
        first, last = self.closest
        _require(0 <= first < last <= 1, "closest", self.closest, "use two shares, 0..1")
        _require(self.common > 0, "common", self.common, "use more than 0")
        _require(self.frame in ("product", "whole"), "frame", self.frame, "use product or whole")
        enough = self.resolution is None or self.resolution >= 56
        _require(enough, "resolution", self.resolution, "use None, or 56 or more")


@dataclass(frozen=True)
class EncoderSettings:
    """How a region becomes a vector (AnomalyNCD, section 3.2)."""

    guidance: Literal["hard", "soft", "none"] = "soft"
    """How the mask leads the CLS token: `hard` as published, `soft` in proportion to coverage."""
    n_guided: int = 9
    """Guided blocks, counted from the last block of the backbone."""
    readout: int = 10
    """Block, counted from 0 or back from -1, that is trained and whose CLS token is read."""
    extra_cls: tuple[int, ...] = (8,)
    """Earlier blocks whose CLS token joins the vector, unchanged by training."""
    region_means: tuple[int, ...] = (5,)
    """Earlier blocks whose mean patch token under the mask joins the vector."""
    centred: bool = True
    """Whether the mean over all regions is taken from each part of the vector."""


@dataclass(frozen=True)
class ViewSettings:
    """Crops as they enter the backbone, and how they are augmented."""

    load_size: int = 256
    """Side in pixels to which a region is resized."""
    size: int = 224
    """Side in pixels of the window that is cut out of it."""
    n_views: int = 4
    """Augmented views of a region that are kept; each step of training draws two of them."""
    colour: float = 1.0
    """Strength of the colour augmentation, 0 (none) to 1 (as published)."""
    memory_limit_gb: float = 4.0
    """Stored tokens beyond this size lie in a memory-mapped file instead of memory."""


@dataclass(frozen=True)
class TrainingSettings:
    """Self-labelling over prototypes (AnomalyNCD, section 3.3)."""

    start: Literal["random", "kmeans"] = "kmeans"
    """Where the prototypes begin: `random` as published, or at spherical k-means centres."""
    correction: Literal["published", "neighbours"] = "neighbours"
    """What makes a region normal: a score below 0.5 as published, or a low score of the region and
    of those that look like it."""
    n_heads: int = 4
    """Independent sets of prototypes; the one with the lowest loss is used."""
    epochs: int = 0
    """Passes over the regions; 0 keeps the start and reads no augmented views."""
    epochs_with_base: int = 20
    """Passes where there is a base set, whose labels can teach only by training."""
    batch_size: int = 32
    """Regions a step, two views of each."""
    learning_rate: float = 0.003
    """Of SGD, at the first step; falls along a cosine to a thousandth."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 5e-5
    """On matrices alone."""
    entropy_weight: float = 4.0
    """Weight of the mean-entropy term."""
    base_share: float = 0.3
    """Weight of the labelled losses where there is a base set."""
    contrast: bool = True
    """Whether the contrastive losses take part."""


@dataclass(frozen=True)
class ClassNumberSettings:
    """How the number of classes is estimated where it is not given."""

    rule: Literal["criteria", "merging"] = "criteria"
    """`criteria`: the median of what several criteria say; `merging`: many clusters, of which those
    that cannot be told apart are merged."""
    max_classes: int = 25
    """Largest number of classes that is considered, the normal one included; five images for each
    kind of defect bound it as well."""
    n_resamples: int = 12
    """Draws of images that the estimate and its interval rest on."""
    n_components: int = 25
    """Principal components of the descriptors that are compared."""

    def __post_init__(self) -> None:
        _require(self.rule in ("criteria", "merging"), "rule", self.rule, "use criteria or merging")
        _require(self.max_classes >= 3, "max_classes", self.max_classes, "use 3 or more")
        _require(self.n_resamples >= 2, "n_resamples", self.n_resamples, "use 2 or more")
        _require(self.n_components >= 2, "n_components", self.n_components, "use 2 or more")


@dataclass(frozen=True)
class Settings:
    """All settings of a discovery."""

    detector: DetectorSettings = field(default_factory=DetectorSettings)
    """Maps, where the user has none."""
    mebin: MebinSettings = field(default_factory=MebinSettings)
    """From maps to masks."""
    regions: RegionSettings = field(default_factory=RegionSettings)
    """From masks to regions."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    """From regions to vectors."""
    views: ViewSettings = field(default_factory=ViewSettings)
    """How regions are shown to the backbone."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """From vectors to classes."""
    class_number: ClassNumberSettings = field(default_factory=ClassNumberSettings)
    """How many classes there are."""

    def __post_init__(self) -> None:
        last = max(self.detector.layers)
        frozen = self.encoder.readout < 0 or last < self.encoder.readout
        _require(frozen, "detector.layers", self.detector.layers, "use blocks before the readout")

    def resolved(self, with_base: bool) -> "Settings":
        """What holds with or without a base set: epochs, and views only if they are learnt from."""
        chosen = self.training.epochs_with_base if with_base else self.training.epochs
        training = replace(self.training, epochs=chosen)
        return replace(self, training=training) if chosen else self.central_views_only()

    def central_views_only(self) -> "Settings":
        """For prediction, and where nothing is learnt from augmented views."""
        return replace(self, views=replace(self.views, n_views=0))


PRESETS = {
    "default": Settings(),
    "paper": Settings(
        mebin=MebinSettings(rules="paper"),
        regions=RegionSettings(rules="paper"),
        encoder=EncoderSettings(
            guidance="hard", readout=-1, extra_cls=(), region_means=(), centred=False
        ),
        training=TrainingSettings(
            start="random", correction="published", epochs=50, epochs_with_base=50
        ),
    ),
}
"""`paper`: every rule as published, with whatever backbone is given; `default`: our own choice."""


def resolve_settings(preset: str | Settings) -> Settings:
    """Settings by the name of a preset; settings are returned as they are."""
    if isinstance(preset, Settings):
        return preset
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is not known; use one of {', '.join(PRESETS)}")
    return PRESETS[preset]

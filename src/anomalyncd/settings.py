"""Every number a person may set, one frozen dataclass a stage."""

from dataclasses import dataclass, field, replace
from typing import Literal

from anomalyncd.errors import InputError


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise InputError(f"setting {name}={value!r} cannot be used; {remedy}")


@dataclass(frozen=True)
class MebinSettings:
    """Main element binarisation (AnomalyNCD, section 3.1), and what it can be compared with."""

    rules: Literal["paper", "default"] = "default"
    """`paper`: maps in 8 bits and the range as published; `default`: floating point, safe range."""
    binarisation: Literal["mebin", "otsu", "fixed"] = "mebin"
    """Where a map is cut: where its region count is most stable (`mebin`), where Otsu's method
    parts its scores, for each map anew (`otsu`), or half way up the score range (`fixed`)."""
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
    sound_share: float = 0.85
    """Share of sound surfaces, seen on normal images or beside the main elements of the parts, that
    a part must exceed to have a region; 0 lets every part have some. Not used by the `paper` rules
    or with a `floor`."""

    anomalous_share: float = 0.9
    """Share of sound surfaces that no anomalous part needs to exceed by far: the split between
    normal and anomalous regions does not lie above it; 1 leaves the split alone. As `sound_share`,
    not used by the `paper` rules or with a `floor`."""

    def __post_init__(self) -> None:
        _require(self.rules in ("paper", "default"), "rules", self.rules, "use paper or default")
        known = self.binarisation in ("mebin", "otsu", "fixed")
        _require(known, "binarisation", self.binarisation, "use mebin, otsu or fixed")
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
        for name in ("sound_share", "anomalous_share"):
            share = getattr(self, name)
            _require(0 <= share <= 1, name, share, "use 0..1")


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
    detail takes more time. None lets a patch of the backbone cover about 24 px of the photographs,
    within 336 to 672 for whole pictures, and within 504 to 672 for a product that is cut out,
    since the rest of the picture is saved. Up to 512 x 512 px, photographs get 336 or 504."""
    frame: Literal["product", "whole"] = "product"
    """What is looked at: the product, cut out and turned into one pose where a plain background
    shows it, or always the `whole` picture."""
    background: Literal["kept", "masked"] = "kept"
    """`masked`: where a plain background shows the product, patches that show none of it score 0
    and vouch for no other; for products with defects of their own, not for missing pieces."""
    layers: tuple[int, ...] = (5, 8)
    """Blocks, counted from 0, whose patch tokens are compared; the last one finds the product."""
    neighbourhoods: tuple[int, ...] = (1,)
    """Sides, in patches, of the squares over which tokens are averaged."""
    common: float = 2.0
    """Weight of what all patches have in common, as a multiple of how far they differ."""
    same_place: float | None = None
    """A patch is compared with those up to this far from its own place alone, as a share of the
    height and width of what is looked at; for parts that are always photographed alike. None
    compares with all."""
    tolerance: float = 0.3
    """What has no like even among normal or reference images makes what resembles it less
    suspicious: share of a patch's distance to the nearest in other images that is taken off the
    distance to it. 0 switches it off."""
    n_references: int = 40
    """Parts that every part is compared with (mutual scoring)."""
    closest: tuple[float, float] = (0.05, 0.2)
    """The references that a patch is judged by, closest first, from one share of them to another
    (mutual scoring). The very closest may show the same part once more."""
    bank_size: int = 10_000
    """Normal patches that are kept (memory bank)."""
    n_candidates: int = 100_000
    """Normal patches that they are chosen from (memory bank)."""
    reweight: int = 0
    """The nearest relatives of a normal patch that say how rare it is: what resembles a rare one
    scores higher (memory bank; PatchCore, eq. 7, where it is 9). 0 switches it off."""
    rotations: int = 1
    """Poses in which each normal image is read: 1, 2 (upside down as well), 4 (quarter turns) or 8
    (eighths of a turn); for few normal images of parts that lie in any pose (memory bank;
    AnomalyDINO). Products that are turned into one pose anyway are read once."""
    rerank: tuple[int, ...] = ()
    """Numbers of parts, itself among them, over which the highest score of a part is averaged, by
    the likeness of their CLS tokens; (1, 2, 3) as published (MuSc, RsCIN), () switches it off. It
    works among the parts that are scored together; a single part keeps its score."""
    smoothing: float = 0.5
    """Standard deviation, in patches, of the Gaussian that smooths a map."""
    map_size: int | None = 256
    """Maps have the area of a square of this side in pixels, so that MEBin's erosion, in pixels of
    the map, means the same for all photographs. None makes them as large as these."""

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
        _require(0 <= self.tolerance <= 1, "tolerance", self.tolerance, "use 0..1")
        _require(self.frame in ("product", "whole"), "frame", self.frame, "use product or whole")
        enough = self.resolution is None or self.resolution >= 56
        _require(enough, "resolution", self.resolution, "use None, or 56 or more")
        known = self.background in ("kept", "masked")
        _require(known, "background", self.background, "use kept or masked")
        within = self.same_place is None or 0 < self.same_place <= 1
        _require(within, "same_place", self.same_place, "use None, or a share, 0..1")
        several = self.reweight == 0 or self.reweight >= 2
        _require(several, "reweight", self.reweight, "use 0 (off), or 2 or more")
        _require(self.rotations in (1, 2, 4, 8), "rotations", self.rotations, "use 1, 2, 4 or 8")
        positive = all(count >= 1 for count in self.rerank)
        _require(positive, "rerank", self.rerank, "use numbers such as (1, 2, 3), or () for off")
        enough = self.map_size is None or self.map_size >= 1
        _require(enough, "map_size", self.map_size, "use 1 or more, or None")


@dataclass(frozen=True)
class ObjectSettings:
    """Which pixels of a picture show the product, and which the background."""

    source: Literal["auto", "backbone", "grounded-sam", "none"] = "auto"
    """What tells them apart where no masks are given: `backbone` splits its tokens and needs a
    plain background; `auto` does the same and takes whole pictures, as for textures, where there
    is no such background; `grounded-sam` asks Grounding DINO and SAM; `none` takes whole
    pictures."""
    prompt: str | None = None
    """What the product is, in English, such as "metal nut"; several things apart by full stops.
    None takes the name of the folder of the parts (`grounded-sam`)."""
    box_threshold: float = 0.3
    """How sure a box must be (`grounded-sam`)."""
    text_threshold: float = 0.25
    """How sure a word of the prompt must be that it names a box (`grounded-sam`)."""
    mask_threshold: float = 0.0
    """Logit above which a pixel of a box is product (`grounded-sam`)."""
    max_objects: int = 5
    """Most objects a picture; the surest boxes are taken, or the largest pieces."""
    least_share: float = 0.02
    """Share of a picture below which what was found cannot be the product; then all of the
    picture counts."""
    box_model: str = "IDEA-Research/grounding-dino-tiny"
    """Grounding DINO: its name on the Hugging Face hub, or a folder (`grounded-sam`)."""
    mask_model: str = "facebook/sam-vit-base"
    """SAM: its name on the Hugging Face hub, or a folder (`grounded-sam`)."""

    def __post_init__(self) -> None:
        sources = ("auto", "backbone", "grounded-sam", "none")
        _require(self.source in sources, "source", self.source, f"use one of {', '.join(sources)}")
        for name in ("box_threshold", "text_threshold", "least_share"):
            value = getattr(self, name)
            _require(0 <= value < 1, name, value, "use 0 or more and less than 1")
        _require(self.max_objects >= 1, "max_objects", self.max_objects, "use 1 or more")
        said = self.prompt is None or any(letter.isalnum() for letter in self.prompt)
        _require(said, "prompt", self.prompt, "use a word or two, or None")


@dataclass(frozen=True)
class EncoderSettings:
    """How a region becomes a vector (AnomalyNCD, section 3.2)."""

    guidance: Literal["hard", "soft", "learned", "none"] = "soft"
    """How the mask leads attention: `hard` as published, `soft` in proportion to coverage,
    `learned` like `soft` with a factor that training adapts in the read-out block."""
    guidance_factor: tuple[float, float, float] = (1.0, 0.1, 0.01)
    """How much attention a patch of anomaly, of product and of background is due, before affinity
    is weighed in (`soft`, `learned`). Without object masks there is no background."""
    guided_rows: Literal["cls", "patches", "all"] = "cls"
    """Whose attention is led: that of the CLS token as published, of the patches, or of both."""
    guided_by: Literal["mask", "map"] = "mask"
    """What covers a patch: the mask of the anomaly, or its map, rescaled to 0..1. Where masks are
    given there is no map, and the mask is taken."""
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

    def __post_init__(self) -> None:
        modes, rows = ("hard", "soft", "learned", "none"), ("cls", "patches", "all")
        _require(self.guidance in modes, "guidance", self.guidance, f"use one of {modes}")
        _require(self.guided_rows in rows, "guided_rows", self.guided_rows, f"use one of {rows}")
        _require(self.guided_by in ("mask", "map"), "guided_by", self.guided_by, "use mask or map")
        factor = self.guidance_factor
        positive = len(factor) == 3 and all(0 < one < float("inf") for one in factor)
        _require(positive, "guidance_factor", factor, "use three numbers above 0")
        _require(self.n_guided >= 0, "n_guided", self.n_guided, "use 0 or more")


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
    correction: Literal["published", "neighbours", "none"] = "neighbours"
    """What makes a region normal: a score below 0.5 as published, or a low score of the region and
    of those that look like it. With `none` its looks alone decide its class, and scores merely say
    which class the k-means start calls normal; after a random start any may be."""
    n_heads: int = 4
    """Independent sets of prototypes."""
    head_choice: Literal["lowest_loss", "consensus"] = "lowest_loss"
    """Which prototypes are used in the end: those of the head with the lowest loss, as published,
    or the mean over all heads, each class matched with its like."""
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
    trained: Literal["block", "prototypes"] = "block"
    """What learns beside the projection: the read-out block and the prototypes, or these alone."""
    teacher_temperature: tuple[float, float] = (0.07, 0.04)
    """Divides the cosines of soft pseudo-labels: at first, and in the last fifth of the epochs."""
    hard_share: float = 0.0
    """Share of a batch, the most confident, whose pseudo-labels become hard; reached half way."""
    entropy_weight: float = 4.0
    """Weight of the mean-entropy term."""
    entropy_prior: Literal["uniform", "start"] = "uniform"
    """Shares of the classes that this term draws the mean prediction to: equal ones as published,
    or those that the classes have at the start."""
    separation_weight: float = 0.0
    """Weight of the term that keeps prototypes apart (ProtoGCD)."""
    base_share: float = 0.3
    """Weight of the labelled losses where there is a base set."""
    contrast: bool = True
    """Whether the contrastive losses take part."""

    def __post_init__(self) -> None:
        within = 0 <= self.hard_share <= 1
        _require(within, "hard_share", self.hard_share, "use 0..1")
        positive = all(one > 0 for one in self.teacher_temperature)
        _require(positive, "teacher_temperature", self.teacher_temperature, "use more than 0")
        for name in ("entropy_weight", "separation_weight"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "use 0 (off) or more")
        for name, known in (
            ("start", ("random", "kmeans")),
            ("correction", ("published", "neighbours", "none")),
            ("head_choice", ("lowest_loss", "consensus")),
            ("trained", ("block", "prototypes")),
            ("entropy_prior", ("uniform", "start")),
        ):
            value = getattr(self, name)
            _require(value in known, name, value, f"use {' or '.join(known)}")


@dataclass(frozen=True)
class MergingSettings:
    """How the regions of a part make its class (AnomalyNCD, region merging)."""

    rule: Literal["area", "mean", "score"] = "area"
    """What a region's class probabilities weigh: `area` as published, the larger the more; `mean`
    all alike; `score` in proportion to its anomaly score."""

    def __post_init__(self) -> None:
        rules = ("area", "mean", "score")
        _require(self.rule in rules, "rule", self.rule, "use area, mean or score")


@dataclass(frozen=True)
class RejectionSettings:
    """When new parts are called unseen or unsure in place of a class."""

    share: float = 0.05
    """Share of the known anomalous regions, each compared with those of other parts, that would be
    called unseen; 0 switches it off."""
    least_confidence: float = 0.5
    """Below this calibrated confidence, 0..1, a class is unsure; 0 switches it off."""

    def __post_init__(self) -> None:
        _require(0 <= self.share < 1, "share", self.share, "use 0 (off) to less than 1")
        least = self.least_confidence
        _require(0 <= least <= 1, "least_confidence", least, "use 0 (off) to 1")


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


def resolve_settings(preset: str | Settings, presets: dict[str, Settings]) -> Settings:
    """Settings by the name of a preset, of an estimator's; settings are returned as they are."""
    if isinstance(preset, Settings):
        return preset
    if preset not in presets:
        raise InputError(f"preset {preset!r} is not known; use one of {', '.join(presets)}")
    return presets[preset]

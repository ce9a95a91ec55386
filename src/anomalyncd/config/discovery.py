"""From vectors to classes."""

from dataclasses import dataclass
from typing import Literal

from anomalyncd.config.checks import require


@dataclass(frozen=True)
class TrainingConfig:
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
        require(within, "hard_share", self.hard_share, "use 0..1")
        positive = all(one > 0 for one in self.teacher_temperature)
        require(positive, "teacher_temperature", self.teacher_temperature, "use more than 0")
        for name in ("entropy_weight", "separation_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "use 0 (off) or more")
        for name, known in (
            ("start", ("random", "kmeans")),
            ("correction", ("published", "neighbours", "none")),
            ("head_choice", ("lowest_loss", "consensus")),
            ("trained", ("block", "prototypes")),
            ("entropy_prior", ("uniform", "start")),
        ):
            value = getattr(self, name)
            require(value in known, name, value, f"use {' or '.join(known)}")


@dataclass(frozen=True)
class AggregationConfig:
    """How the regions of a image make its class (AnomalyNCD, region merging)."""

    rule: Literal["area", "mean", "score"] = "area"
    """What a region's class probabilities weigh: `area` as published, the larger the more; `mean`
    all alike; `score` in proportion to its anomaly score."""

    def __post_init__(self) -> None:
        rules = ("area", "mean", "score")
        require(self.rule in rules, "rule", self.rule, "use area, mean or score")


@dataclass(frozen=True)
class ReliabilityConfig:
    """When new images are called unseen or unsure in place of a class."""

    share: float = 0.05
    """Share of the known anomalous regions, each compared with those of other images, that would be
    called unseen; 0 switches it off."""
    least_confidence: float = 0.5
    """Below this calibrated confidence, 0..1, a class is unsure; 0 switches it off."""

    def __post_init__(self) -> None:
        require(0 <= self.share < 1, "share", self.share, "use 0 (off) to less than 1")
        least = self.least_confidence
        require(0 <= least <= 1, "least_confidence", least, "use 0 (off) to 1")


@dataclass(frozen=True)
class ClassNumberConfig:
    """How the number of classes is estimated where it is not given."""

    max_classes: int = 25
    """Largest number of classes that is considered, the normal one included; five images for each
    kind of defect bound it as well."""
    n_resamples: int = 12
    """Draws of images that the estimate and its interval rest on."""
    n_components: int = 25
    """Principal components of the descriptors that are compared."""

    def __post_init__(self) -> None:
        require(self.max_classes >= 3, "max_classes", self.max_classes, "use 3 or more")
        require(self.n_resamples >= 2, "n_resamples", self.n_resamples, "use 2 or more")
        require(self.n_components >= 2, "n_components", self.n_components, "use 2 or more")

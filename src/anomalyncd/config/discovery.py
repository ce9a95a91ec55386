"""Config of the stages from descriptors to predictions."""

from typing import Annotated, Literal

from pydantic import Field

from anomalyncd.config.validation import Count, NonNegative, Positive, Share, validated

Epochs = Annotated[int, Field(ge=0)]
"""A number of passes over the regions, 0 or more."""


@validated("training")
class TrainingConfig:
    """How the prototypes of the classes are found and trained (AnomalyNCD, section 3.3)."""

    start: Literal["random", "kmeans"] = "kmeans"
    """Where the prototypes start: at `random` as published, or at the centres of spherical k-means
    (`kmeans`)."""
    correction: Literal["published", "neighbours", "none"] = "neighbours"
    """Which regions the anomaly scores correct to normal: those with a score below 0.5 as
    `published`; those with a low score of their own and of their nearest `neighbours`; or `none`,
    and the descriptor alone decides. With `none`, scores only choose which class of the k-means
    start is the normal one; after a random start it may be any class."""
    n_heads: Count = 4
    """Number of heads, which are independent sets of prototypes."""
    head_choice: Literal["lowest_loss", "consensus"] = "consensus"
    """Which head makes the predictions: that with the lowest loss in training, as published, or the
    `consensus`, which is the mean over all heads after their classes are matched."""
    epochs: Epochs = 0
    """Passes over the regions in training. 0 keeps the prototypes of the start and uses no
    augmented views."""
    batch_size: Count = 32
    """Regions in a training step, with two views of each."""
    learning_rate: Positive = 0.003
    """Learning rate of SGD in the first epoch; it falls to a thousandth along a cosine."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 5e-5
    """Weight decay of SGD, applied to matrices only."""
    trained: Literal["block", "prototypes"] = "block"
    """What is trained besides the projection: the read-out block and the prototypes, or the
    prototypes only."""
    teacher_temperature: tuple[Positive, Positive] = (0.07, 0.04)
    """Temperatures of the soft pseudo-labels: in the first epoch, and in the last fifth of the
    epochs."""
    hard_share: Share = 0.0
    """Share of a batch, the most confident regions, whose pseudo-labels become hard; reached after
    half of the epochs."""
    entropy_weight: NonNegative = 4.0
    """Weight of the mean-entropy term of the loss; 0 switches it off."""
    entropy_prior: Literal["uniform", "start"] = "uniform"
    """Class shares that this term draws the mean prediction to: equal shares as published, or those
    of the classes at the start."""
    separation_weight: NonNegative = 0.0
    """Weight of the loss term that separates the prototypes (ProtoGCD); 0 switches it off."""
    base_share: Share = 0.3
    """Weight of the losses of labelled regions where there is a base set."""
    contrast: bool = True
    """Whether the contrastive losses are used."""


@validated("aggregation")
class AggregationConfig:
    """How the predictions of the regions of an image become that of the image (AnomalyNCD, region
    merging)."""

    rule: Literal["area", "mean", "score"] = "area"
    """Weight of a region: its `area` as published, the same for all (`mean`), or its anomaly
    `score`."""


@validated("reliability")
class ReliabilityConfig:
    """When an image is predicted to be unseen or unsure instead of a class."""

    share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """A new region is unseen if its novelty is higher than 1 minus this share, which is also the
    share of the known anomalous regions that would be rejected. 0 switches it off."""
    least_confidence: Share = 0.5
    """A prediction whose confidence is lower than this is unsure; 0 switches it off."""


@validated("class_number")
class ClassNumberConfig:
    """How the number of classes is estimated where it is not given."""

    max_classes: Annotated[int, Field(ge=4)] = 25
    """Highest number of classes that is considered, the normal class included. A number that leaves
    fewer than five images for each kind of defect is not considered either."""
    n_resamples: Annotated[int, Field(ge=2)] = 12
    """Number of random subsets of the images that the estimate and its interval are based on."""
    n_components: Annotated[int, Field(ge=2)] = 25
    """Number of principal components to which the descriptors are reduced."""

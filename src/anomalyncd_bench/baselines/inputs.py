"""The inputs of all baselines: tokens of whole images, read once for one set of images."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.embedding.base_regions import BaseRegions
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.errors import InputError

Item = TypeVar("Item", covariant=True)
Value = TypeVar("Value")


class ReadOneByOne(Protocol[Item]):
    """A list, or an object like a list that reads each item when it is used."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """Tokens of N whole images from a frozen backbone."""

    cls: NDArray[np.float32]
    """CLS tokens after two thirds of the blocks, (N, D)."""
    patches: ReadOneByOne[Tensor]
    """For each image (blocks, D, rows, columns), float32, every token normalised."""


@dataclass(frozen=True, eq=False)
class LabelledTokens:
    """Tokens of B images of other products with known classes."""

    cls: NDArray[np.float32]
    """CLS tokens after two thirds of the blocks, (B, D)."""
    labels: NDArray[np.int64]
    """Class of each, (B,), 0..n_classes - 1."""
    n_classes: int


@dataclass(frozen=True, eq=False)
class TrainingViews:
    """Whole images in several augmented views, for baselines that are trained."""

    encoder: RegionEncoder
    """Reads the CLS token after the last block, unguided; baselines train copies of it."""
    tokens: TokenStore
    """Frozen tokens of all views of each image."""
    base: BaseRegions | None = None
    """Those of labelled images of other products."""


@dataclass(frozen=True, eq=False)
class BaselineInputs:
    """One set of images; fields that a baseline does not need may be None."""

    n_classes: int
    """Number of classes, the normal class included."""
    seed: int
    """Seed of everything random."""
    images: ImageTokens
    """The images."""
    maps: ReadOneByOne[NDArray[np.float32]] | None = None
    """For each image an anomaly map, (H, W), of any size."""
    normals: ImageTokens | None = None
    """Normal images."""
    base: LabelledTokens | None = None
    """Labelled images of other products."""
    views: TrainingViews | None = None
    """The images for training."""


class Baseline(Protocol):
    """A published method on the inputs that all baselines share."""

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `BaselineInputs` without which it cannot run."""
        ...

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """Finds classes among the images.

        Args:
            inputs: The images.

        Returns:
            Class of each image, (N,), 0..n_classes - 1 in no particular order.

        Raises:
            InputError: Something that the baseline needs is missing.
        """
        ...


def required(value: Value | None, what: str, baseline: str) -> Value:
    """Returns a value that a baseline needs.

    Raises:
        InputError: It is None.
    """
    if value is None:
        raise InputError(f"{baseline} cannot run without {what}; give them, or omit {baseline}")
    return value

"""What all rivals share: tokens of whole images, read once, for one set of images."""

from collections.abc import Mapping
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
Found = TypeVar("Found")


class ReadOneByOne(Protocol[Item]):
    """A list, or what looks like one and reads each item when asked for it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """What a frozen backbone says of some whole images."""

    cls: Mapping[int, NDArray[np.float32]]
    """Block, counted from 0, to its CLS tokens, (N, D), normalised as the last block's are."""
    patches: ReadOneByOne[Tensor]
    """For each image (blocks, D, rows, columns), float32, every token normalised."""


@dataclass(frozen=True, eq=False)
class LabelledTokens:
    """Images of other products whose classes are known."""

    cls: Mapping[int, NDArray[np.float32]]
    """Block to CLS tokens, (B, D), as in `ImageTokens`."""
    labels: NDArray[np.int64]
    """Class of each, (B,), 0..n_classes - 1."""
    n_classes: int


@dataclass(frozen=True, eq=False)
class TrainingViews:
    """Whole images in several augmented views, for rivals that are trained."""

    encoder: RegionEncoder
    """Reads the CLS token after the last block, unguided; rivals train copies of it."""
    tokens: TokenStore
    """Frozen tokens of all views of each image."""
    base: BaseRegions | None = None
    """Those of labelled images of other products; None without any."""


@dataclass(frozen=True, eq=False)
class BaselineInputs:
    """One set of images as all rivals see it; what a rival has no use for may be left out."""

    n_classes: int
    """How many classes to find, the normal one included."""
    seed: int
    """Of everything random."""
    images: ImageTokens
    """The images."""
    maps: ReadOneByOne[NDArray[np.float32]] | None = None
    """For each image an anomaly map, (H, W), of any size."""
    normals: ImageTokens | None = None
    """Normal images."""
    base: LabelledTokens | None = None
    """Labelled images of other products."""
    views: TrainingViews | None = None
    """The images as trained rivals see them."""


class Baseline(Protocol):
    """A published method, as far as `BaselineInputs` let it be one."""

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `BaselineInputs` that it cannot do without."""
        ...

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """Finds classes among the images.

        Args:
            inputs: The images.

        Returns:
            Class of each image, (N,), 0..n_classes - 1 in no particular order.

        Raises:
            InputError: Something that the rival needs is missing.
        """
        ...


def required(value: Found | None, what: str, baseline: str) -> Found:
    """The value, which a rival needs.

    Raises:
        InputError: It is None.
    """
    if value is None:
        raise InputError(
            f"{baseline} cannot run without {what}; give them, or leave {baseline} out"
        )
    return value

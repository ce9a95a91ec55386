"""Large and elongated images are looked at in overlapping square tiles, as if these were images."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.pixels import LARGEST
from anomalyncd.config import DetectorConfig
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.key import key

OVERLAP = 1 / 8
"""Smallest overlap of neighbouring tiles, as a share of their side."""
_SIDE = 448
_MAX_SHRINK = 4
_ELONGATED = 3
_BETWEEN = "//"
"""Between the name of an image and the number of a tile; no name of a file contains it."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of whole pixels inside an image or a map."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Returns the view of this rectangle of an image, (H, W) or (H, W, C)."""
        rows = slice(self.top, self.top + self.height)
        return pixels[rows, self.left : self.left + self.width]


def chosen_tile_side(sizes: NDArray[np.int64], config: DetectorConfig) -> int | None:
    """Returns the side of the tiles in which images of these sizes are looked at.

    Args:
        sizes: Height and width of each image, (N, 2), px; the medians decide.
        config: Config of the detector.

    Returns:
        Side in px; None where images are looked at whole: where the resolution shows at least a
        quarter of their pixels in each direction, or all of them for elongated images.
    """
    if config.tile is not None:
        return config.tile or None
    short, long = _typical(sizes)
    shrink = math.sqrt(short * long) / max(LARGEST, config.resolution or 0)
    if shrink <= (1 if are_elongated(sizes) else _MAX_SHRINK):
        return None
    return int(min(short, max(_SIDE, config.resolution or 0)))


def are_elongated(sizes: NDArray[np.int64]) -> bool:
    """Returns whether images are more than three times as long as wide, at the medians."""
    short, long = _typical(sizes)
    return long > _ELONGATED * short


def _typical(sizes: NDArray[np.int64]) -> tuple[float, float]:
    """Medians of the short and of the long sides."""
    short, long = np.median(np.sort(sizes, axis=1), axis=0)
    return float(short), float(long)


def tiles_of(size: Sequence[int], side: int) -> list[Tile]:
    """Covers an image with tiles of one size at equal distances, row by row.

    Args:
        size: Height and width of the image, px.
        side: Side of a tile, px; a smaller image has tiles as high, or as wide, as itself.
    """
    height, width = (min(length, side) for length in size)
    return [
        Tile(top, left, height, width)
        for top in _starts(size[0], height)
        for left in _starts(size[1], width)
    ]


def _starts(length: int, side: int) -> list[int]:
    count = math.ceil((length - side) / (side * (1 - OVERLAP))) + 1
    starts: list[int] = np.rint(np.linspace(0, length - side, count)).astype(int).tolist()
    return starts


@dataclass(frozen=True, eq=False)
class TiledImages(ImageSet):
    """The tiles of some images, in the order of the images; `sources` are those of their images.

    The image that was read last stays in memory, so tiles should be read in their order.
    """

    side: int = 0
    """Side of a tile, px."""
    tiles: tuple[Tile, ...] = ()
    """Where each tile lies in its image."""
    images: ImageSet = field(default_factory=lambda: ImageSet((), ()))
    """The images."""
    image_index: tuple[int, ...] = ()
    """Index of the image of each tile."""
    _latest: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Returns one tile, HxWx3 uint8, red first."""
        number = self.image_index[index]
        if number not in self._latest:
            self._latest.clear()
            self._latest[number] = self.images.image(number)
        return np.ascontiguousarray(self.tiles[index].cut(self._latest[number]), np.uint8)

    def digest(self, index: int) -> str:
        """See `ImageSet.digest`."""
        return key(self.image(index))

    def select(self, indices: Iterable[int]) -> "TiledImages":
        """Returns the tiles at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        return TiledImages(
            tuple(self.names[index] for index in chosen),
            tuple(self.sources[index] for index in chosen),
            side=self.side,
            tiles=tuple(self.tiles[index] for index in chosen),
            images=self.images,
            image_index=tuple(self.image_index[index] for index in chosen),
        )


def tiled(images: ImageSet, side: int | None) -> ImageSet:
    """Returns the tiles of all images, or the images where there is no side of tiles.

    Args:
        images: The images; each is read once.
        side: Side of a tile, px.
    """
    if side is None:
        return images
    latest: dict[int, NDArray[np.uint8]] = {}
    tiles, numbers, names = [], [], []
    for number, name in enumerate(images.names):
        latest = {number: images.image(number)}
        of_image = tiles_of(latest[number].shape[:2], side)
        tiles += of_image
        numbers += [number] * len(of_image)
        names += [f"{name}{_BETWEEN}{index}" for index in range(len(of_image))]
    sources = tuple(images.sources[number] for number in numbers)
    return TiledImages(
        tuple(names),
        sources,
        side=side,
        tiles=tuple(tiles),
        images=images,
        image_index=tuple(numbers),
        _latest=latest,
    )


def owners(names: Sequence[str]) -> list[str]:
    """Returns what must not be compared with itself: for each tile its image, or itself if all
    tiles are of one image; for whole images their names."""
    images = [name.partition(_BETWEEN)[0] for name in names]
    return images if len(set(images)) > 1 else list(names)


def are_own(names: Sequence[str], name: str) -> list[bool]:
    """Returns which names must not be compared with an image or a tile, see `owners`."""
    owned = owners(names)
    own = name.partition(_BETWEEN)[0] if owned != list(names) else name
    return [one == own for one in owned]

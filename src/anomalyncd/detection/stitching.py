"""One anomaly map of the scores of overlapping tiles."""

import numpy as np
from numpy.typing import NDArray

from anomalyncd.detection.tiles import OVERLAP, Tile


class Stitched:
    """A map that the scores of tiles are added to; where tiles overlap, one fades into the other.

    Args:
        size: Height and width of the image, px.
        scale: Pixels of the map for each pixel of the image.
        side: Side of a tile, px.
    """

    def __init__(self, size: tuple[int, int], scale: float, side: int) -> None:
        self._size, self._fade = size, OVERLAP * side
        shape = tuple(max(1, round(length * scale)) for length in size)
        self._sums, self._weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def add(self, scores: NDArray[np.float32], tile: Tile) -> None:
        """Adds the scores of the patches of one tile, (rows, columns), by linear interpolation."""
        down = self._axis(0, tile.top, tile.height, scores.shape[0])
        across = self._axis(1, tile.left, tile.width, scores.shape[1])
        place = (down[0], across[0])
        weights = np.outer(down[2], across[2])
        self._sums[place] += weights * (down[1] @ scores @ across[1].T)
        self._weights[place] += weights

    def scores(self) -> NDArray[np.float32]:
        """Returns the map, (h, w), float32, after all tiles were added."""
        return np.divide(self._sums, self._weights, out=self._sums)

    def _axis(
        self, axis: int, start: int, length: int, n_patches: int
    ) -> tuple[slice, NDArray[np.float32], NDArray[np.float32]]:
        """Along one axis: the pixels of the map on a tile, the shares of its patches in each of
        them, (pixels, patches), and how much each counts."""
        scale = self._sums.shape[axis] / self._size[axis]
        first, stop = (int(np.ceil(round(end * scale - 0.5, 6))) for end in (start, start + length))
        positions = (np.arange(first, stop) + 0.5) / scale - start
        patches = np.clip(positions / length * n_patches - 0.5, 0, n_patches - 1)
        shares = np.maximum(0, 1 - np.abs(patches[:, None] - np.arange(n_patches)))
        # The outer half of the outermost patches is extrapolated, so it counts for nothing.
        half = length / n_patches / 2
        inside = np.full(len(positions), np.inf)
        if start > 0:
            inside = np.minimum(inside, positions - half)
        if start + length < self._size[axis]:
            inside = np.minimum(inside, length - positions - half)
        weights = np.clip(inside / max(self._fade - 2 * half, 1e-6), 1e-6, 1)
        return slice(first, stop), shares.astype(np.float32), weights.astype(np.float32)

"""The position embedding of a backbone, resampled to any grid of patches."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def resampled(
    positions: NDArray[np.float32], grid: tuple[int, int], antialias: bool
) -> NDArray[np.float32]:
    """Resamples a position embedding as `VisionTransformer.positions` does (bicubic).

    Args:
        positions: Of the patches of a square grid, (S * S, D), row by row.
        grid: Rows and columns of the new grid.
        antialias: Whether neighbours are averaged where the grid shrinks.

    Returns:
        (1, rows * columns, D).
    """
    side = round(len(positions) ** 0.5)
    if grid == (side, side):
        return positions[None]
    weights = _antialiased_weights if antialias else _weights
    down, across = (weights(side, length) for length in grid)
    square = positions.reshape(side, side, -1).astype(np.float64)
    moved = np.einsum("rs,sct->rct", down, square)
    moved = np.einsum("kc,rct->rkt", across, moved)
    return np.ascontiguousarray(moved.reshape(1, grid[0] * grid[1], -1), np.float32)


def _weights(length: int, new: int) -> NDArray[np.float64]:
    """Share of each old position in each new one, (new, length); the outermost ones repeat."""
    weights = np.zeros((new, length))
    centres = (np.arange(new) + 0.5) * length / new - 0.5
    first = np.floor(centres).astype(int)
    for offset in range(-1, 3):
        columns = np.clip(first + offset, 0, length - 1)
        np.add.at(weights, (np.arange(new), columns), _cubic(centres - first - offset, -0.75))
    return weights


def _antialiased_weights(length: int, new: int) -> NDArray[np.float64]:
    """As `_weights`, with a kernel that widens where the grid shrinks."""
    scale = length / new
    width = max(scale, 1.0)
    weights = np.zeros((new, length))
    for row in range(new):
        centre = scale * (row + 0.5)
        start = max(int(centre - 2 * width + 0.5), 0)
        stop = min(int(centre + 2 * width + 0.5), length)
        shares = _cubic((np.arange(start, stop) - centre + 0.5) / width, -0.5)
        weights[row, start:stop] = shares / shares.sum()
    return weights


def _cubic(distance: NDArray[np.floating[Any]], a: float) -> NDArray[np.floating[Any]]:
    """Keys' kernel of cubic convolution."""
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

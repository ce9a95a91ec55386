"""Tokens of shapes that are drawn on a grid of patches, as a backbone might compute them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GRID = (40, 40)
SIZE = (320, 320)
"""Height and width of the image that the grid covers, px."""
_BACKGROUND = torch.tensor([1.0, 1, 1, 1, -1, -1, -1, -1])
_PRODUCT = torch.tensor([1.0, 1, -1, -1, 1, 1, -1, -1])


def tokens_of(product: NDArray[np.bool_], seed: int = 0) -> Tensor:
    """Patch tokens (8, rows, columns): one kind for the product, another for the background."""
    noise = torch.randn(8, *product.shape, generator=torch.Generator().manual_seed(seed))
    kinds = torch.where(
        torch.from_numpy(product), _PRODUCT[:, None, None], _BACKGROUND[:, None, None]
    )
    return kinds + noise / 10


def texture(seed: int) -> Tensor:
    """Random patch tokens (8, 40, 40)."""
    return torch.randn(8, *GRID, generator=torch.Generator().manual_seed(seed))


def block(top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
    """A rectangle of patches."""
    mask = np.zeros(GRID, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def club(angle: float, centre: tuple[float, float] = (20, 20)) -> NDArray[np.bool_]:
    """A stick with a thick end, which points at an angle, in radians from x to y."""
    y, x = np.mgrid[: GRID[0], : GRID[1]] + 0.5
    along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    stick = (np.abs(along) < 10) & (np.abs(across) < 1.6)
    thick = np.hypot(along - 8, across) < 4
    return np.asarray(stick | thick)

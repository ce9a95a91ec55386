"""Where the product is in a picture, told from a plain background by the backbone's tokens."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.features import normalised
from anomalyncd.io.component import Component

_LEAST_SEPARATION = 0.8
_MOST_ON_BORDER = 0.1
_COVERS = (0.02, 0.8)
_N_BINS = 256
_SPECK = 0.1
"""Pieces smaller than this share of the largest are no product."""


@dataclass(frozen=True, eq=False)
class PrincipalComponent(Component):
    """Tells patches of the product from those of the background."""

    mean: Tensor
    """(D,): the mean token of all pictures."""
    direction: Tensor
    """(D,): the first principal component, towards the product."""
    threshold: float
    """How far along it the product begins."""

    def mask(self, patches: Tensor) -> NDArray[np.bool_]:
        """Where the product is: the largest connected piece, its holes filled.

        Args:
            patches: Tokens (D, rows, columns).

        Returns:
            (rows, columns), bool; nowhere where no patch looks like it.
        """
        product = _along(patches, self.mean, self.direction) > self.threshold
        return largest_pieces(product, 1)

    def smooth_mask(
        self, patches: Tensor, size: tuple[int, int], max_pieces: int
    ) -> NDArray[np.bool_]:
        """Where the product is, with an outline that is finer than patches.

        How far each patch lies along the component is interpolated before it is compared with the
        threshold. Gaps narrower than half a patch are closed.

        Args:
            patches: Tokens (D, rows, columns).
            size: Height and width of the mask, px.
            max_pieces: Most connected pieces; see `largest_pieces`.

        Returns:
            (height, width), bool.
        """
        along = _along(patches, self.mean, self.direction)
        height, width = size
        fine = cv2.resize(along, (width, height), interpolation=cv2.INTER_CUBIC) > self.threshold
        half = max(1, round(height / along.shape[0] / 2))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (half, half))
        closed = cv2.morphologyEx(fine.astype(np.uint8), cv2.MORPH_CLOSE, disc)
        return largest_pieces(closed.astype(bool), max_pieces)


def largest_pieces(mask: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """The largest connected pieces of a mask, holes filled, without specks.

    Args:
        mask: (rows, columns), bool.
        most: How many pieces; one that is less than a tenth of the largest is left out.

    Returns:
        (rows, columns), bool.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    if count == 1:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")[:most]
    kept = np.isin(labels, 1 + order[areas[order] >= _SPECK * areas.max()])
    outside = cv2.connectedComponents(
        np.pad(~kept, 1, constant_values=True).astype(np.uint8), connectivity=4
    )[1]
    filled: NDArray[np.bool_] = (outside != outside[0, 0])[1:-1, 1:-1]
    return filled


def fit_principal_component(pictures: list[Tensor]) -> PrincipalComponent | None:
    """Learns to tell the product from the background, where there is one.

    The first principal component of all tokens is split where the variance between both sides is
    largest (Otsu). The side that lies on the border of the pictures is the background. There is
    none, and the pictures show nothing but product, unless the split explains most of the
    variance, leaves hardly any product on the border, and the product is neither tiny nor nearly
    everything.

    Args:
        pictures: For each picture its tokens (D, rows, columns).

    Returns:
        None where no background is found, as for textures.

    Source: AnomalyDINO (Damm et al., WACV 2025), section 3.3; the conditions are our own.
    """
    tokens = torch.cat([normalised(one).flatten(1).T for one in pictures]).float().cpu()
    mean = tokens.mean(0)
    direction = torch.linalg.eigh(torch.cov((tokens - mean).T)).eigenvectors[:, -1]
    values = ((tokens - mean) @ direction).numpy()
    threshold, separation = _otsu(values)
    if separation < _LEAST_SEPARATION:
        return None
    border = [_border(_along(one, mean, direction) > threshold) for one in pictures]
    if np.median(border) > 0.5:
        direction, threshold = -direction, -threshold
    product = PrincipalComponent(mean, direction, threshold)
    masks = [product.mask(one) for one in pictures]
    on_border = float(np.median([_border(one) for one in masks]))
    covered = float(np.median([one.mean() for one in masks]))
    found = on_border <= _MOST_ON_BORDER and _COVERS[0] <= covered <= _COVERS[1]
    return product if found else None


def _along(patches: Tensor, mean: Tensor, direction: Tensor) -> NDArray[np.float32]:
    tokens = normalised(patches).float().cpu()
    values = torch.einsum("dij,d->ij", tokens - mean[:, None, None], direction)
    return np.asarray(values.numpy(), np.float32)


def _border(mask: NDArray[np.bool_]) -> float:
    """Share of the outermost patches that are marked."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = True
    return float(mask[~inner].mean())


def _otsu(values: NDArray[np.float32]) -> tuple[float, float]:
    """The threshold that splits values best, and the share of their variance that it explains."""
    counts, edges = np.histogram(values, _N_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    means_below = sums[:-1] / np.maximum(below, 1)
    means_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means_below - means_above) ** 2 / counts.sum() ** 2
    best = int(between.argmax())
    return float(edges[best + 1]), float(between[best] / max(float(values.var()), 1e-12))

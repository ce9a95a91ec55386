"""The foreground of images with a plain background, from the tokens of the backbone."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.features import normalised
from anomalyncd.foreground.components import largest_components
from anomalyncd.io.component import Component

_LEAST_SEPARATION = 0.8
_MOST_ON_BORDER = 0.1
_COVERAGE = (0.02, 0.8)
_N_BINS = 256


@dataclass(frozen=True, eq=False)
class PrincipalComponent(Component):
    """Separates patches of the foreground from patches of the background."""

    mean: Tensor
    """Mean patch token of all images, (D,)."""
    direction: Tensor
    """First principal component of the patch tokens, pointing to the foreground, (D,)."""
    threshold: float
    """Coordinate along the direction above which a patch is foreground."""

    def mask(self, patches: Tensor) -> NDArray[np.bool_]:
        """Returns the largest connected component of the foreground, its holes filled.

        Args:
            patches: Patch tokens of an image, (D, rows, columns).

        Returns:
            (rows, columns), bool; all False if no patch is foreground.
        """
        foreground = _coordinates(patches, self.mean, self.direction) > self.threshold
        return largest_components(foreground, 1)

    def smooth_mask(
        self, patches: Tensor, size: tuple[int, int], max_components: int
    ) -> NDArray[np.bool_]:
        """Returns the foreground with an outline that is finer than patches.

        The coordinates of the patches are interpolated before they are compared with the
        threshold. Gaps narrower than half a patch are closed.

        Args:
            patches: Patch tokens of an image, (D, rows, columns).
            size: Height and width of the mask, px.
            max_components: Largest number of connected components; see `largest_components`.

        Returns:
            (height, width), bool.
        """
        coordinates = _coordinates(patches, self.mean, self.direction)
        height, width = size
        interpolated = cv2.resize(coordinates, (width, height), interpolation=cv2.INTER_CUBIC)
        foreground = (interpolated > self.threshold).astype(np.uint8)
        half_patch = max(1, round(height / coordinates.shape[0] / 2))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (half_patch, half_patch))
        closed = cv2.morphologyEx(foreground, cv2.MORPH_CLOSE, disc)
        return largest_components(closed.astype(bool), max_components)


def fit_principal_component(images: list[Tensor]) -> PrincipalComponent | None:
    """Learns to separate the foreground from a plain background, if there is one.

    The coordinates of all patch tokens along their first principal component are split where the
    variance between both sides is largest (Otsu). The side that lies on the border of the images is
    the background. There is a plain background if the split explains most of the variance, hardly
    any foreground lies on the border, and the foreground is neither tiny nor nearly everything.

    Args:
        images: Patch tokens of each image, (D, rows, columns).

    Returns:
        None if there is no plain background, as in images of textures.

    Source: AnomalyDINO (Damm et al., WACV 2025), section 3.3; the conditions are our own.
    """
    tokens = torch.cat([normalised(patches).flatten(1).T for patches in images]).float().cpu()
    mean = tokens.mean(0)
    direction = torch.linalg.eigh(torch.cov((tokens - mean).T)).eigenvectors[:, -1]
    threshold, separation = _otsu(((tokens - mean) @ direction).numpy())
    if separation < _LEAST_SEPARATION:
        return None
    above = [_coordinates(patches, mean, direction) > threshold for patches in images]
    if np.median([_share_of_border(mask) for mask in above]) > 0.5:
        direction, threshold = -direction, -threshold
    component = PrincipalComponent(mean, direction, threshold)
    masks = [component.mask(patches) for patches in images]
    on_border = float(np.median([_share_of_border(mask) for mask in masks]))
    covered = float(np.median([mask.mean() for mask in masks]))
    is_plain = on_border <= _MOST_ON_BORDER and _COVERAGE[0] <= covered <= _COVERAGE[1]
    return component if is_plain else None


def _coordinates(patches: Tensor, mean: Tensor, direction: Tensor) -> NDArray[np.float32]:
    """Coordinates of patch tokens (D, rows, columns) along a direction, (rows, columns)."""
    tokens = normalised(patches).float().cpu()
    coordinates = torch.einsum("dij,d->ij", tokens - mean[:, None, None], direction)
    return np.asarray(coordinates.numpy(), np.float32)


def _share_of_border(mask: NDArray[np.bool_]) -> float:
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

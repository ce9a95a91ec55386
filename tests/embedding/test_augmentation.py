"""Augmented views change colours as the published code does."""

import numpy as np
import pytest
import torch

from anomalyncd.backbone.pixels import MEAN, STD
from anomalyncd.config import CropConfig
from anomalyncd.embedding.augmentation import CropBatch, augmented_view

CONFIG = CropConfig(load_size=72, size=64)
N_VIEWS = 400


def views_of(
    image: torch.Tensor, config: CropConfig = CONFIG, n_views: int = N_VIEWS
) -> np.ndarray:
    """Augmented views of one crop (3, S, S), as colours 0..1, (N, 3, s, s)."""
    torch.manual_seed(0)
    images = image.expand(n_views, -1, -1, -1)
    view = augmented_view(CropBatch(images, torch.ones(n_views, 1, *image.shape[1:])), config)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (view.images * std + mean).numpy()


def two_tone(dark: float, bright: float) -> torch.Tensor:
    """Broad stripes, whose middles no blur or sharpening reaches."""
    image = torch.full((3, 72, 72), dark)
    image[:, :, 36:] = bright
    return image


def test_brightness_is_a_factor() -> None:
    means = views_of(torch.full((3, 72, 72), 0.35)).mean((1, 2, 3))
    assert means.std() == pytest.approx(0.35 * 0.8 / 12**0.5, rel=0.1)
    # Posterisation takes up to 7 of 255 levels away.
    assert means.min() == pytest.approx(0.35 * 0.6, abs=0.03)
    assert means.max() == pytest.approx(0.35 * 1.4, abs=0.03)


def test_contrast_is_a_factor_about_the_mean() -> None:
    views = views_of(two_tone(0.3, 0.5))
    ratio = (views.max((1, 2, 3)) - views.min((1, 2, 3))) / views.mean((1, 2, 3)) / 0.5
    # Sharpening overshoots at the edge and posterisation rounds, so the bounds are not exact.
    assert np.quantile(ratio, 0.02) == pytest.approx(0.6, abs=0.12)
    assert np.quantile(ratio, 0.9) == pytest.approx(1.4, abs=0.25)
    assert views.mean((1, 2, 3)).std() == pytest.approx(0.4 * 0.8 / 12**0.5, rel=0.15)


def test_saturation_is_a_factor_about_grey() -> None:
    image = torch.tensor([0.5, 0.4, 0.3])[:, None, None].expand(3, 72, 72)
    views = views_of(image).mean((2, 3))
    difference = (views[:, 0] - views[:, 2]) / views.mean(1) / (0.2 / 0.4)
    assert np.quantile(difference, 0.05) == pytest.approx(0.6, abs=0.1)
    assert np.quantile(difference, 0.95) == pytest.approx(1.8, abs=0.3)


def test_blur_has_a_sigma_of_at_most_two_pixels() -> None:
    edges = views_of(two_tone(0.3, 0.6))
    widths = []
    for view in edges[:, 0]:
        rows = view if np.ptp(view.mean(0)) > np.ptp(view.mean(1)) else view.T
        profile = rows.mean(0)
        # The steepest step of an edge of sigma s is 1 / (s sqrt(2 pi)) of its height.
        widths.append(np.ptp(profile) / np.abs(np.diff(profile)).max() / (2 * np.pi) ** 0.5)
    assert np.median(widths) == pytest.approx(1.05, abs=0.35)
    assert max(widths) < 2.6


def test_colours_are_posterised() -> None:
    ramp = torch.linspace(0.2, 0.8, 72).expand(3, 72, 72)
    n_levels = [len(np.unique(np.rint(view[0] * 255))) for view in views_of(ramp, n_views=60)]
    assert min(n_levels) < 25
    assert max(n_levels) > 50


def test_without_colour_only_the_geometry_changes() -> None:
    views = views_of(two_tone(0.3, 0.6), CropConfig(load_size=72, size=64, colour=0.0))
    assert np.unique(np.rint(views * 100)).tolist() == [30, 60]

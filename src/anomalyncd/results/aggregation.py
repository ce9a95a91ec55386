"""From regions to images: probabilities merged, and how much of each class there is."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

TEMPERATURE_SHARE = 0.125


def merging_temperature(height: ArrayLike, width: ArrayLike) -> NDArray[np.float64]:
    """Temperature of `merge_regions` that follows the size of the images.

    It is an eighth of sqrt(height * width), so that the weights stay the same when images are
    resized (our own). AnomalyNCD sets it by hand: 100 for MVTec AD (700 to 1024 px a side, 965 px
    on average over its categories, a share of 0.104) and 50 for MTD (316 px in the median, a share
    of 0.158). The geometric mean of the shares is 0.128; an eighth lies 21 % above the first
    temperature and 21 % below the second.

    Args:
        height: Height of each image in px, (N,) or one number.
        width: Width of each image in px, (N,) or one number.

    Returns:
        Temperature in px, (N,) or one number.
    """
    area = np.asarray(height, np.float64) * np.asarray(width, np.float64)
    return TEMPERATURE_SHARE * np.sqrt(area)


def merge_regions(
    probabilities: NDArray[np.floating[Any]],
    areas: NDArray[np.integer[Any]],
    image_of_region: NDArray[np.integer[Any]],
    n_images: int,
    temperature: ArrayLike,
) -> NDArray[np.float64]:
    """Merges the class probabilities of each image's regions, large regions counting more.

    Args:
        probabilities: Class probabilities of each region, (R, K).
        areas: Mask pixels of each region, (R,), at the size of the image.
        image_of_region: Index of the image of each region, (R,).
        n_images: Number of images; each has at least one region.
        temperature: In px, (N,) or one number, see `merging_temperature`; the lower, the more the
            largest region decides.

    Returns:
        Class probabilities of each image, (N, K): the mean of its regions' probabilities weighted
        by softmax(sqrt(area) / temperature) over these regions (AnomalyNCD, region merging).

    Raises:
        ValueError: An image has no region.
    """
    _require_regions(image_of_region, n_images)
    weights = area_weights(areas, image_of_region, n_images, temperature)
    return _weighted_mean(probabilities, weights, image_of_region, n_images)


def area_weights(
    areas: NDArray[np.integer[Any]],
    image_of_region: NDArray[np.integer[Any]],
    n_images: int,
    temperature: ArrayLike,
) -> NDArray[np.float64]:
    """Weight of each region within its image, (R,), 1 for the largest one; see `merge_regions`."""
    temperatures = np.broadcast_to(np.asarray(temperature, np.float64), n_images)
    exponent = np.sqrt(areas.astype(np.float64)) / temperatures[image_of_region]
    peak = np.full(n_images, -np.inf)
    np.maximum.at(peak, image_of_region, exponent)
    weights: NDArray[np.float64] = np.exp(exponent - peak[image_of_region])
    return weights


def merge_regardless_of_area(
    probabilities: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    image_of_region: NDArray[np.integer[Any]],
    n_images: int,
    rule: Literal["mean", "score"],
) -> NDArray[np.float64]:
    """Merges the class probabilities of each image's regions by their scores, or all alike.

    Args:
        probabilities: Class probabilities of each region, (R, K).
        scores: Anomaly score of each region, (R,), 0 or more.
        image_of_region: Index of the image of each region, (R,).
        n_images: Number of images; each has at least one region.
        rule: `mean` gives all regions of an image the same weight, `score` one in proportion to
            their scores; regions without any score are alike.

    Returns:
        Class probabilities of each image, (N, K); what merging by area is compared with.

    Raises:
        ValueError: An image has no region.
    """
    _require_regions(image_of_region, n_images)
    weights = np.ones(len(image_of_region))
    if rule == "score":
        weights = np.maximum(scores.astype(np.float64), 1e-9)
    return _weighted_mean(probabilities, weights, image_of_region, n_images)


def _weighted_mean(
    probabilities: NDArray[np.floating[Any]],
    weights: NDArray[np.float64],
    image_of_region: NDArray[np.integer[Any]],
    n_images: int,
) -> NDArray[np.float64]:
    """Mean over the regions of each image, (N, K), with weights above 0."""
    weights = weights / np.bincount(image_of_region, weights, n_images)[image_of_region]
    merged = np.zeros((n_images, probabilities.shape[1]))
    np.add.at(merged, image_of_region, weights[:, None] * probabilities)
    return merged


def class_areas(
    assignment: NDArray[np.integer[Any]],
    areas: NDArray[np.integer[Any]],
    image_of_region: NDArray[np.integer[Any]],
    n_images: int,
    n_classes: int,
) -> NDArray[np.int64]:
    """Counts the mask pixels of each class in each image, for images with several kinds of defect.

    Args:
        assignment: Class index of each region, (R,).
        areas: Mask pixels of each region, (R,), at the size of the image.
        image_of_region: Index of the image of each region, (R,).
        n_images: Number of images.
        n_classes: Number of classes.

    Returns:
        (N, K), int64, in px; pixels in several overlapping regions count in each (our own).
    """
    pixels = np.zeros((n_images, n_classes), np.int64)
    np.add.at(pixels, (image_of_region, assignment), areas)
    return pixels


def _require_regions(image_of_region: NDArray[np.integer[Any]], n_images: int) -> None:
    empty = np.flatnonzero(np.bincount(image_of_region, minlength=n_images) == 0)
    if len(empty):
        raise ValueError(
            f"image {empty[0]} has no region ({len(empty)} of {n_images} have none); "
            "give the whole image as its region"
        )

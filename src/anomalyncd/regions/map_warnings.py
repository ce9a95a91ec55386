"""Warnings about anomaly maps and their regions, each with a remedy."""

from collections.abc import Iterator

import numpy as np

from anomalyncd.errors import InputError
from anomalyncd.regions.inspection import MapInspection

_LARGE_COVER = 0.25
"""Share of an image, at the median; defects that large are rare, wrong regions are not."""
_MANY_REGIONS = 4
_AT_EDGE = 0.5
_FEW, _NEARLY_ALL = 0.05, 0.95
_EIGHT_BITS = 256
_ERODED_SHARE = 0.05


def map_warnings(inspection: MapInspection) -> list[str]:
    """Lists what a person should check before a discovery.

    Args:
        inspection: All maps and their regions.

    Returns:
        A few sentences for each warning: what was found, what it causes and how to mend it. Empty
        where nothing is unusual.
    """
    return [
        *inspection.warnings,
        *_about_maps(inspection),
        *_about_range(inspection),
        *_about_images_with_regions(inspection),
        *_about_regions(inspection),
    ]


def refuse_constant_maps(inspection: MapInspection) -> None:
    """Raises if no map distinguishes any place from the others.

    Raises:
        InputError: All scores of each map are the same.
    """
    if (inspection.n_different == 1).all():
        raise InputError(
            f"all scores are the same on the map of '{inspection.maps.names[0]}' and on every "
            "other map, so that nothing can be found; check the detector, or leave `maps` out to "
            "have maps made"
        )


def _about_maps(inspection: MapInspection) -> Iterator[str]:
    most = int(inspection.n_different.max())
    if 1 < most <= _EIGHT_BITS and inspection.config.rules == "default":
        yield (
            f"No map has more than {most} different scores, as in pictures of 8 bits: small "
            "differences were rounded away. Save the maps in floating point, as .npy or .tif."
        )
    side, erosion = float(np.median(inspection.sides)), inspection.config.erosion
    if erosion > 1 and erosion > _ERODED_SHARE * side:
        yield (
            f"The maps have about {side:.0f} x {side:.0f} pixels, and erosion removes regions "
            f"narrower than {erosion} pixels. Enlarge the maps smoothly to about 256 x 256."
        )


def _about_range(inspection: MapInspection) -> Iterator[str]:
    n_same = _n_same_maxima(inspection)
    if n_same:
        yield (
            f"{n_same} of {len(inspection)} maps have the same maximum, "
            f"{float(inspection.maxima.max()):.4g}. If each map was scaled separately or clipped "
            "at the top, a good image looks as anomalous as a defective one. Save the scores as "
            "the detector returns them, in one unit for all images."
        )
    calibration = inspection.score_range.calibration
    if calibration is not None:
        name = inspection.maps.names[inspection.highest]
        highest = float(inspection.maps[inspection.highest].max())
        yield (
            f"A few scores are far above the others: '{name}' reaches {highest:.4g}. Scores above "
            f"{calibration.level:.4g} count by their logarithm, so that the other images keep "
            "their thresholds. Remove the image if its score is a mistake."
        )


def _about_images_with_regions(inspection: MapInspection) -> Iterator[str]:
    n_with, n_images = int((~inspection.without_region).sum()), len(inspection)
    has_normals = len(inspection.normal_maxima) > 0
    if n_with <= _FEW * n_images:
        has = f"Only {n_with} of {n_images} images have" if n_with else "No image has"
        too_high = ", or the normal images score higher than good images among these do"
        yield (
            f"{has} a region: either nearly all images are good, or the maps do not rise on the "
            f"defects{too_high if has_normals else ''}. Look at the images without a region that "
            "score highest: if they show defects, use maps of another detector."
        )
    elif n_with >= _NEARLY_ALL * n_images and n_images > 1 and not _n_same_maxima(inspection):
        remedy = (
            "Photograph the normal images as the other images are photographed."
            if has_normals
            else "Give `normals`, so that the floor is learned from normal images."
        )
        yield (
            f"{n_with} of {n_images} images have a region. If some of them are good, the maps rise "
            f"on good images as well. {remedy}"
        )


def _about_regions(inspection: MapInspection) -> Iterator[str]:
    if inspection.without_region.all():
        return
    n_with, n_at_edge = int((~inspection.without_region).sum()), int(inspection.at_edge.sum())
    if n_at_edge > _AT_EDGE * n_with:
        yield (
            f"Regions touch the edge of the image on {n_at_edge} of the {n_with} images that have "
            "regions. If the maps rise along the edge, exclude it with `ignore` or crop the images."
        )
    n_typical = float(np.median(inspection.n_regions[~inspection.without_region]))
    findings = []
    if inspection.median_covered > _LARGE_COVER:
        findings.append(f"cover {100 * inspection.median_covered:.0f} % of an image at the median")
    if n_typical >= _MANY_REGIONS:
        findings.append(f"are {n_typical:g} per image at the median")
    if findings:
        yield (
            f"The regions {' and '.join(findings)}. Unless the defects are that large or that "
            "many, background is taken for anomalous: the maps are noisy, or high scores mean "
            "normal in them. Smooth the maps, or change their sign."
        )


def _n_same_maxima(inspection: MapInspection) -> int:
    """Returns how many maps reach the highest score where most of them do, else 0."""
    at_top = np.isclose(inspection.maxima, inspection.maxima.max(), rtol=1e-5, atol=0)
    count = int((at_top & (inspection.n_different > 1)).sum())
    return count if count > max(1, len(inspection) / 2) else 0

"""What looks off about anomaly maps and their regions, in plain words, each with a remedy."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anomalyncd.regions.inspection import MapInspection

_LARGE_COVER = 0.25
"""Of the picture, at the median; defects that large are rare, wrong regions are not."""
_MANY_REGIONS = 4
_AT_EDGE = 0.5
_FEW, _NEARLY_ALL = 0.05, 0.95
_EIGHT_BITS = 256
_ERODED_SHARE = 0.05


def map_warnings(seen: MapInspection) -> list[str]:
    """What a person should look at before a discovery.

    Args:
        seen: All maps and their regions.

    Returns:
        A few sentences each: what is seen, what it does, and what to do about it. Empty where
        nothing looks off.
    """
    return [
        *_about_maps(seen),
        *_about_range(seen),
        *_about_parts_with_regions(seen),
        *_about_regions(seen),
    ]


def _about_maps(seen: MapInspection) -> Iterator[str]:
    constant = np.flatnonzero(seen.n_different == 1)
    if len(constant):
        yield (
            f"All scores are the same on {_named(seen, constant)}. See why the detector made "
            "nothing of the photograph."
        )
    most = int(seen.n_different.max())
    if 1 < most <= _EIGHT_BITS and seen.config.rules == "default":
        yield (
            f"No map holds more than {most} different scores, as pictures of 8 bits do: small "
            "differences are rounded away. Save the maps in floating point, as .npy or .tif."
        )
    side, erosion = float(np.median(seen.sides)), seen.config.erosion
    if erosion > 1 and erosion > _ERODED_SHARE * side:
        yield (
            f"The maps have about {side:.0f} x {side:.0f} pixels, and what is narrower than "
            f"{erosion} of them is eroded away. Enlarge the maps smoothly to about 256 x 256."
        )


def _about_range(seen: MapInspection) -> Iterator[str]:
    top = float(seen.maxima.max())
    if _same_maxima(seen):
        yield (
            f"{_same_maxima(seen)} of {len(seen)} maps have the same maximum, {top:.4g}. If each "
            "was scaled by itself or cut off at the top, a good image looks as anomalous as a bad "
            "one. Save the scores as the detector gives them, in one unit for all images."
        )
    calibration = seen.score_range.calibration
    if calibration is not None:
        highest = float(seen.maps[seen.highest].max())
        yield (
            f"A few scores dwarf the others: '{seen.maps.names[seen.highest]}' reaches "
            f"{highest:.4g}. Scores above {calibration.level:.4g} count by their logarithm, so "
            "that the others keep their thresholds. Leave the image out if its score is a mistake."
        )


def _about_parts_with_regions(seen: MapInspection) -> Iterator[str]:
    n_with, count = int((~seen.without).sum()), len(seen)
    if n_with <= _FEW * count:
        has = f"Only {n_with} of {count} images have" if n_with else "No image has"
        yield (
            f"{has} a region: either nearly all are good, or the maps do not rise on the defects"
            f"{_too_high(seen)}. Look at the images without a region that score highest: if they "
            "show defects, use maps of another detector."
        )
    elif n_with >= _NEARLY_ALL * count and count > 1 and not _same_maxima(seen):
        yield (
            f"{n_with} of {count} images have a region. If some of them are good, the maps rise on "
            f"good images as well. {_for_good_parts(seen)}"
        )


def _about_regions(seen: MapInspection) -> Iterator[str]:
    if seen.without.all():
        return
    n_with, n_at_edge = int((~seen.without).sum()), int(seen.at_edge.sum())
    if n_at_edge > _AT_EDGE * n_with:
        yield (
            f"Regions touch the edge of the picture on {n_at_edge} of the {n_with} images that have "
            "one. If the maps rise along the edge, leave it out with --ignore, or cut the "
            "photographs to the image."
        )
    n_typical = float(np.median(seen.n_regions[~seen.without]))
    much = []
    if seen.median_covered > _LARGE_COVER:
        much.append(f"cover {100 * seen.median_covered:.0f} % of the picture at the median")
    if n_typical >= _MANY_REGIONS:
        much.append(f"are {n_typical:g} on a image at the median")
    if much:
        yield (
            f"The regions {' and '.join(much)}. Unless the defects are like that, background is "
            "taken for anomalous: the maps are noisy, or high scores mean normal in them. Smooth "
            "them, or turn their sign."
        )


def _same_maxima(seen: MapInspection) -> int:
    """How many maps reach the highest score, where most of them do; else 0."""
    at_top = np.isclose(seen.maxima, seen.maxima.max(), rtol=1e-5, atol=0)
    count = int((at_top & (seen.n_different > 1)).sum())
    return count if count > max(1, len(seen) / 2) else 0


def _too_high(seen: MapInspection) -> str:
    if not len(seen.normal_maxima):
        return ""
    return ", or the normal images score higher than good images among these do"


def _for_good_parts(seen: MapInspection) -> str:
    if len(seen.normal_maxima):
        return "Take the photographs of normal images as those of the images are taken."
    return "Give photographs of normal images (--normals), so that the floor is learnt from them."


def _named(seen: MapInspection, indices: NDArray[np.int64]) -> str:
    more = f" and {len(indices) - 1} more" if len(indices) > 1 else ""
    return f"the map of '{seen.maps.names[indices[0]]}'{more}"

"""Warnings about classes: nothing stands out, or they follow something else than defects.

Our own.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anomalyncd.inputs.inputs import Inputs
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.results.predictions import Predictions
from anomalyncd.runtime.wording import counted

_HIGHER = 1.5
"""Highest score of all images, in scores of an ordinary image. It was 1.60 to 2.68 on six sets with
defects and 1.32 to 1.53 on seven sets of normal images (docs/decisions/nothing-stands-out.md)."""
_ORDINARY = 0.1
"""Quantile of the scores of images."""
_FEWEST_SCORES = 10
_SAME = 0.9
"""Images that a class and a group share, as a share of those in either."""
_FEWEST_IMAGES = 3


def class_warnings(
    predictions: Predictions, inputs: Inputs, score_range: ScoreRange | None
) -> list[str]:
    """Lists what a person should know before the classes are used.

    Args:
        predictions: Classes of the images among which they were discovered.
        inputs: The images, their sizes and colours.
        score_range: The range of the scores; None where defects were marked.

    Returns:
        A few sentences for each warning: what was found, what it causes and the remedy.
    """
    scores = predictions.images["score"].to_numpy()
    # The zero of other maps may mean anything.
    compared = inputs.maps is None and inputs.normals is None and len(scores) >= _FEWEST_SCORES
    marked = inputs.masks is not None
    warnings: list[str] = []
    if score_range is not None and compared:
        warnings += _about_separation(standing_out(scores, score_range))
    return [*warnings, *_about_numbers(predictions, marked), *_about_causes(predictions, inputs)]


def standing_out(scores: NDArray[np.floating], score_range: ScoreRange) -> float:
    """How many times the score of an ordinary image the highest score is.

    Args:
        scores: Highest score of each image, (N,), 0..1 within the range.
        score_range: The range of all scores.

    Returns:
        At least 1; infinite where few scores are far above all others, or where zero means nothing
        because an ordinary image scores less.
    """
    low, high = score_range.low, score_range.high
    ordinary = low + float(np.quantile(scores, _ORDINARY)) * (high - low)
    if score_range.calibration is not None or ordinary <= 0:
        return float("inf")
    return high / ordinary


def _about_separation(higher: float) -> Iterator[str]:
    if higher < _HIGHER:
        yield (
            f"Nothing stands out: the highest score is only {higher:.2f} times that of an ordinary "
            "image. Probably all images are normal, and then the classes and their confidence "
            "mean nothing. Look at the images with the highest scores; if they show defects, give "
            "`normals`, since all images may show defects that are equally strong."
        )


def _about_numbers(predictions: Predictions, marked: bool) -> Iterator[str]:
    classes, images = predictions.classes, predictions.images
    n_images, n_normal = len(images), int(images["normal"].sum())
    if n_normal == n_images:
        yield (
            f"All {counted(n_images, 'image')} count as normal, so that no kind of defect was "
            "found. If some of them show defects, give `normals`, or `maps` of another detector."
        )
        return
    if not n_normal and not marked:
        yield (
            f"None of {counted(n_images, 'image')} counts as normal. If some of them show no "
            "defect, give `normals`, so that the classes do not follow good images."
        )
    # Of a kind that is only on images with larger defects of another, there are regions alone.
    members = classes["n_images"] + classes["n_regions"]
    empty = classes.loc[~classes["normal"] & (members == 0), "class_name"]
    if len(empty):
        yield (
            f"{counted(len(empty), 'class has', 'classes have')} no image "
            f"({', '.join(empty)}): there are fewer kinds of defects than classes. Ask for fewer "
            "with `n_classes`; the normal class counts."
        )


def _about_causes(predictions: Predictions, inputs: Inputs) -> Iterator[str]:
    """Classes that hold nearly the same images as one size, or as the images without colour."""
    sizes, group = np.unique(inputs.sizes, axis=0, return_inverse=True)
    groups = [
        (f"{width} x {height} pixels", group.ravel() == index)
        for index, (height, width) in enumerate(sizes)
    ]
    if inputs.grey is not None:
        groups += [("no colour", inputs.grey), ("colour", ~inputs.grey)]
    groups = [(what, members) for what, members in groups if _is_part(members)]
    for index, name in predictions.classes.set_index("class")["class_name"].items():
        members = predictions.images["class"].to_numpy() == index
        for what, others in groups:
            shared, either = int((members & others).sum()), int((members | others).sum())
            if either and shared >= _SAME * either:
                yield (
                    f"The class '{name}' may follow how the images were made: {shared:,} of its "
                    f"{counted(int(members.sum()), 'image')} have {what}, as have {shared:,} of "
                    f"all {int(others.sum()):,} such images. Bring all images to one size and one "
                    "kind of colour, or discover them separately."
                )


def _is_part(members: NDArray[np.bool_]) -> bool:
    n_members = int(members.sum())
    return min(n_members, len(members) - n_members) >= _FEWEST_IMAGES

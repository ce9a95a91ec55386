"""States the tables of a prediction of one image as a verdict."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.line.verdict import ClassShare, Decision, RegionVerdict, RunLength, Verdict
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.operation import Operation
from anomalyncd.results.predictions import Predictions


def state_verdict(predictions: Predictions, operation: Operation) -> Verdict:
    """States what was predicted of one image.

    Args:
        predictions: Of the image alone.
        operation: The operating point and the severities.
    """
    image = predictions.images.to_dict("records")[0]
    size = (int(image["height"]), int(image["width"]))
    found = predictions.regions[predictions.regions["found"]].to_dict("records")
    mask = resize_mask(predictions.masks[0], size) if found else np.zeros(size, bool)
    regions = [_state_region(row, mask) for row in found]
    decided = _decided(image)
    threshold = operation.threshold
    # Compared as a column, so that an image has the verdict that `predict` writes.
    ok = None if threshold is None else bool((predictions.images["score"] <= threshold).iloc[0])
    unseen = decided["decision"] == "unseen"
    return Verdict(
        name=str(image["name"]),
        width=size[1],
        height=size[0],
        ok=ok,
        severity="" if unseen else operation.severity(decided["class_id"]),
        classes=_shares(predictions, image),
        regions=tuple(sorted(regions, key=lambda region: -region.area)),
        novelty=float(image["novelty"]),
        **decided,
    )


def _decided(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields that an image and a region share."""
    unseen = bool(row["unseen"])
    decision: Decision = "normal" if row["normal"] else "class"
    if row["unsure"]:
        decision = "unsure"
    return {
        "score": float(row["score"]),
        "decision": "unseen" if unseen else decision,
        "class_id": int(row["class"]),
        "class_name": str(row["class_name"]),
        "confidence": None if unseen else float(row["confidence"]),
    }


def _shares(predictions: Predictions, image: Mapping[Any, Any]) -> tuple[ClassShare, ...]:
    listed = predictions.classes[predictions.classes["class"] >= 0]
    shares = [
        ClassShare(
            int(number), str(name), float(image[f"p_{number}"]), int(image[f"area_{number}"])
        )
        for number, name in zip(listed["class"], listed["class_name"], strict=True)
    ]
    return tuple(sorted(shares, key=lambda share: -share.probability))


def _state_region(row: Mapping[Any, Any], mask: NDArray[np.bool_]) -> RegionVerdict:
    height, width = mask.shape
    left, right = _within(row["left"], row["right"], width)
    top, bottom = _within(row["top"], row["bottom"], height)
    marks = mask[top:bottom, left:right]
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    box = (left, top, right, bottom)
    if len(rows):
        box = (
            *(left + int(columns[0]), top + int(rows[0])),
            *(left + int(columns[-1]) + 1, top + int(rows[-1]) + 1),
        )
    coded = RunLength.of_window(marks, (left, top), (height, width))
    return RegionVerdict(box=box, area=int(row["area"]), mask=coded, **_decided(row))


def _within(first: float, last: float, end: int) -> tuple[int, int]:
    """The pixels between two edges that lie within an image, as a crop has them; at least one."""
    start = min(max(int(np.rint(first)), 0), end - 1)
    return start, min(max(int(np.rint(last)), start + 1), end)

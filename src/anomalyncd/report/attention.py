"""Pictures of where the CLS token looks on a region, without and with guidance."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.regions.crops import crop
from anomalyncd.report.pictures import (
    coded,
    opened,
    outlined,
)
from anomalyncd.results.run_folder import Run

_SIDE, _GAP = 112, 4
_BRIGHTEST = 98.0
"""Percentile that is shown at full strength; single patches draw far more than all others."""


@dataclass(frozen=True)
class AttentionPicture:
    """What the backbone is shown of a region, and its attention without and with guidance."""

    picture: str
    """The three side by side, a data URI."""
    before: float
    """Share of the attention to patches that goes to the anomaly without guidance, 0..1."""
    after: float
    """The same with guidance."""


def attention_pictures(run: Run, rows: list[int]) -> dict[int, AttentionPicture]:
    """Pictures of attention.

    Args:
        run: The run.
        rows: Rows of `run.regions`.

    Returns:
        By row; empty where attention was not guided. A region whose photograph cannot be read any
        more is left out.
    """
    if run.attention is None:
        return {}
    chosen = run.regions.loc[sorted(set(rows))]
    config, pictures = run.record["config"], {}
    fill: Literal["zero", "reflect"]
    fill = "zero" if config["regions"]["rules"] == "paper" else "reflect"
    for _, group, image, mask in opened(run, chosen, "Drawing attention"):
        for row, box in group[["left", "top", "right", "bottom"]].astype(float).iterrows():
            index = int(str(row))
            view = _central_view(box.to_numpy(), config["crops"])
            shown, covered = crop(image, view, fill), crop(mask, view, "zero")
            pictures[index] = _picture(shown, covered, run.attention[index].astype(np.float32))
    return pictures


def _central_view(box: NDArray[np.float64], views: dict[str, int]) -> NDArray[np.float64]:
    """The part of a region's box that predictions are made from; of no square the first corner."""
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    half = max(1.0, 0.5 * side * views["size"] / views["load_size"])
    middle = np.array([left, top]) + 0.5 * side
    return np.concatenate([middle - half, middle + half])


def _picture(
    shown: NDArray[np.uint8], covered: NDArray[np.bool_], attention: NDArray[np.float32]
) -> AttentionPicture:
    rows, columns = attention.shape[1:]
    patches = cv2.resize(covered.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    shares = (attention * patches).sum((1, 2)) / attention.sum((1, 2)).clip(1e-6)
    small = np.asarray(cv2.resize(shown, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
    mask = cv2.resize(covered.astype(np.uint8), (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    panels = [outlined(small, mask > 0, 1), *(_heated(small, levels) for levels in attention)]
    gap = np.full((_SIDE, _GAP, 3), 255, np.uint8)
    strip = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    return AttentionPicture(coded(strip), float(shares[0]), float(shares[1]))


def _heated(shown: NDArray[np.uint8], levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Attention as heat over a picture in grey; each on a scale of its own."""
    bright = levels / max(float(np.percentile(levels, _BRIGHTEST)), 1e-6)
    heat = cv2.resize(bright.clip(0, 1), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colour = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    weight = 0.75 * heat[..., None]
    return np.asarray((1 - weight) * 0.7 * grey + weight * colour, np.uint8)

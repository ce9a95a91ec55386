"""Small pictures of regions, and of attention on them, as arrays and as JPEG files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.levels import Levels
from anomalyncd.images.pixels import read_image
from anomalyncd.regions.crops import crop
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.run_folder import Run

_GAP = 4
_ATTENTION_SIZE = (112, 112)
_BOX = ["left", "top", "right", "bottom"]
_QUALITY = 78
_OUTLINE = ((0, 0, 0), 3), ((255, 214, 10), 1)
_NARROW = 100
"""Smaller pictures have an outline without a border, px."""
_BRIGHTEST = 98.0
"""Percentile of attention that is shown at full strength, since single patches have far more."""

ReadImage = tuple[str, pd.DataFrame, NDArray[np.uint8]]
"""Name of an image, the rows of a table that are about it, and its pixels, RGB."""


@dataclass(frozen=True, eq=False)
class AttentionDrawing:
    """A region as the backbone reads it, and its attention without and with guidance."""

    picture: NDArray[np.uint8]
    """The three side by side, RGB, (H, W, 3)."""
    before: float
    """Share of the attention to patches that goes to the anomaly without guidance, 0..1."""
    after: float
    """The same with guidance."""


def read_images(run: Run, table: pd.DataFrame) -> Iterator[ReadImage]:
    """Reads each image of a table once.

    Args:
        run: The run.
        table: Rows of `run.images` or of `run.regions`.

    Yields:
        The name of the image, its rows and its pixels. An image that cannot be read any more is
        left out.
    """
    levels = run.record.get("levels")
    for _, group in table.groupby("name", sort=False):
        name, path = str(group["name"].iloc[0]), Path(group["path"].iloc[0])
        try:
            image = read_image(path, Levels(**levels) if levels else None)
        except InputError:
            continue  # It may have been moved, or come from memory; the page mentions it.
        yield name, group, image


def draw_regions(
    run: Run, images: Iterable[ReadImage], side: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Draws regions with their masks outlined.

    Args:
        run: The run.
        images: See `read_images`, of rows of `run.regions`.
        side: Longer side of a picture, px.

    Yields:
        Row and picture, RGB, (H, W, 3).
    """
    for name, group, image in images:
        mask = resize_mask(run.mask(name), image.shape[:2])
        for row, box in group[_BOX].astype(float).iterrows():
            cut = crop(image, box.to_numpy(), "reflect")
            covered = crop(mask, box.to_numpy(), "zero")
            yield int(str(row)), outlined(cut, covered, side / max(cut.shape[:2]))


def draw_attention(run: Run, images: Iterable[ReadImage]) -> Iterator[tuple[int, AttentionDrawing]]:
    """Draws the attention of the CLS token on regions; nothing where it was not guided.

    Args:
        run: The run.
        images: See `read_images`, of rows of `run.regions`.

    Yields:
        Row and picture.
    """
    if run.attention is None:
        return
    config = run.record["config"]
    fill: Literal["zero", "reflect"]
    fill = "zero" if config["regions"]["rules"] == "paper" else "reflect"
    for name, group, image in images:
        mask = resize_mask(run.mask(name), image.shape[:2])
        for row, box in group[_BOX].astype(float).iterrows():
            index = int(str(row))
            view = _central_view(box.to_numpy(), config["crops"])
            shown, covered = crop(image, view, fill), crop(mask, view, "zero")
            yield index, _attention(shown, covered, run.attention[index].astype(np.float32))


def outlined(image: NDArray[np.uint8], mask: NDArray[np.bool_], scale: float) -> NDArray[np.uint8]:
    """Scales a picture and draws the outline of its mask.

    Args:
        image: RGB, (H, W, 3), uint8.
        mask: (H, W), bool.
        scale: Length of a side after scaling over its length before.

    Returns:
        RGB, (h, w, 3), uint8.
    """
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.ascontiguousarray(cv2.resize(image, (width, height), interpolation=method))
    grey = cv2.resize(mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_LINEAR)
    outlines, _ = cv2.findContours(
        (np.asarray(grey) > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    for colour, thickness in _OUTLINE[max(height, width) < _NARROW :]:
        cv2.drawContours(picture, outlines, -1, colour, thickness, cv2.LINE_AA)
    return picture


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Encodes a picture, RGB, (H, W, 3), uint8, as a JPEG file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, code = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
    return code.tobytes()


def _central_view(box: NDArray[np.float64], crops: dict[str, int]) -> NDArray[np.float64]:
    """Returns the central part of a box that the backbone reads; of a wide box its first corner."""
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    half = max(1.0, 0.5 * side * crops["size"] / crops["load_size"])
    middle = np.array([left, top]) + 0.5 * side
    return np.concatenate([middle - half, middle + half])


def _attention(
    shown: NDArray[np.uint8], covered: NDArray[np.bool_], attention: NDArray[np.float32]
) -> AttentionDrawing:
    rows, columns = attention.shape[1:]
    patches = cv2.resize(covered.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    shares = (attention * patches).sum((1, 2)) / attention.sum((1, 2)).clip(1e-6)
    small = np.asarray(cv2.resize(shown, _ATTENTION_SIZE, interpolation=cv2.INTER_AREA))
    mask = cv2.resize(covered.astype(np.uint8), _ATTENTION_SIZE, interpolation=cv2.INTER_LINEAR)
    panels = [outlined(small, mask > 0, 1), *(_heated(small, levels) for levels in attention)]
    gap = np.full((_ATTENTION_SIZE[1], _GAP, 3), 255, np.uint8)
    strip = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    return AttentionDrawing(strip, float(shares[0]), float(shares[1]))


def _heated(shown: NDArray[np.uint8], levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Shows attention as heat over a grey picture, scaled to its own range."""
    bright = levels / max(float(np.percentile(levels, _BRIGHTEST)), 1e-6)
    heat = cv2.resize(bright.clip(0, 1), _ATTENTION_SIZE, interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colour = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    weight = 0.75 * heat[..., None]
    return np.asarray((1 - weight) * 0.7 * grey + weight * colour, np.uint8)

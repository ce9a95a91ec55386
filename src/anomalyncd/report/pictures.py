"""Small pictures of images, regions and attention, as data URIs."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.regions.table import resize_mask
from anomalyncd.report.drawing import (
    ReadImage,
    draw_attention,
    draw_regions,
    jpeg,
    outlined,
    read_images,
)
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.progress import track

IMAGE_SIDE = 240
"""Longer side of the picture of an image, px."""
REGION_SIDE = 144
"""Longer side of the picture of a region, px."""
_DIMMED, _TINT = 3, np.array([50, 0, 60], np.uint8)
"""Background is darkened by this factor, and tinted."""


def region_pictures(
    run: Run, rows: Iterable[int], side: int = REGION_SIDE
) -> Iterator[tuple[int, str]]:
    """Makes pictures of regions, with their masks outlined.

    Args:
        run: The run.
        rows: Rows of `run.regions`.
        side: Longer side of a picture, px.

    Yields:
        Row and data URI, image by image; a region whose image cannot be read any more is left out.
    """
    chosen = run.regions.loc[list(dict.fromkeys(rows))]
    for row, picture in draw_regions(run, _read(run, chosen, "Drawing regions"), side):
        yield row, coded(picture)


def image_pictures(
    run: Run, names: Iterable[str], side: int = IMAGE_SIDE
) -> Iterator[tuple[str, str]]:
    """Makes pictures of whole images, with their masks outlined.

    Args:
        run: The run.
        names: Names of images.
        side: Longer side of a picture, px. Above `IMAGE_SIDE`, small images are not enlarged.

    Yields:
        Name and data URI, in the order of `names`; an image that cannot be read any more is left
        out.
    """
    chosen = run.images.set_index("name", drop=False).loc[list(dict.fromkeys(names))]
    for name, _, image in _read(run, chosen.rename_axis(None), "Drawing images"):
        mask = resize_mask(run.mask(name), image.shape[:2])
        longer = max(image.shape[:2])
        yield name, coded(outlined(image, mask, min(side, max(longer, IMAGE_SIDE)) / longer))


def foreground_pictures(run: Run, names: list[str]) -> dict[str, str]:
    """Makes pictures of whole images, with the background darkened.

    Args:
        run: The run.
        names: Names of images that have a foreground mask.

    Returns:
        Data URIs by name; an image that cannot be read any more is left out.
    """
    chosen = run.images[run.images["name"].isin(names)]
    pictures = {}
    for name, _, image in _read(run, chosen, "Drawing foregrounds"):
        mask = resize_mask(run.foreground_mask(name), image.shape[:2])
        shown = np.where(mask[..., None], image, image // _DIMMED + _TINT).astype(np.uint8)
        pictures[name] = coded(outlined(shown, mask, IMAGE_SIDE / max(image.shape[:2])))
    return pictures


@dataclass(frozen=True)
class AttentionPicture:
    """A region as the backbone reads it, and its attention without and with guidance."""

    picture: str
    """The three side by side, as a data URI."""
    before: float
    """Share of the attention to patches that goes to the anomaly without guidance, 0..1."""
    after: float
    """The same with guidance."""


def attention_pictures(run: Run, rows: list[int]) -> dict[int, AttentionPicture]:
    """Makes pictures of the attention of the CLS token on regions.

    Args:
        run: The run.
        rows: Rows of `run.regions`.

    Returns:
        Pictures by row; empty where attention was not guided. A region whose image cannot be read
        any more is left out.
    """
    if run.attention is None:
        return {}
    chosen = run.regions.loc[sorted(set(rows))]
    drawn = draw_attention(run, _read(run, chosen, "Drawing attention"))
    return {row: AttentionPicture(coded(one.picture), one.before, one.after) for row, one in drawn}


def coded(picture: NDArray[np.uint8]) -> str:
    """Encodes a picture, RGB, (H, W, 3), uint8, as the data URI of a JPEG file."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(picture)).decode("ascii")


def _read(run: Run, table: pd.DataFrame, what: str) -> Iterator[ReadImage]:
    """Reads the images of a table while a bar shows the progress."""
    return track(read_images(run, table), what, table["name"].nunique())

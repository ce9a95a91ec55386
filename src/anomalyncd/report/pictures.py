"""Small pictures of images and regions, as data URIs, with what is anomalous outlined."""

import base64
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_files import read_image
from anomalyncd.regions.crops import crop
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.progress import track

REGION_SIDE, PART_SIDE = 144, 240
_QUALITY = 78
_DIMMED, _TINT = 3, np.array([50, 0, 60], np.uint8)
"""Background is darkened by this factor, and tinted."""
_OUTLINE = ((0, 0, 0), 3), ((255, 214, 10), 1)


def region_pictures(run: Run, rows: list[int]) -> dict[int, str]:
    """Pictures of regions, outlined.

    Args:
        run: The run.
        rows: Rows of `run.regions`.

    Returns:
        Row to data URI; a region whose photograph cannot be read any more is left out.
    """
    chosen = run.regions.loc[sorted(set(rows))]
    pictures = {}
    for _, group, image, mask in opened(run, chosen, "Drawing regions"):
        for row, box in group[["left", "top", "right", "bottom"]].astype(float).iterrows():
            cut = crop(image, box.to_numpy(), "reflect")
            pictures[int(str(row))] = coded(
                outlined(cut, crop(mask, box.to_numpy(), "zero"), REGION_SIDE / max(cut.shape[:2]))
            )
    return pictures


def part_pictures(run: Run, names: list[str]) -> dict[str, str]:
    """Pictures of whole images, outlined.

    Args:
        run: The run.
        names: Names of images.

    Returns:
        Name to data URI; a image whose photograph cannot be read any more is left out.
    """
    chosen = run.images[run.images["name"].isin(names)]
    return {
        name: coded(outlined(image, mask, PART_SIDE / max(image.shape[:2])))
        for name, _, image, mask in opened(run, chosen, "Drawing images")
    }


def product_pictures(run: Run, names: list[str]) -> dict[str, str]:
    """Pictures of whole images, all that is not product dimmed.

    Args:
        run: The run.
        names: Names of images whose object masks are there.

    Returns:
        Name to data URI; a image whose photograph cannot be read any more is left out.
    """
    chosen = run.images[run.images["name"].isin(names)]
    pictures = {}
    for name, _, image in _photographs(chosen, "Drawing products"):
        mask = resize_mask(run.foreground_mask(name), image.shape[:2])
        shown = np.where(mask[..., None], image, image // _DIMMED + _TINT).astype(np.uint8)
        pictures[name] = coded(outlined(shown, mask, PART_SIDE / max(image.shape[:2])))
    return pictures


def opened(
    run: Run, table: pd.DataFrame, what: str
) -> Iterator[tuple[str, pd.DataFrame, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Name, rows, photograph and mask of each image in a table.

    Args:
        run: The run.
        table: Rows of `run.regions` or `run.images`; a image whose photograph cannot be read any
            more is left out.
        what: Said of the progress.
    """
    for name, group, image in _photographs(table, what):
        yield name, group, image, resize_mask(run.mask(name), image.shape[:2])


def _photographs(
    table: pd.DataFrame, what: str
) -> Iterator[tuple[str, pd.DataFrame, NDArray[np.uint8]]]:
    """Name, rows and photograph of each image in a table."""
    groups = table.groupby("name", sort=False)
    for _, group in track(groups, what, groups.ngroups):
        name, path = str(group["name"].iloc[0]), Path(group["path"].iloc[0])
        try:
            image = read_image(path)
        except InputError:
            continue  # Images may have been moved or come from memory; the page says so.
        yield name, group, image


def outlined(image: NDArray[np.uint8], mask: NDArray[np.bool_], scale: float) -> NDArray[np.uint8]:
    """Brings a picture to a scale and draws the outline of its mask.

    Args:
        image: RGB, (H, W, 3), uint8.
        mask: (H, W), bool.
        scale: Length of a side afterwards over that before.

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
    for colour, thickness in _OUTLINE:
        cv2.drawContours(picture, outlines, -1, colour, thickness, cv2.LINE_AA)
    return picture


def coded(picture: NDArray[np.uint8]) -> str:
    """A picture, RGB, (H, W, 3), uint8, as a data URI of a JPEG file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, code = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode("ascii")

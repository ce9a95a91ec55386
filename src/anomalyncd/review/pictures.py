"""Pictures of a review as files: regions, whole images, anomaly maps, outlines, attention."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.io.arrays import read_map
from anomalyncd.regions.table import resize_mask
from anomalyncd.report.drawing import draw_attention, draw_regions, jpeg, read_images
from anomalyncd.results.run_folder import Run
from anomalyncd.review.arrays import RunArrays
from anomalyncd.review.file_store import FileStore

SMALLEST, LARGEST = 32, 640
"""Sides of the picture of a region, px."""
LARGEST_IMAGE = 4096
"""Longer side of the picture of an image, px."""
_AT_ONCE = 64
"""So many regions of an image are drawn when one of them is asked for."""
_MAP_SIDE = 1024
_STRONGEST = 0.85
"""Opacity of the highest scores."""
_PRECISION = 1 / 1000
"""Outlines may deviate by as much of the longer side of the image."""


class Pictures:
    """Makes pictures when they are asked for, and stores them.

    Args:
        run: The run.
        arrays: Its arrays.
    """

    def __init__(self, run: Run, arrays: RunArrays) -> None:
        self.run, self.arrays = run, arrays
        self.store = FileStore(run)
        self._locks = [Lock() for _ in range(16)]
        """One for each of 16 groups of images, so that nothing is drawn twice."""

    def region(self, row: int, side: int) -> bytes:
        """Returns a region with the outline of its mask, as a JPEG file.

        The other regions of its image are drawn with it, because the image is decoded then.

        Args:
            row: Row of the region.
            side: Side of the picture, px.

        Raises:
            InputError: The image cannot be read any more.
        """
        side = int(np.clip(side, SMALLEST, LARGEST))
        image = int(self.arrays.image[row])

        def draw() -> Iterator[tuple[str, bytes]]:
            rows = np.flatnonzero(self.arrays.image == image)
            near = np.argsort(np.abs(rows - row), kind="stable")[:_AT_ONCE]
            table = read_images(self.run, self.run.regions.iloc[np.sort(rows[near])])
            for other, picture in draw_regions(self.run, table, side):
                yield self._name(other, side), jpeg(picture)

        return self._made(self._name(row, side), image, draw)

    def image(self, image: int, side: int) -> bytes:
        """Returns a whole image, as a JPEG file.

        Args:
            image: Number of the image.
            side: Longer side of the picture, px; smaller images are not enlarged.

        Raises:
            InputError: The image cannot be read any more.
        """
        side = int(np.clip(side, SMALLEST, LARGEST_IMAGE))
        name = f"image-{image}-{side}.jpg"

        def draw() -> Iterator[tuple[str, bytes]]:
            for pixels in self._read(image):
                yield name, jpeg(_at_most(pixels, side))

        return self._made(name, image, draw)

    def attention(self, row: int) -> bytes:
        """Returns a region and the attention on it without and with guidance, as a JPEG file.

        Raises:
            InputError: Attention was not guided, or the image cannot be read any more.
        """
        if self.run.attention is None:
            raise InputError("attention was not guided in this run, so there is no picture of it")
        name = f"attention-{self.arrays.ids[row]}.jpg"

        def draw() -> Iterator[tuple[str, bytes]]:
            table = read_images(self.run, self.run.regions.iloc[[row]])
            for _, one in draw_attention(self.run, table):
                yield name, jpeg(one.picture)

        return self._made(name, int(self.arrays.image[row]), draw)

    def map_path(self, image: int) -> Path | None:
        """Returns the file of the anomaly map of an image; None where the run has none."""
        path = self.run.folder / "maps" / f"{self.arrays.names[image]}.npy"
        return path if path.is_file() else None

    def map(self, image: int) -> bytes:
        """Returns the anomaly map of an image as colours that are opaque where scores are high.

        Returns:
            A PNG file with the aspect of the image.

        Raises:
            InputError: The run has no map of the image, or a damaged one.
        """
        path, name = self.map_path(image), f"map-{image}.png"
        if path is None:
            raise InputError(f"run '{self.run.folder}' has no anomaly map of this image")

        def draw() -> Iterator[tuple[str, bytes]]:
            levels = self._levels(read_map(path))
            height, width = self.arrays.size[image].tolist()
            scale = min(1.0, _MAP_SIDE / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            yield name, _overlay(np.asarray(cv2.resize(levels, size)))

        return self._made(name, image, draw)

    def outlines(self, image: int) -> bytes:
        """Returns the outlines of the regions of an image.

        Returns:
            JSON: `regions`, for each id a list of polygons, each a list of x, y in image pixels.

        Raises:
            InputError: The mask of the image is missing or damaged.
        """
        name = f"outlines-{image}.json"

        def draw() -> Iterator[tuple[str, bytes]]:
            height, width = self.arrays.size[image].tolist()
            mask = resize_mask(self.run.mask(self.arrays.names[image]), (height, width))
            rows = np.flatnonzero((self.arrays.image == image) & self.arrays.found)
            regions = {
                str(self.arrays.ids[row]): _polygons(mask, self.arrays.box[row]) for row in rows
            }
            yield name, json.dumps({"regions": regions}).encode()

        return self._made(name, image, draw)

    def _made(
        self, name: str, image: int, draw: Callable[[], Iterator[tuple[str, bytes]]]
    ) -> bytes:
        content = self.store.load(name)
        if content is not None:
            return content
        with self._locks[image % len(self._locks)]:
            content = self.store.load(name)
            if content is None:
                for made, picture in draw():
                    self.store.save(made, picture)
                    content = picture if made == name else content
        if content is None:
            raise InputError(
                f"image '{self.arrays.names[image]}' is gone or cannot be read; start the review "
                "with `images`, the folder where the images are now"
            )
        return content

    def _name(self, row: int, side: int) -> str:
        return f"region-{self.arrays.ids[row]}-{side}.jpg"

    def _read(self, image: int) -> list[NDArray[np.uint8]]:
        table: pd.DataFrame = self.run.images.iloc[[image]]
        return [pixels for _, _, pixels in read_images(self.run, table)]

    def _levels(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores from 0, what is background, to 1, the highest of the run."""
        score_range: dict[str, Any] = self.run.record.get("score_range") or {}
        low = score_range.get("background_peak") or score_range.get("low")
        high = score_range.get("high")
        low = float(scores.min()) if low is None else low
        high = float(scores.max()) if high is None else high
        levels: NDArray[np.float32] = ((scores - low) / max(high - low, 1e-9)).clip(0, 1)
        return levels.astype(np.float32)


def _at_most(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _overlay(levels: NDArray[np.float32]) -> bytes:
    """A PNG file of scores in 0..1, (H, W), that are the more opaque the higher they are."""
    colours = cv2.applyColorMap((255 * levels).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = (255 * _STRONGEST * np.sqrt(levels)).astype(np.uint8)
    _, code = cv2.imencode(".png", np.dstack([colours, opacity]))
    return code.tobytes()


def _polygons(mask: NDArray[np.bool_], box: NDArray[np.float64]) -> list[list[list[int]]]:
    """The outlines of what a mask marks within a box."""
    height, width = mask.shape
    left, top = (max(0, int(edge)) for edge in np.floor(box[:2]))
    right, bottom = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    part = np.ascontiguousarray(mask[top:bottom, left:right], np.uint8)
    if not part.any():
        return []
    found, _ = cv2.findContours(
        part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
    )
    precision = max(height, width) * _PRECISION
    outlines = [cv2.approxPolyDP(one, precision, True)[:, 0] for one in found]
    return [one.tolist() for one in outlines]

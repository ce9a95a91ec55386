"""The pictures of a report: small ones, large ones within a number of bytes, and links to files."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import pandas as pd

from anomalyncd.report.contents import verdict
from anomalyncd.report.pictures import (
    AttentionPicture,
    attention_pictures,
    foreground_pictures,
    image_pictures,
    region_pictures,
)
from anomalyncd.results.run_folder import Run

BUDGET = 8_500_000
"""Bytes of all pictures together, so that a page about 1,000 images stays below 10 MB."""
_FOR_THUMBNAILS = 0.6
"""Share that thumbnails may take of what the other small pictures leave."""
Key = TypeVar("Key")
_THUMBNAIL, _LARGE_IMAGE, _LARGE_REGION = 80, 800, 480
"""Longer sides, px."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What a report shows, most important first."""

    regions: list[int]
    """Rows of regions."""
    images: list[str]
    """Names of images that are shown at medium size."""
    listed: list[str]
    """Names of images that are listed under their class."""
    attended: list[int]
    """Rows of regions whose attention is shown."""
    foreground: list[str]
    """Names of images whose foreground is shown."""


@dataclass(frozen=True)
class Large:
    """A large picture."""

    anchor: str
    """Its place on the page."""
    picture: str
    """As a data URI."""
    caption: str


@dataclass(frozen=True, eq=False)
class Album:
    """The pictures of a report as data URIs."""

    regions: dict[int, str]
    """By row of the region."""
    images: dict[str, str]
    """By name."""
    thumbnails: dict[str, str]
    """By name; of as many images as there is room for."""
    attention: dict[int, AttentionPicture]
    """By row of the region."""
    foreground: dict[str, str]
    """By name."""
    large: dict[int | str, Large]
    """By row of the region or name of the image; of as many as there is room for."""
    links: dict[str, str]
    """Addresses of the photographs by name, as far as they are files."""
    captions: dict[str, str]
    """Name and class of each image."""
    n_missing: int
    """Number of small pictures whose photograph cannot be read."""


def make_album(run: Run, choice: Choice) -> Album:
    """Draws the pictures of a report.

    Args:
        run: The run; its photographs are read.
        choice: What is shown. If there is not room for all large pictures and thumbnails, the last
            of each list have none.
    """
    regions = dict(region_pictures(run, choice.regions))
    images = dict(image_pictures(run, choice.images))
    attention = attention_pictures(run, choice.attended)
    foreground = foreground_pictures(run, choice.foreground)
    strips = [strip.picture for strip in attention.values()]
    small = [*regions.values(), *images.values(), *foreground.values(), *strips]
    room = max(0, BUDGET - sum(map(len, small)))
    thumbnails = dict(
        _within(_FOR_THUMBNAILS * room, image_pictures(run, choice.listed, _THUMBNAIL))
    )
    return Album(
        regions,
        images,
        thumbnails,
        attention,
        foreground,
        _large_pictures(run, choice, room - sum(map(len, thumbnails.values()))),
        {
            str(name): link
            for name, path in zip(run.images["name"], run.images["path"], strict=True)
            if (link := address(path, run.folder))
        },
        dict(zip(run.images["name"], _captions(run.images), strict=True)),
        len(set(choice.regions)) - len(regions) + len(set(choice.images)) - len(images),
    )


def _large_pictures(run: Run, choice: Choice, room: float) -> dict[int | str, Large]:
    """Draws large pictures of images, regions and further images, as long as there is room."""
    number = {str(name): index for index, name in enumerate(run.images["name"])}
    of_images, of_regions = _captions(run.images), _captions(run.regions)
    large: dict[int | str, Large] = {}

    def left() -> int:
        return int(room) - sum(len(one.picture) for one in large.values())

    def add_images(names: list[str], most: float) -> None:
        for name, uri in _within(most, image_pictures(run, names, _LARGE_IMAGE)):
            index = number[name]
            large[name] = Large(f"image-{index}", uri, of_images[index])

    shown = list(dict.fromkeys(choice.images))
    add_images(shown, room / 2)
    for row, uri in _within(left(), region_pictures(run, choice.regions, _LARGE_REGION)):
        large[row] = Large(f"region-{row}", uri, f"Region of {of_regions[row]}")
    add_images([name for name in choice.listed if name not in set(shown)], left())
    return large


def _captions(table: pd.DataFrame) -> list[str]:
    return [f"{row['name']}: {verdict(row)}" for row in table.to_dict("records")]


def _within(room: float, pictures: Iterable[tuple[Key, str]]) -> Iterator[tuple[Key, str]]:
    """Yields pictures up to the first one that there is no room for."""
    for key, uri in pictures:
        room -= len(uri)
        if room < 0:
            return
        yield key, uri


def address(path: str, folder: Path) -> str | None:
    """Returns the address of a photograph as the page in a run folder links to it.

    Args:
        path: Its absolute path.
        folder: The folder of the run.

    Returns:
        A relative address if run and photograph lie in one folder, so that both can be moved
        together, else a file URI; None if there is no such file.
    """
    file, run = Path(path), Path(os.path.abspath(folder))  # noqa: PTH100
    if not file.is_absolute() or not file.is_file():
        return None
    if file.is_relative_to(run.parent):
        return quote(Path(os.path.relpath(file, run)).as_posix().encode("utf-8", "surrogateescape"))
    return file.as_uri()

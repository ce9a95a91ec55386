"""What was understood of the inputs of a discovery, and everything that is wrong with them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import (
    AnomalyMaps,
    MapsLike,
    as_maps,
    check_map,
)
from anomalyncd.inputs.base_set import as_base_set
from anomalyncd.inputs.image_files import to_rgb
from anomalyncd.inputs.image_set import ImageSet, as_image_set
from anomalyncd.inputs.inputs import (
    BaseLike,
    ImagesLike,
    MasksLike,
    open_masks,
    open_places,
    refuse_combination,
)
from anomalyncd.inputs.manifest import (
    LABEL,
    MAP,
    MASK,
    Manifest,
)
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.decoding import decode
from anomalyncd.io.files import attempt_each
from anomalyncd.io.tables import is_table

Result = TypeVar("Result")

_Sizes: TypeAlias = list[NDArray[np.int64] | None]

_MOST_NAMED = 12


@dataclass
class Findings:
    """What `check_data` found."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    """What was understood: a word or two, and the finding."""
    problems: list[str] = field(default_factory=list)
    """Everything that is wrong, a line each, with the remedy."""
    images: ImageSet | None = None
    """The images, where they could be opened."""
    masks: Masks | None = None
    """Their marked defects, where there are some."""

    def attempt(self, open_it: Callable[[], Result]) -> Result | None:
        """Returns what a call returns, or None and one more problem."""
        try:
            return open_it()
        except InputError as error:
            self.problems.append(str(error))
            return None

    def attempt_each(
        self, read: Callable[[int], Result], count: int, what: str
    ) -> list[Result | None]:
        """Returns what `read` returns for 0 .. count - 1, None where it is a problem."""
        outcomes = list(attempt_each(read, count, what))
        self.problems += [str(one) for one in outcomes if isinstance(one, InputError)]
        return [None if isinstance(one, InputError) else one for one in outcomes]


def check_data(
    images: ImagesLike,
    *,
    maps: MapsLike | None = None,
    masks: MasksLike | None = None,
    boxes: str | Path | None = None,
    ignore: MasksLike | None = None,
    foreground: MasksLike | None = None,
    base: BaseLike | None = None,
    normals: ImagesLike | None = None,
    normal_maps: MapsLike | None = None,
) -> Findings:
    """Opens and reads all that a discovery would be given, and goes on after a fault.

    Args:
        images: These and the others as for `AnomalyNCD.fit`.
        maps: Anomaly maps.
        masks: Marked defects.
        boxes: Marked defects as boxes.
        ignore: Where nothing counts.
        foreground: Where the product is.
        base: Labelled defects of other products.
        normals: Normal images.
        normal_maps: Their maps.

    Returns:
        What was understood and what is wrong; nothing is raised.
    """
    found = Findings()
    found.images = found.attempt(lambda: as_image_set(images))
    if found.images is not None:
        sizes = _read_images(found, found.images, "images")
        _describe_classes(found, found.images, images)
        _check_maps(found, found.images, sizes, maps)
        _check_marks(found, found.images, sizes, masks, boxes)
        _check_places(found, found.images, sizes, {"ignored": ignore, "foreground": foreground})
    if base is not None:
        _check_base(found, base)
    plain = None if normals is None else found.attempt(lambda: as_image_set(normals, "train"))
    if plain is not None:
        sizes = _read_images(found, plain, "normal images")
        if normal_maps is not None:
            _check_maps(found, plain, sizes, normal_maps, "normal images: maps")
    if found.images is not None:
        opened = found.images
        found.attempt(lambda: refuse_combination(opened, plain, maps, masks, boxes, normal_maps))
    return found


def _check_base(found: Findings, base: BaseLike) -> None:
    labelled = found.attempt(lambda: as_base_set(base))
    if labelled is None:
        return
    classes = [labelled.class_names[label] for label in labelled.labels]
    found.facts.append(("base classes", _counts(classes)))
    sizes = _read_images(found, labelled.images, "base set")
    _check_shares(found, labelled.images, sizes, "base masks", labelled.masks)


def _read_images(found: Findings, images: ImageSet, what: str) -> _Sizes:
    """Reads every image; height and width of each, None where it cannot be read."""

    def read(index: int) -> tuple[NDArray[np.int64], str]:
        source = images.sources[index]
        pixels = decode(source, "image") if isinstance(source, Path) else source
        size = to_rgb(pixels, images.paths[index]).shape[:2]
        return np.array(size, dtype=np.int64), _kind(pixels)

    outcomes = found.attempt_each(read, len(images), "Checking images")
    good = [one for one in outcomes if one is not None]
    found.facts.append((what, f"{len(images)}, of which {len(good)} can be read"))
    found.facts.append((f"{what}: width x height", _sides([size for size, _ in good])))
    found.facts.append((f"{what}: pixels", _counts(kind for _, kind in good)))
    return [None if one is None else one[0] for one in outcomes]


def _sides(sizes: list[NDArray[np.int64]]) -> str:
    """Sizes and how many images have them, or their range where there are many."""
    counted = _counts(f"{width}x{height}" for height, width in sizes)
    if len({tuple(size) for size in sizes}) <= _MOST_NAMED:
        return counted
    (height, width), (tallest, widest) = np.min(sizes, axis=0), np.max(sizes, axis=0)
    return f"{width} to {widest} x {height} to {tallest}"


def _kind(pixels: NDArray[np.generic]) -> str:
    n_channels = pixels.shape[2] if pixels.ndim == 3 else 1
    colour = {1: "grey", 3: "colour", 4: "colour and transparency"}[n_channels]
    return f"{colour}, {'1' if pixels.dtype == np.bool_ else pixels.dtype.itemsize * 8} bit"


def _describe_classes(found: Findings, images: ImageSet, given: ImagesLike) -> None:
    if images.columns is None:
        folders = [name.split("/")[0] for name in images.names if "/" in name]
        found.facts.append(("folders", _counts(folders) if folders else "none"))
        return
    if isinstance(given, str | Path) and is_table(given):
        table = Manifest.read(given).table
        if "split" in table:
            found.facts.append(("splits", _counts(table["split"])))
        if MASK in table:
            marked = f"{int((table[MASK] != '').sum())} of {len(table)} rows"
            found.facts.append(("column mask", f"{marked}; used where it is given as masks"))
    for column in images.columns.columns.drop([MAP, "split"], errors="ignore"):
        name = "labels" if column == LABEL else f"column {column}"
        found.facts.append((name, _counts(images.columns[column])))


def _check_maps(
    found: Findings,
    images: ImageSet,
    sizes: _Sizes,
    given: MapsLike | None,
    what: str = "maps",
) -> None:
    if given is None and (images.columns is None or MAP not in images.columns):
        return
    maps = found.attempt(
        lambda: AnomalyMaps.from_manifest(images) if given is None else as_maps(given, images)
    )
    if maps is None:
        return

    def read(index: int) -> tuple[float, float, str]:
        scores, size, source = maps[index], sizes[index], maps.sources[index]
        if size is not None:
            check_map(scores.shape, images.names[index], size)
        kind = source.suffix if isinstance(source, Path) else "in memory"
        return float(scores.min()), float(scores.max()), kind

    good = [one for one in found.attempt_each(read, len(maps), "Checking maps") if one is not None]
    if good:
        lowest, highest = min(one[0] for one in good), max(one[1] for one in good)
        found.facts.append((what, _counts(kind for _, _, kind in good)))
        found.facts.append((f"{what}: scores", f"{lowest:.4g} to {highest:.4g}"))


def _check_marks(
    found: Findings,
    images: ImageSet,
    sizes: _Sizes,
    masks: MasksLike | None,
    boxes: str | Path | None,
) -> None:
    opened: dict[str, Masks | None] = {}
    if masks is not None:
        opened["masks"] = found.masks = found.attempt(lambda: open_masks(masks, images))
    if boxes is not None:
        opened["boxes"] = found.masks = found.attempt(lambda: Masks.from_boxes(boxes, images))
    for what, marks in opened.items():
        if marks is not None:
            _check_shares(found, images, sizes, what, marks)


def _check_places(
    found: Findings, images: ImageSet, sizes: _Sizes, places: dict[str, MasksLike | None]
) -> None:
    for what, given in places.items():
        opened = None if given is None else found.attempt(partial(open_places, given, images))
        if opened is not None:
            _check_shares(found, images, sizes, what, opened, of_any_shape=True)


def _check_shares(
    found: Findings,
    images: ImageSet,
    sizes: _Sizes,
    what: str,
    marks: Masks,
    of_any_shape: bool = False,
) -> None:
    def read(index: int) -> float:
        size = sizes[index]
        # What is wrong with the image has been said.
        if size is None or marks.sources[index] is None:
            return 0.0
        mask = marks[index]
        if not of_any_shape:
            check_map(mask.shape, images.names[index], size)
        return float(mask.mean())

    shares = [one for one in found.attempt_each(read, len(marks), "Checking masks") if one]
    said = f"{len(shares)} of {len(images)} images"
    if shares:
        said += f", {np.mean(shares):.2%} of the pixels of such a image"
    found.facts.append((what, said))


def _counts(values: Iterable[str]) -> str:
    counts = Counter(value or "(blank)" for value in values).most_common()
    shown = ", ".join(f"{value} ({n})" for value, n in counts[:_MOST_NAMED])
    rest = len(counts) - _MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown

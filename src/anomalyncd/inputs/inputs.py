"""All inputs of a discovery or a prediction, opened and checked before anything long starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import AnomalyMaps, MapsLike, as_maps, check_maps
from anomalyncd.inputs.base_set import BaseSet, as_base_set
from anomalyncd.inputs.findings import Findings, count_values
from anomalyncd.inputs.image_set import (
    ImageSet,
    Picture,
    as_image_set,
    check_images,
    look_at_images,
)
from anomalyncd.inputs.manifest import LABEL, MAP, MASK, SPLIT, Manifest
from anomalyncd.inputs.masks import Masks, check_masks, read_mask
from anomalyncd.inputs.sources import InputSources
from anomalyncd.io.files import refuse_unwritable_names
from anomalyncd.io.tables import is_table
from anomalyncd.runtime.wording import counted

ImagesLike: TypeAlias = ImageSet | str | Path | Iterable[Picture]
MasksLike: TypeAlias = Masks | str | Path
BaseLike: TypeAlias = BaseSet | str | Path

Opened = TypeVar("Opened")


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images and what is known of them; every file has been read once."""

    images: ImageSet
    """The images to be classified."""
    sizes: NDArray[np.int64]
    """Height and width of each image, (N, 2), px; 0 x 0 where `check_data` could not read it."""
    maps: AnomalyMaps | None = None
    """Their anomaly maps."""
    masks: Masks | None = None
    """Their marked defects."""
    base: BaseSet | None = None
    """Labelled defects of other products."""
    normals: ImageSet | None = None
    """Normal images, named "normals/NAME"."""
    normal_maps: AnomalyMaps | None = None
    """Anomaly maps of the normal images."""
    ignored: Masks | None = None
    """Where nothing counts as a defect; the maps and masks here leave these places out already."""
    ignored_on_normals: Masks | None = None
    """The same on the normal images, if the places are the same on all images."""
    foreground: Masks | None = None
    """Where the product is on each image."""
    grey: NDArray[np.bool_] | None = None
    """(N,): which images have no colour."""
    warnings: tuple[str, ...] = ()
    """What may be wrong with the inputs, with the remedy."""


def check_inputs(images: ImagesLike, **further: Any) -> Inputs:
    """Opens and checks all inputs; the first fault is raised.

    Args:
        images: The images.
        further: The other fields of `InputSources`.

    Raises:
        InputError: An input cannot be used, or does not go with the others.
    """
    inputs = _open(InputSources(images, **further), Findings())
    assert inputs is not None  # A fault would have been raised.
    return inputs


def check_data(sources: InputSources) -> tuple[Inputs | None, Findings]:
    """Opens and checks all inputs as `check_inputs` does, and goes on after a fault.

    Args:
        sources: The inputs.

    Returns:
        What could be opened, None if the images could not; and what was understood and everything
        that is wrong.
    """
    findings = Findings(collect=True)
    return _open(sources, findings), findings


def check_normals(normals: ImagesLike) -> ImageSet:
    """Opens and checks normal images alone; see `Inputs.normals` for their names.

    Raises:
        InputError: See `as_image_set` and `check_images`.
    """
    opened = as_image_set(normals, "train")
    check_images(opened)
    return _named_as_normals(opened)


def open_masks(masks: MasksLike, images: ImageSet) -> Masks:
    """Returns masks from a folder or from the column `mask` of a manifest; masks as they are.

    Raises:
        InputError: See `Masks.from_folder` and `Masks.from_manifest`.
    """
    if isinstance(masks, Masks):
        return masks
    return (Masks.from_manifest if is_table(masks) else Masks.from_folder)(masks, images)


def open_places(places: MasksLike, images: ImageSet) -> Masks:
    """Returns places on the images: one mask for all images, a folder of masks, or boxes.

    Args:
        places: An image file with a mask, a folder as for masks, a table as for boxes, or `Masks`.
        images: The images.

    Raises:
        InputError: See `read_mask`, `Masks.from_folder` and `Masks.from_boxes`.
    """
    if isinstance(places, Masks):
        return places
    if is_table(places):
        return Masks.from_boxes(places, images)
    path = Path(places).expanduser()
    if path.is_dir():
        return Masks.from_folder(path, images)
    read_mask(path)
    return Masks(images, (path,) * len(images))


def _open(sources: InputSources, findings: Findings) -> Inputs | None:
    """The one path by which inputs are opened and checked; None if the images cannot be opened."""
    images = findings.attempt(lambda: as_image_set(sources.images))
    normals = _attempt(findings, sources.normals, partial(as_image_set, split="train"))
    findings.attempt(lambda: _refuse_combination(sources, images, normals))
    inputs = None if images is None else _open_images(sources, images, findings)
    base = _attempt(findings, sources.base, as_base_set)
    if base is not None:
        _check_base(base, findings)
        inputs = None if inputs is None else replace(inputs, base=base)
    if normals is not None:
        inputs = _open_normals(sources, normals, inputs, findings)
    return None if inputs is None else replace(inputs, warnings=tuple(findings.warnings))


def _attempt(findings: Findings, source: object, open_it: Callable[[Any], Opened]) -> Opened | None:
    """What a call makes of a source; None if there is no source, or if a fault was collected."""
    return None if source is None else findings.attempt(lambda: open_it(source))


def _refuse_combination(
    sources: InputSources, images: ImageSet | None, normals: ImageSet | None
) -> None:
    """Raises if inputs do not go together, before a file is read."""
    sources.refuse_combination()
    for opened in (images, normals):
        refuse_unwritable_names(() if opened is None else opened.names)
    if images is None:
        return
    scored = _has_maps(sources, images)
    if sources.normal_maps is not None and not scored:
        raise InputError(
            "`normal_maps` needs maps of the images; give `normals`, `maps` and `normal_maps`"
        )
    if scored and normals is not None and sources.normal_maps is None and not _names_maps(normals):
        raise InputError(
            "normal images next to given maps need maps of their own; give `normal_maps` as well"
        )


def _names_maps(images: ImageSet) -> bool:
    """Whether the images come from a manifest that names their maps."""
    return images.columns is not None and MAP in images.columns


def _has_maps(sources: InputSources, images: ImageSet) -> bool:
    """Whether anomaly maps of the images are given, or named by their manifest and not replaced."""
    marked = sources.masks is not None or sources.boxes is not None
    return sources.maps is not None or (_names_maps(images) and not marked)


def _open_images(sources: InputSources, images: ImageSet, findings: Findings) -> Inputs:
    """The images with their maps or masks, and the places to ignore and of the product."""
    sizes, grey = look_at_images(images, findings)
    if findings.collect:
        _describe_columns(sources.images, images, findings)
    ignored = _attempt(findings, sources.ignore, partial(open_places, images=images))
    foreground = _attempt(findings, sources.foreground, partial(open_places, images=images))
    for places, what in ((ignored, "ignored"), (foreground, "foreground")):
        if places is not None:
            check_masks(places, sizes, findings, what, any_aspect=True)
    inputs = Inputs(images, sizes, ignored=ignored, foreground=foreground, grey=grey)
    masks = _attempt(findings, sources.masks, partial(open_masks, images=images))
    boxes = _attempt(findings, sources.boxes, partial(Masks.from_boxes, images=images))
    for marks, what in ((masks, "masks"), (boxes, "boxes")):
        if marks is not None:
            check_masks(marks, sizes, findings, what)
            inputs = replace(inputs, masks=replace(marks, ignored=ignored))
    if _has_maps(sources, images):
        maps = _open_maps(sources.maps, images, sizes, findings, "maps")
        inputs = replace(inputs, maps=_without(ignored, maps))
    return inputs


def _open_maps(
    source: MapsLike | None,
    images: ImageSet,
    sizes: NDArray[np.int64],
    findings: Findings,
    what: str,
) -> AnomalyMaps | None:
    """The maps that are given, or those that a manifest names."""
    maps = findings.attempt(
        lambda: AnomalyMaps.from_manifest(images) if source is None else as_maps(source, images)
    )
    if maps is not None:
        check_maps(maps, sizes, findings, what)
    return maps


def _without(ignored: Masks | None, maps: AnomalyMaps | None) -> AnomalyMaps | None:
    return None if maps is None else replace(maps, ignored=ignored)


def _check_base(base: BaseSet, findings: Findings) -> None:
    labels = [base.class_names[label] for label in base.labels]
    findings.add_fact("base classes", count_values(labels))
    sizes = check_images(base.images, findings, "base set")
    check_masks(base.masks, sizes, findings, "base masks")


def _open_normals(
    sources: InputSources, normals: ImageSet, inputs: Inputs | None, findings: Findings
) -> Inputs | None:
    """The inputs with the normal images and their maps."""
    sizes = check_images(normals, findings, "normal images")
    maps, scored = None, inputs is not None and inputs.maps is not None
    if sources.normal_maps is not None or (scored and _names_maps(normals)):
        what = "normal images: maps"
        maps = _open_maps(sources.normal_maps, normals, sizes, findings, what)
    if inputs is None:
        return None
    named = _named_as_normals(normals)
    ignored = None if inputs.ignored is None else _on_all(inputs.ignored, named)
    return replace(
        inputs, normals=named, normal_maps=_without(ignored, maps), ignored_on_normals=ignored
    )


def _named_as_normals(normals: ImageSet) -> ImageSet:
    return ImageSet(tuple(f"normals/{name}" for name in normals.names), normals.sources)


def _on_all(ignored: Masks, others: ImageSet) -> Masks | None:
    """The one mask or the boxes that hold for all images, for other images."""
    shared = ignored.sources[0]
    if any(source is not shared for source in ignored.sources):
        return None
    return Masks(others, (shared,) * len(others))


def _describe_columns(source: ImagesLike, images: ImageSet, findings: Findings) -> None:
    """Adds the folders of the images, or what the columns of their manifest hold, to the facts."""
    if images.columns is None:
        folders = [name.split("/")[0] for name in images.names if "/" in name]
        findings.add_fact("folders", count_values(folders) if folders else "none")
        return
    if isinstance(source, str | Path) and is_table(source):
        table = Manifest.read(source).table
        if SPLIT in table:
            findings.add_fact("splits", count_values(table[SPLIT]))
        if MASK in table:
            filled = f"{int((table[MASK] != '').sum())} of {counted(len(table), 'row')}"
            findings.add_fact("column mask", f"{filled}; used if the manifest is given as masks")
    for column in images.columns.columns.drop([MAP, SPLIT], errors="ignore"):
        name = "labels" if column == LABEL else f"column {column}"
        findings.add_fact(name, count_values(images.columns[column]))

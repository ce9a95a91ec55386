"""All inputs of a discovery or a prediction, opened and checked before anything long starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.check import CheckedImages, check_images, set_levels
from anomalyncd.images.findings import Findings, count_values
from anomalyncd.images.image_set import ImageSet, Picture, as_image_set, hidden_images
from anomalyncd.images.levels import Levels, learn_levels
from anomalyncd.images.manifest import LABEL, MAP, MASK, SPLIT, Manifest
from anomalyncd.inputs.annotations import is_annotations
from anomalyncd.inputs.anomaly_maps import AnomalyMaps, MapsLike, as_maps, check_maps
from anomalyncd.inputs.base_set import BaseSet, as_base_set
from anomalyncd.inputs.mask_files import read_mask
from anomalyncd.inputs.masks import Masks, check_masks
from anomalyncd.inputs.orientation import Marks, turned_along
from anomalyncd.inputs.sources import InputSources
from anomalyncd.io.files import and_more, refuse_unwritable_names
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
    skipped: tuple[str, ...] = ()
    """Names of the images that cannot be read and were left out."""


def check_inputs(images: ImagesLike, *, levels: Levels | None = None, **further: Any) -> Inputs:
    """Opens and checks all inputs; the first fault is raised.

    Args:
        images: The images.
        levels: The levels of the model by which the images will be classified.
        further: The other fields of `InputSources`.

    Raises:
        InputError: An input cannot be used, or does not go with the others.
    """
    sources = InputSources(images, **further)
    sources.refuse_combination()
    inputs = _open(sources, Findings(), levels)
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


def check_normals(normals: ImagesLike, levels: Levels | None) -> ImageSet:
    """Opens and checks normal images alone; see `Inputs.normals` for their names.

    Args:
        normals: The normal images.
        levels: The levels of the model that they will be added to.

    Raises:
        InputError: See `as_image_set` and `check_images`.
    """
    opened = as_image_set(normals, "train")
    findings = Findings()
    checked = check_images(opened, findings)
    levels = set_levels([checked], (None, None), levels, findings)
    return _named_as_normals(checked.with_levels(levels).images)


def open_masks(masks: MasksLike, images: ImageSet) -> Masks:
    """Returns masks from a folder, annotations, or the column `mask` of a manifest; masks as is.

    Raises:
        InputError: It is something else; or see `Masks.from_folder`, `Masks.from_annotations` and
            `Masks.from_manifest`.
    """
    if isinstance(masks, Masks):
        return masks
    if not isinstance(masks, str | Path):
        raise InputError(
            f"`masks` are of type {type(masks).__name__}; give a folder, a manifest or `Masks`"
        )
    if is_table(masks):
        return Masks.from_manifest(masks, images)
    if is_annotations(Path(masks).expanduser(), images):
        return Masks.from_annotations(masks, images)
    return Masks.from_folder(masks, images)


def open_places(places: MasksLike, images: ImageSet) -> Masks:
    """Returns places on the images: one mask for all images, masks, annotations, or boxes.

    Args:
        places: An image file with a mask, a folder or annotations as for masks, a table as for
            boxes, or `Masks`.
        images: The images.

    Raises:
        InputError: See `read_mask`, `Masks.from_folder` and `Masks.from_boxes`.
    """
    if isinstance(places, Masks):
        return places
    if is_table(places):
        return Masks.from_boxes(places, images)
    path = Path(places).expanduser()
    if path.is_dir() or is_annotations(path, images):
        return open_masks(path, images)
    read_mask(path)
    return Masks(images, (path,) * len(images))


def _open(sources: InputSources, findings: Findings, fitted: Levels | None = None) -> Inputs | None:
    """The one path by which inputs are opened and checked; None if the images cannot be opened."""
    images = findings.attempt(lambda: as_image_set(sources.images))
    normals = _attempt(findings, sources.normals, partial(as_image_set, split="train"))
    findings.attempt(lambda: _refuse_combination(sources, images, normals))
    checked, checked_normals = _check_pixels(sources, images, normals, findings, fitted)
    inputs = None if checked is None else _open_images(sources, checked, findings)
    base = _attempt(findings, sources.base, as_base_set)
    if base is not None:
        base = _check_base(base, findings)
        inputs = None if inputs is None else replace(inputs, base=base)
    if checked_normals is not None:
        inputs = _open_normals(sources, checked_normals, inputs, findings)
    return None if inputs is None else replace(inputs, warnings=tuple(findings.warnings))


def _check_pixels(
    sources: InputSources,
    images: ImageSet | None,
    normals: ImageSet | None,
    findings: Findings,
    fitted: Levels | None,
) -> tuple[CheckedImages | None, CheckedImages | None]:
    """Reads the images and the normal images, and finds the levels that they share."""
    checked: list[CheckedImages | None] = []
    named = ((images, sources.images, "images"), (normals, sources.normals, "normal images"))
    for opened, source, what in named:
        if opened is None:
            checked.append(None)
            continue
        _warn_of_hidden(opened, source, sources, findings)
        checked.append(check_images(opened, findings, what, sources.skip_damaged))
    given = (sources.black_level, sources.white_level)
    present = [one for one in checked if one is not None]
    levels = findings.attempt(lambda: set_levels(present, given, fitted, findings))
    first, second = (None if one is None else one.with_levels(levels) for one in checked)
    return first, second


def _warn_of_hidden(
    images: ImageSet, source: object, sources: InputSources, findings: Findings
) -> None:
    """Warns of images that are not used because they lie beside a folder `test/`."""
    if not isinstance(source, str | Path) or images.root is None:
        return
    folder = Path(source).expanduser()
    given = [Path(one) for one in vars(sources).values() if isinstance(one, str | Path)]
    if source is sources.images:
        given.append(folder / "train")
    hidden = hidden_images(images, folder, given)
    if hidden:
        findings.warn(
            f"'{source}' has a sub-folder test/, so only the "
            f"{counted(len(images), 'image in it is', 'images in it are')} used, and not "
            f"'{hidden[0]}'{and_more(len(hidden))} beside it. If those belong to the set, "
            "rename test/ or name all images in a manifest."
        )


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


def _open_images(sources: InputSources, checked: CheckedImages, findings: Findings) -> Inputs:
    """The images with their maps or masks, and the places to ignore and of the product."""
    images, sizes = checked.named, checked.sizes
    if findings.collect:
        _describe_columns(sources.images, images, findings)
    ignored = _attempt(findings, sources.ignore, partial(open_places, images=images))
    foreground = _attempt(findings, sources.foreground, partial(open_places, images=images))
    ignored, foreground = (
        None if places is None else _of_kept(places, checked, findings, what)
        for places, what in ((ignored, "ignored places"), (foreground, "foreground masks"))
    )
    for places, what in ((ignored, "ignored"), (foreground, "foreground")):
        if places is not None:
            check_masks(places, sizes, findings, what, places=True)
    inputs = Inputs(checked.images, sizes, ignored=ignored, foreground=foreground)
    inputs = replace(inputs, skipped=checked.skipped, grey=checked.grey)
    masks = _attempt(findings, sources.masks, partial(open_masks, images=images))
    boxes = _attempt(findings, sources.boxes, partial(Masks.from_boxes, images=images))
    for marks, what in ((masks, "masks"), (boxes, "boxes")):
        if marks is not None:
            marks = _of_kept(marks, checked, findings, what)
            check_masks(marks, sizes, findings, what)
            inputs = replace(
                inputs,
                images=_with_labels(inputs.images, marks, findings),
                masks=replace(marks, ignored=ignored),
            )
    if _has_maps(sources, images):
        maps = _open_maps(sources.maps, checked, findings, "maps")
        inputs = replace(inputs, maps=_without(ignored, maps))
    return inputs


def _open_maps(
    source: MapsLike | None, checked: CheckedImages, findings: Findings, what: str
) -> AnomalyMaps | None:
    """The maps that are given, or those that a manifest names."""
    images = checked.named
    maps = findings.attempt(
        lambda: AnomalyMaps.from_manifest(images) if source is None else as_maps(source, images)
    )
    if maps is not None:
        maps = _of_kept(maps, checked, findings, what)
        check_maps(maps, checked.sizes, findings, what)
    return maps


def _of_kept(marks: Marks, checked: CheckedImages, findings: Findings, what: str) -> Marks:
    """The maps or masks of the images that are used, upright like these."""
    marks = checked.of_kept(marks)
    return turned_along(marks, checked.orientations, checked.sizes, findings, what)


def _without(ignored: Masks | None, maps: AnomalyMaps | None) -> AnomalyMaps | None:
    return None if maps is None else replace(maps, ignored=ignored)


def _check_base(base: BaseSet, findings: Findings) -> BaseSet:
    """The base set with the levels of its own images, since they show other products."""
    labels = [base.class_names[label] for label in base.labels]
    findings.add_fact("base classes", count_values(labels))
    checked = check_images(base.images, findings, "base set")
    if checked.depths:
        checked = checked.with_levels(learn_levels(checked.depths)[0])
    masks = _of_kept(base.masks, checked, findings, "base masks")
    check_masks(masks, checked.sizes, findings, "base masks")
    return replace(base, images=checked.images, masks=masks)


def _open_normals(
    sources: InputSources, checked: CheckedImages, inputs: Inputs | None, findings: Findings
) -> Inputs | None:
    """The inputs with the normal images and their maps."""
    normals = checked.images
    maps, scored = None, inputs is not None and inputs.maps is not None
    if sources.normal_maps is not None or (scored and _names_maps(normals)):
        what = "normal images: maps"
        maps = _open_maps(sources.normal_maps, checked, findings, what)
    if inputs is None:
        return None
    named = _named_as_normals(normals)
    ignored = None if inputs.ignored is None else _on_all(inputs.ignored, named)
    return replace(
        inputs,
        normals=named,
        normal_maps=_without(ignored, maps),
        ignored_on_normals=ignored,
        skipped=(*inputs.skipped, *(f"normals/{name}" for name in checked.skipped)),
    )


def _named_as_normals(normals: ImageSet) -> ImageSet:
    names = tuple(f"normals/{name}" for name in normals.names)
    return ImageSet(names, normals.sources, levels=normals.levels)


def _on_all(ignored: Masks, others: ImageSet) -> Masks | None:
    """The one mask or the boxes that hold for all images, for other images."""
    shared = ignored.shared
    return None if shared is None else Masks(others, (shared,) * len(others))


def _with_labels(images: ImageSet, marks: Masks, findings: Findings) -> ImageSet:
    """The images with the classes of their annotations, unless a manifest names their labels."""
    columns = pd.DataFrame(index=range(len(images))) if images.columns is None else images.columns
    if marks.labels is None or LABEL in columns:
        return images
    findings.add_fact("labels of the annotations", count_values(marks.labels))
    return replace(images, columns=columns.assign(**{LABEL: marks.labels}))


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

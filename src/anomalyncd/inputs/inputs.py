"""Everything that a discovery is given, checked before anything long starts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import (
    AnomalyMaps,
    MapsLike,
    as_maps,
    check_maps,
)
from anomalyncd.inputs.base_set import BaseSet, as_base_set
from anomalyncd.inputs.image_set import (
    ImageSet,
    Picture,
    as_image_set,
    check_images,
)
from anomalyncd.inputs.manifest import MAP
from anomalyncd.inputs.masks import Masks, read_mask
from anomalyncd.io.files import read_each, refuse_unwritable_names
from anomalyncd.io.tables import is_table

ImagesLike: TypeAlias = ImageSet | str | Path | Iterable[Picture]
MasksLike: TypeAlias = Masks | str | Path
BaseLike: TypeAlias = BaseSet | str | Path


@dataclass(frozen=True, eq=False)
class Inputs:
    """ImageSet and what is known of them; every file has been read once."""

    images: ImageSet
    """What is to be sorted."""
    sizes: NDArray[np.int64]
    """Height and width of each image, (N, 2), px."""
    maps: AnomalyMaps | None = None
    """Their anomaly maps."""
    masks: Masks | None = None
    """Their marked defects."""
    base: BaseSet | None = None
    """Labelled defects of other products."""
    normals: ImageSet | None = None
    """Normal images, named "normals/NAME"."""
    normal_maps: AnomalyMaps | None = None
    """Maps of the normal images."""
    ignored: Masks | None = None
    """Places on the images where nothing counts; given maps and masks know of them already."""
    ignored_on_normals: Masks | None = None
    """The same on the normal images, where it holds for all images."""
    foreground: Masks | None = None
    """Where the product is on each image."""


def check_inputs(
    images: ImagesLike,
    maps: MapsLike | None = None,
    masks: MasksLike | None = None,
    base: BaseLike | None = None,
    normals: ImagesLike | None = None,
    normal_maps: MapsLike | None = None,
    boxes: str | Path | None = None,
    ignore: MasksLike | None = None,
    foreground: MasksLike | None = None,
) -> Inputs:
    """Opens and checks all inputs; see `AnomalyNCD.fit` for what each of them is.

    Raises:
        InputError: Something cannot be used, or does not go with the rest.
    """
    opened = as_image_set(images)
    plain = None if normals is None else as_image_set(normals, "train")
    refuse_combination(opened, plain, maps, masks, boxes, normal_maps)
    marked = masks is not None or boxes is not None
    scored = not marked and (maps is not None or _names_maps(opened))
    inputs = Inputs(opened, check_images(opened))
    if ignore is not None:
        inputs = replace(inputs, ignored=_checked_places(ignore, opened))
    if foreground is not None:
        inputs = replace(inputs, foreground=_checked_places(foreground, opened))
    if marked:
        inputs = replace(inputs, masks=_checked_masks(masks, boxes, inputs))
    if scored:
        inputs = replace(inputs, maps=_checked_maps(maps, opened, inputs.sizes, inputs.ignored))
    if base is not None:
        labelled = as_base_set(base)
        check_maps(labelled.masks, labelled.images, check_images(labelled.images))
        inputs = replace(inputs, base=labelled)
    return inputs if plain is None else _with_normals(inputs, plain, normal_maps)


def check_normals(normals: ImagesLike) -> ImageSet:
    """Opens and checks normal images that come alone; see `Inputs.normals` for their names.

    Raises:
        InputError: See `as_image_set` and `check_images`.
    """
    plain = as_image_set(normals, "train")
    check_images(plain)
    return _named_as_normals(plain)


def open_masks(masks: MasksLike, images: ImageSet) -> Masks:
    """Returns masks from a folder or from the column `mask` of a manifest; masks as they are.

    Raises:
        InputError: See `Masks.from_folder` and `Masks.from_manifest`.
    """
    if isinstance(masks, Masks):
        return masks
    return (Masks.from_manifest if is_table(masks) else Masks.from_folder)(masks, images)


def open_places(places: MasksLike, images: ImageSet) -> Masks:
    """Returns places on the images: a mask for all images, a folder of masks, or boxes.

    Args:
        places: A mask picture, a folder as for masks, a table as for boxes, or `Masks`.
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


def _names_maps(images: ImageSet) -> bool:
    """Whether the images come from a manifest that names their maps."""
    return images.columns is not None and MAP in images.columns


def refuse_combination(
    images: ImageSet,
    plain: ImageSet | None,
    maps: MapsLike | None,
    masks: MasksLike | None,
    boxes: str | Path | None,
    normal_maps: MapsLike | None,
) -> None:
    """Raises where things are given that do not go together, before a file is read.

    Args:
        images: The images.
        plain: Normal images.
        maps: These and the others as for `check_inputs`.
        masks: Marked defects.
        boxes: Marked defects as boxes.
        normal_maps: Maps of the normal images.

    Raises:
        InputError: Names what does not go together.
    """
    if sum(one is not None for one in (maps, masks, boxes)) > 1:
        raise InputError("several of maps, masks and boxes are given; give one of them")
    for some in (images, plain):
        refuse_unwritable_names(() if some is None else some.names)
    scored = masks is None and boxes is None and (maps is not None or _names_maps(images))
    if normal_maps is not None and (plain is None or not scored):
        raise InputError(
            "maps of normal images need the normal images and the images' maps; give all three "
            "(on the command line --normals, --maps and --normal-maps)"
        )
    if scored and plain is not None and normal_maps is None and not _names_maps(plain):
        raise InputError(
            "normal images next to maps are of no use without maps of their own; give these, too "
            "(on the command line --normal-maps)"
        )


def _checked_places(places: MasksLike, images: ImageSet) -> Masks:
    opened = open_places(places, images)
    files = sorted({source for source in opened.sources if isinstance(source, Path)})
    read_each(lambda i: read_mask(files[i]).any(), len(files), "Checking masks")
    return opened


def _checked_masks(masks: MasksLike | None, boxes: str | Path | None, inputs: Inputs) -> Masks:
    if masks is not None:
        opened = open_masks(masks, inputs.images)
    else:
        assert boxes is not None
        opened = Masks.from_boxes(boxes, inputs.images)
    check_maps(opened, inputs.images, inputs.sizes)
    return replace(opened, ignored=inputs.ignored)


def _checked_maps(
    maps: MapsLike | None, images: ImageSet, sizes: NDArray[np.int64], ignored: Masks | None
) -> AnomalyMaps:
    """The maps given, or those that a manifest names."""
    opened = AnomalyMaps.from_manifest(images) if maps is None else as_maps(maps, images)
    check_maps(opened, images, sizes)
    return replace(opened, ignored=ignored)


def _with_normals(inputs: Inputs, plain: ImageSet, normal_maps: MapsLike | None) -> Inputs:
    sizes = check_images(plain)
    prefixed = _named_as_normals(plain)
    ignored = inputs.ignored and _on_all(inputs.ignored, prefixed)
    inputs = replace(inputs, normals=prefixed, ignored_on_normals=ignored)
    if inputs.maps is None:
        return inputs
    return replace(inputs, normal_maps=_checked_maps(normal_maps, plain, sizes, ignored))


def _named_as_normals(plain: ImageSet) -> ImageSet:
    return ImageSet(tuple(f"normals/{name}" for name in plain.names), plain.sources)


def _on_all(ignored: Masks, others: ImageSet) -> Masks | None:
    """The one mask or the boxes that hold for all images, for other images."""
    shared = ignored.sources[0]
    if any(source is not shared for source in ignored.sources):
        return None
    return Masks(others, (shared,) * len(others))

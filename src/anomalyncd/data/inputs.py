"""Everything that a discovery is given, checked before anything long starts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.base_set import BaseSet, as_base_set
from anomalyncd.data.files import read_each
from anomalyncd.data.manifest import MAP
from anomalyncd.data.maps import Maps, MapsLike, as_maps, check_maps
from anomalyncd.data.masks import Masks, read_mask
from anomalyncd.data.parts import Parts, Picture, as_parts, check_parts
from anomalyncd.data.result_names import refuse_unwritable_names
from anomalyncd.data.tables import is_table
from anomalyncd.errors import InputError

PartsLike: TypeAlias = Parts | str | Path | Iterable[Picture]
MasksLike: TypeAlias = Masks | str | Path
BaseLike: TypeAlias = BaseSet | str | Path


@dataclass(frozen=True, eq=False)
class Inputs:
    """Parts and what is known of them; every file has been read once."""

    parts: Parts
    """What is to be sorted."""
    sizes: NDArray[np.int64]
    """Height and width of each part, (N, 2), px."""
    maps: Maps | None = None
    """Their anomaly maps."""
    masks: Masks | None = None
    """Their marked defects."""
    base: BaseSet | None = None
    """Labelled defects of other products."""
    normals: Parts | None = None
    """Normal parts, named "normals/NAME"."""
    normal_maps: Maps | None = None
    """Maps of the normal parts."""
    ignored: Masks | None = None
    """Places on the parts where nothing counts; given maps and masks know of them already."""
    ignored_on_normals: Masks | None = None
    """The same on the normal parts, where it holds for all parts."""
    objects: Masks | None = None
    """Where the product is on each part."""


def check_inputs(
    parts: PartsLike,
    maps: MapsLike | None = None,
    masks: MasksLike | None = None,
    base: BaseLike | None = None,
    normals: PartsLike | None = None,
    normal_maps: MapsLike | None = None,
    boxes: str | Path | None = None,
    ignore: MasksLike | None = None,
    objects: MasksLike | None = None,
) -> Inputs:
    """Opens and checks all inputs; see `AnomalyNCD.fit` for what each of them is.

    Raises:
        InputError: Something cannot be used, or does not go with the rest.
    """
    opened = as_parts(parts)
    plain = None if normals is None else as_parts(normals, "train")
    refuse_combination(opened, plain, maps, masks, boxes, normal_maps)
    marked = masks is not None or boxes is not None
    scored = not marked and (maps is not None or _names_maps(opened))
    inputs = Inputs(opened, check_parts(opened))
    if ignore is not None:
        inputs = replace(inputs, ignored=_checked_places(ignore, opened))
    if objects is not None:
        inputs = replace(inputs, objects=_checked_places(objects, opened))
    if marked:
        inputs = replace(inputs, masks=_checked_masks(masks, boxes, inputs))
    if scored:
        inputs = replace(inputs, maps=_checked_maps(maps, opened, inputs.sizes, inputs.ignored))
    if base is not None:
        labelled = as_base_set(base)
        check_maps(labelled.masks, labelled.parts, check_parts(labelled.parts))
        inputs = replace(inputs, base=labelled)
    return inputs if plain is None else _with_normals(inputs, plain, normal_maps)


def check_normals(normals: PartsLike) -> Parts:
    """Opens and checks normal images that come alone; see `Inputs.normals` for their names.

    Raises:
        InputError: See `as_parts` and `check_parts`.
    """
    plain = as_parts(normals, "train")
    check_parts(plain)
    return _named_as_normals(plain)


def open_masks(masks: MasksLike, parts: Parts) -> Masks:
    """Returns masks from a folder or from the column `mask` of a manifest; masks as they are.

    Raises:
        InputError: See `Masks.from_folder` and `Masks.from_manifest`.
    """
    if isinstance(masks, Masks):
        return masks
    return (Masks.from_manifest if is_table(masks) else Masks.from_folder)(masks, parts)


def open_places(places: MasksLike, parts: Parts) -> Masks:
    """Returns places on the parts: a mask for all parts, a folder of masks, or boxes.

    Args:
        places: A mask picture, a folder as for masks, a table as for boxes, or `Masks`.
        parts: The parts.

    Raises:
        InputError: See `read_mask`, `Masks.from_folder` and `Masks.from_boxes`.
    """
    if isinstance(places, Masks):
        return places
    if is_table(places):
        return Masks.from_boxes(places, parts)
    path = Path(places).expanduser()
    if path.is_dir():
        return Masks.from_folder(path, parts)
    read_mask(path)
    return Masks(parts, (path,) * len(parts))


def _names_maps(parts: Parts) -> bool:
    """Whether the parts come from a manifest that names their maps."""
    return parts.columns is not None and MAP in parts.columns


def refuse_combination(
    parts: Parts,
    plain: Parts | None,
    maps: MapsLike | None,
    masks: MasksLike | None,
    boxes: str | Path | None,
    normal_maps: MapsLike | None,
) -> None:
    """Raises where things are given that do not go together, before a file is read.

    Args:
        parts: The parts.
        plain: Normal parts.
        maps: These and the others as for `check_inputs`.
        masks: Marked defects.
        boxes: Marked defects as boxes.
        normal_maps: Maps of the normal parts.

    Raises:
        InputError: Names what does not go together.
    """
    if sum(one is not None for one in (maps, masks, boxes)) > 1:
        raise InputError("several of maps, masks and boxes are given; give one of them")
    for some in (parts, plain):
        refuse_unwritable_names(() if some is None else some.names)
    scored = masks is None and boxes is None and (maps is not None or _names_maps(parts))
    if normal_maps is not None and (plain is None or not scored):
        raise InputError(
            "maps of normal images need the normal images and the parts' maps; give all three "
            "(on the command line --normals, --maps and --normal-maps)"
        )
    if scored and plain is not None and normal_maps is None and not _names_maps(plain):
        raise InputError(
            "normal images next to maps are of no use without maps of their own; give these, too "
            "(on the command line --normal-maps)"
        )


def _checked_places(places: MasksLike, parts: Parts) -> Masks:
    opened = open_places(places, parts)
    files = sorted({source for source in opened.sources if isinstance(source, Path)})
    read_each(lambda i: read_mask(files[i]).any(), len(files), "Checking masks")
    return opened


def _checked_masks(masks: MasksLike | None, boxes: str | Path | None, inputs: Inputs) -> Masks:
    if masks is not None:
        opened = open_masks(masks, inputs.parts)
    else:
        assert boxes is not None
        opened = Masks.from_boxes(boxes, inputs.parts)
    check_maps(opened, inputs.parts, inputs.sizes)
    return replace(opened, ignored=inputs.ignored)


def _checked_maps(
    maps: MapsLike | None, parts: Parts, sizes: NDArray[np.int64], ignored: Masks | None
) -> Maps:
    """The maps given, or those that a manifest names."""
    opened = Maps.from_manifest(parts) if maps is None else as_maps(maps, parts)
    check_maps(opened, parts, sizes)
    return replace(opened, ignored=ignored)


def _with_normals(inputs: Inputs, plain: Parts, normal_maps: MapsLike | None) -> Inputs:
    sizes = check_parts(plain)
    prefixed = _named_as_normals(plain)
    ignored = inputs.ignored and _on_all(inputs.ignored, prefixed)
    inputs = replace(inputs, normals=prefixed, ignored_on_normals=ignored)
    if inputs.maps is None:
        return inputs
    return replace(inputs, normal_maps=_checked_maps(normal_maps, plain, sizes, ignored))


def _named_as_normals(plain: Parts) -> Parts:
    return Parts(tuple(f"normals/{name}" for name in plain.names), plain.sources)


def _on_all(ignored: Masks, others: Parts) -> Masks | None:
    """The one mask or the boxes that hold for all parts, for other parts."""
    shared = ignored.sources[0]
    if any(source is not shared for source in ignored.sources):
        return None
    return Masks(others, (shared,) * len(others))

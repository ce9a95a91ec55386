"""Everything that a discovery is given, checked before anything long starts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.base_set import BaseSet
from anomalyncd.data.maps import Maps, MapsLike, as_maps, check_maps
from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts, Picture, as_parts, check_parts
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


def check_inputs(
    parts: PartsLike,
    maps: MapsLike | None = None,
    masks: MasksLike | None = None,
    base: BaseLike | None = None,
    normals: PartsLike | None = None,
    normal_maps: MapsLike | None = None,
) -> Inputs:
    """Opens and checks all inputs; see `AnomalyNCD.fit` for what each of them is.

    Raises:
        InputError: Something cannot be used, or does not go with the rest.
    """
    if maps is not None and masks is not None:
        raise InputError("both maps and masks are given; give one of them")
    if maps is not None and normals is not None and normal_maps is None:
        raise InputError("normal images next to maps are of no use without maps of their own")
    if normal_maps is not None and (normals is None or maps is None):
        raise InputError("maps of normal images need the normal images and the parts' maps")
    checked, sizes = _checked(parts)
    inputs = Inputs(checked, sizes)
    if maps is not None:
        inputs = replace(inputs, maps=_checked_maps(maps, checked, sizes))
    if masks is not None:
        given = masks if isinstance(masks, Masks) else Masks.from_folder(masks, checked)
        check_maps(given, checked, sizes)
        inputs = replace(inputs, masks=given)
    if base is not None:
        labelled = base if isinstance(base, BaseSet) else BaseSet.from_folder(base)
        check_maps(labelled.masks, labelled.parts, check_parts(labelled.parts))
        inputs = replace(inputs, base=labelled)
    if normals is not None:
        plain, normal_sizes = _checked(normals)
        prefixed = Parts(tuple(f"normals/{name}" for name in plain.names), plain.sources)
        inputs = replace(inputs, normals=prefixed)
        if normal_maps is not None:
            inputs = replace(inputs, normal_maps=_checked_maps(normal_maps, plain, normal_sizes))
    return inputs


def _checked(parts: PartsLike) -> tuple[Parts, NDArray[np.int64]]:
    opened = as_parts(parts)
    return opened, check_parts(opened)


def _checked_maps(maps: MapsLike, parts: Parts, sizes: NDArray[np.int64]) -> Maps:
    opened = as_maps(maps, parts)
    check_maps(opened, parts, sizes)
    return opened

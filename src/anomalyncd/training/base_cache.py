"""Frozen tokens of the base set, kept between runs."""

import hashlib
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from anomalyncd.cache import BASE, TensorStore
from anomalyncd.data.base_set import BaseSet
from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.model.weights import digest
from anomalyncd.regions.finding import regions_of_masks
from anomalyncd.regions.reading import read_crops
from anomalyncd.settings import Settings
from anomalyncd.training.discoverer import BaseRegions
from anomalyncd.training.trunk_cache import TrunkCache, fill_cache

MAX_REGIONS_PER_IMAGE = 2


def read_base(
    base: BaseSet, encoder: RegionEncoder, settings: Settings, seed: int, folder: Path
) -> BaseRegions:
    """Cuts the base set's regions out and reads them, or takes them from an earlier run.

    Args:
        base: Labelled defects; at most two regions an image are used, the largest.
        encoder: On its device and in its precision.
        settings: Regions, encoder and views.
        seed: Of the views.
        folder: Where tokens are laid down that are too many for memory.
    """
    sizes = np.array([base.parts.image(i).shape[:2] for i in range(len(base.parts))], np.int64)
    limited = replace(settings.regions, max_per_image=MAX_REGIONS_PER_IMAGE)
    found = regions_of_masks(base.masks, sizes, limited)
    store, key = TensorStore(BASE), _key(base, encoder, settings, seed)
    cache = _kept(store, key, encoder)
    if cache is None:
        crops = read_crops(base.parts, found, settings.views.load_size, settings.regions.rules)
        cache = fill_cache(encoder, crops, len(found.regions), settings.views, seed, folder)
        held = {name: one for name, one in vars(cache).items() if one is not None}
        store.save(key, held)
    return BaseRegions(cache, base.labels[found.regions.image], len(base.class_names))


def _kept(store: TensorStore, key: str, encoder: RegionEncoder) -> TrunkCache | None:
    """Tokens of an earlier run, or None; what lacks a part is as good as none."""
    tensors = store.load(key)
    needed = {field.name for field in fields(TrunkCache)}
    if encoder.settings.n_poses == 1:
        needed.remove("means")
    return TrunkCache(**tensors) if tensors is not None and tensors.keys() == needed else None


def _key(base: BaseSet, encoder: RegionEncoder, settings: Settings, seed: int) -> str:
    """Names everything that the tokens depend on: pixels, masks, weights, settings."""
    sha = hashlib.sha256()
    for index in range(len(base.parts)):
        sha.update(base.parts.image(index).tobytes())
        sha.update(np.packbits(base.masks[index]).tobytes())
    described = (asdict(settings.regions), asdict(settings.encoder), asdict(settings.views), seed)
    sha.update(repr(described).encode())
    sha.update(digest(encoder.vit.state_dict()).encode())
    return sha.hexdigest()[:32]

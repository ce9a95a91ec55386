"""Frozen tokens of the base set, kept between runs."""

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.weights import digest
from anomalyncd.config import Config
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import TokenStore, fill_token_store
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.io.cache import BASE, TensorStore
from anomalyncd.regions.crops import read_crops
from anomalyncd.regions.finding import regions_of_masks

MAX_REGIONS_PER_IMAGE = 2


@dataclass(frozen=True, eq=False)
class BaseRegions:
    """Regions of known classes."""

    cache: TokenStore
    labels: NDArray[np.int64]
    """(R,): class of each region."""
    n_classes: int


def read_base(
    base: BaseSet, encoder: RegionEncoder, config: Config, seed: int, folder: Path
) -> BaseRegions:
    """Cuts the base set's regions out and reads them, or takes them from an earlier run.

    Args:
        base: Labelled defects; at most two regions an image are used, the largest.
        encoder: On its device and in its precision.
        config: Regions, encoder and views.
        seed: Of the views.
        folder: Where tokens are laid down that are too many for memory.
    """
    sizes = np.array([base.images.image(i).shape[:2] for i in range(len(base.images))], np.int64)
    limited = replace(config.regions, max_per_image=MAX_REGIONS_PER_IMAGE)
    regions = regions_of_masks(base.masks, sizes, limited)
    store, key = TensorStore(BASE), _key(base, encoder, config, seed)
    cache = _kept(store, key, encoder)
    if cache is None:
        crops = read_crops(base.images, regions, config.crops.load_size, config.regions.rules)
        cache = fill_token_store(encoder, crops, len(regions), config.crops, seed, folder)
        held = {name: one for name, one in vars(cache).items() if one is not None}
        store.save(key, held)
    return BaseRegions(cache, base.labels[regions.image], len(base.class_names))


def _kept(store: TensorStore, key: str, encoder: RegionEncoder) -> TokenStore | None:
    """Tokens of an earlier run, or None; what lacks a image is as good as none."""
    tensors = store.load(key)
    needed = {field.name for field in fields(TokenStore)}
    if encoder.config.n_rotations == 1:
        needed.remove("means")
    return TokenStore(**tensors) if tensors is not None and tensors.keys() == needed else None


def _key(base: BaseSet, encoder: RegionEncoder, config: Config, seed: int) -> str:
    """Names everything that the tokens depend on: pixels, masks, weights, settings."""
    sha = hashlib.sha256()
    for index in range(len(base.images)):
        sha.update(base.images.image(index).tobytes())
        sha.update(np.packbits(base.masks[index]).tobytes())
    described = (asdict(config.regions), asdict(config.encoder), asdict(config.crops), seed)
    sha.update(repr(described).encode())
    sha.update(digest(encoder.vit.state_dict()).encode())
    return sha.hexdigest()[:32]

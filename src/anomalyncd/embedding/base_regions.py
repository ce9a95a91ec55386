"""What is read of the base set, cached between runs."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.region_store import RegionStore, fill_store, store_of
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.io.cache import BASE, TensorStore
from anomalyncd.io.key import content_digest, key_of_version
from anomalyncd.regions.crops import read_crops
from anomalyncd.regions.finding import regions_of_masks

MAX_REGIONS_PER_IMAGE = 2


@dataclass(frozen=True, eq=False)
class BaseRegions:
    """Labelled regions of the base set."""

    tokens: RegionStore
    """What was read of them."""
    labels: NDArray[np.int64]
    """(R,): class of each region."""
    n_classes: int


def read_base(base: BaseSet, context: RunContext) -> BaseRegions:
    """Cuts out the regions of the base set and reads them, or takes them from the cache.

    Args:
        base: Labelled defects; the largest regions of an image are used, at most two.
        context: Encoder, config, and the folder for tokens that are too large for memory.
    """
    config = context.config
    sizes = np.array([base.images.image(i).shape[:2] for i in range(len(base.images))], np.int64)
    limited = replace(config.regions, max_per_image=MAX_REGIONS_PER_IMAGE)
    regions = regions_of_masks(base.masks, sizes, limited)
    cache, made_from = TensorStore(BASE), _key(base, context)
    tokens = _cached(cache, made_from)
    if tokens is None:
        crops = read_crops(base.images, regions, config)
        tokens = fill_store(context, crops, len(regions))
        cache.save(made_from, tokens.tensors)
    return BaseRegions(tokens, base.labels[regions.image], len(base.class_names))


def _cached(cache: TensorStore, made_from: str) -> RegionStore | None:
    """What an earlier run has read; None where it kept other tensors of a region."""
    tensors = cache.load(made_from)
    try:
        return None if tensors is None else store_of(tensors)
    except TypeError:
        return None


def _key(base: BaseSet, context: RunContext) -> str:
    """Everything that the tokens depend on; files count by content, wherever they are stored."""
    config = context.config
    masks = [
        content_digest(source) if isinstance(source, Path) else source
        for source in base.masks.sources
    ]
    images = [content_digest(source) for source in base.images.sources]
    stages = (config.regions, config.encoder, config.crops)
    return key_of_version(
        images,
        base.images.levels,
        masks,
        base.masks.turns,
        stages,
        context.encoder.vit,
        context.seed,
    )

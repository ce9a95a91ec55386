"""What is read of every region, once: tokens to train from, or means where nothing is trained."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.pixels import to_tensor
from anomalyncd.config import Config, CropConfig
from anomalyncd.embedding.augmentation import (
    CropBatch,
    augmented_view,
    central_view,
    rotations,
)
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.embedding.mean_store import MeanStore
from anomalyncd.embedding.token_store import TokenStore, mapped_tokens
from anomalyncd.images.image_set import ImageSet
from anomalyncd.regions.crops import Crop, Levels, Overlays, read_crops
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.device_memory import is_out_of_memory
from anomalyncd.runtime.progress import track

BATCH = 16

RegionStore = TokenStore | MeanStore
"""What was read of regions: means where descriptors are averaged over rotations, else tokens."""
Store = TypeVar("Store", bound=RegionStore)


def trainable(store: RegionStore) -> TokenStore:
    """Returns the store where something can be trained from it.

    Raises:
        ValueError: It holds means over rotations.
    """
    if isinstance(store, MeanStore):
        raise ValueError("means over rotations are not trained; set encoder.n_rotations=1")
    return store


def store_of(tensors: dict[str, Tensor]) -> RegionStore:
    """Restores a store from its `tensors`.

    Raises:
        TypeError: They are not those of one store.
    """
    return MeanStore(**tensors) if "means" in tensors else TokenStore(**tensors)


def fill_store(context: RunContext, crops: Iterable[Crop], n_regions: int) -> RegionStore:
    """Reads every region as far as the run needs it.

    Args:
        context: As for `fill_token_store`.
        crops: As for `fill_token_store`.
        n_regions: As for `fill_token_store`.

    Returns:
        Means over rotations, where the encoder is to average, otherwise the tokens of all views.
    """
    return _fill(context, crops, n_regions, read_batch)


def fill_token_store(context: RunContext, crops: Iterable[Crop], n_regions: int) -> TokenStore:
    """Runs the frozen blocks over the central and the augmented views of every region.

    Args:
        context: Encoder, config, seed of the augmentation, and the folder where tokens above
            `config.crops.memory_limit_gb` are written, if there is one.
        crops: The crop of each region, with the side `config.crops.load_size`.
        n_regions: Number of crops that will come; at least one.

    Returns:
        The tokens of all views, none of them rotated.
    """
    return _fill(context, crops, n_regions, _read_tokens)


def read_batch(encoder: RegionEncoder, config: CropConfig, batch: CropBatch) -> RegionStore:
    """Reads a batch of regions as far as a run needs it, see `fill_store`.

    Args:
        encoder: On its device and in its precision.
        config: The views.
        batch: The crops.

    Returns:
        Means or tokens, on the CPU. Their last bits may depend on the size of the batch.
    """
    if encoder.config.n_rotations > 1:  # Descriptors are averaged, so nothing can be trained.
        return _read_means(encoder, config, batch)
    return _read_tokens(encoder, config, batch)


def join_batches(context: RunContext, parts: Iterable[Store], n_regions: int) -> Store:
    """Joins what was read of batches of `BATCH` regions, in memory or, of tokens, in a file.

    Args:
        context: As for `fill_token_store`.
        parts: What was read of each batch, in order.
        n_regions: Number of regions in all batches; at least one.
    """
    store, start = None, 0
    for part in track(parts, "Reading regions", -(-n_regions // BATCH)):
        store = store or _allocate(part, n_regions, context)
        rows = slice(start, start := start + len(part))
        for name, tensor in store.tensors.items():
            tensor[rows] = part.tensors[name]
    if store is None:
        raise ValueError("no region to read")
    return store


class BatchReader:
    """Cuts out and reads batches of regions, of which each is read as `fill_store` does.

    Augmented views are drawn in the order of all regions, so there may be none.

    Args:
        encoder: On its device and in its precision.
        images: The images.
        regions: All regions.
        config: Of the run.
        overlays: See `read_crops`.
    """

    def __init__(
        self,
        encoder: RegionEncoder,
        images: ImageSet,
        regions: Regions,
        config: Config,
        overlays: Overlays,
    ) -> None:
        self._encoder, self._images, self._regions = encoder, images, regions
        self._config, self._overlays = config, overlays

    def __call__(self, start: int) -> RegionStore:
        """Reads the batch of regions that begins at a row."""
        regions = self._regions.select(slice(start, start + BATCH))
        crops = read_crops(self._images, regions, self._config, self._overlays)
        (batch,) = _batches(crops)
        with torch.inference_mode():
            return read_batch(self._encoder, self._config.crops, batch)


def _fill(
    context: RunContext,
    crops: Iterable[Crop],
    n_regions: int,
    read: Callable[[RegionEncoder, CropConfig, CropBatch], Store],
) -> Store:
    encoder, config = context.encoder, context.config.crops
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(context.seed)
        parts = (read(encoder, config, batch) for batch in _batches(crops))
        return join_batches(context, parts, n_regions)


def _read_tokens(encoder: RegionEncoder, config: CropConfig, batch: CropBatch) -> TokenStore:
    """Runs the frozen blocks over the central and the augmented views."""
    views = []
    for view in _views(batch, config):
        features = _frozen_features(encoder, view)
        tokens = features.tokens.to("cpu", torch.bfloat16)
        views.append((tokens, features.shares.cpu(), features.frozen.cpu()))
    return TokenStore(*(torch.stack(one, 1) for one in zip(*views, strict=True)))


def _read_means(encoder: RegionEncoder, config: CropConfig, batch: CropBatch) -> MeanStore:
    """Runs the frozen blocks over the rotations of the central view."""
    view = central_view(batch, config)
    upright = _frozen_features(encoder, view)
    means = _mean_over_rotations(encoder, view, upright)
    if not encoder.guides_readout:
        return MeanStore(means)
    # Rounded as in a token store, so that it is the attention of stored tokens.
    rounded = replace(upright, tokens=upright.tokens.to(torch.bfloat16).float())
    return MeanStore(means, encoder.attention(rounded).half().cpu())


def _frozen_features(encoder: RegionEncoder, view: CropBatch) -> FrozenFeatures:
    """Runs the frozen blocks; in halves, where the memory of the device is too small."""
    count = len(view.images)
    try:
        return _run_frozen_blocks(encoder, view)
    except RuntimeError as error:
        if count == 1 or not is_out_of_memory(error):
            raise
    # Only here is what the error refers to, tensors on the device among it, given back.
    rows = (slice(count // 2), slice(count // 2, None))
    first, second = (_frozen_features(encoder, view.select(half)) for half in rows)
    return FrozenFeatures(
        torch.cat([first.tokens, second.tokens]),
        torch.cat([first.shares, second.shares]),
        torch.cat([first.frozen, second.frozen]),
    )


def _run_frozen_blocks(encoder: RegionEncoder, view: CropBatch) -> FrozenFeatures:
    weight = encoder.vit.patch_embed.proj.weight
    return encoder.frozen_features(
        view.images.to(weight.device, weight.dtype),
        view.masks.to(weight.device),
        None if view.foreground is None else view.foreground.to(weight.device),
        None if view.maps is None else view.maps.to(weight.device),
    )


def _mean_over_rotations(
    encoder: RegionEncoder, view: CropBatch, upright: FrozenFeatures
) -> Tensor:
    """Mean of all pieces of the descriptors over the rotations of a view, (B, sum of widths)."""
    others = islice(rotations(view, encoder.config.n_rotations), 1, None)
    features = chain([upright], (_frozen_features(encoder, rotated) for rotated in others))
    pieces = [encoder.read(replace(one, tokens=one.tokens.float())).cpu() for one in features]
    return torch.stack(pieces).mean(0)


def _views(batch: CropBatch, config: CropConfig) -> Iterator[CropBatch]:
    yield central_view(batch, config)
    for _ in range(config.n_views):
        yield augmented_view(batch, config)


def _batches(crops: Iterable[Crop]) -> Iterator[CropBatch]:
    stream = iter(crops)
    while chunk := list(islice(stream, BATCH)):
        yield CropBatch(
            to_tensor(np.stack([crop.image for crop in chunk])),
            torch.from_numpy(np.stack([crop.mask for crop in chunk]))[:, None],
            _stacked([crop.foreground_mask for crop in chunk]),
            _stacked([crop.anomaly_map for crop in chunk]),
        )


def _stacked(layers: list[Levels | None]) -> Tensor | None:
    present = [layer for layer in layers if layer is not None]
    return torch.from_numpy(np.stack(present))[:, None] if present else None


def _allocate(part: Store, n_regions: int, context: RunContext) -> Store:
    """A store for all regions, of the kind and the shapes of a part."""
    empty = {}
    for name, tensor in part.tensors.items():
        shape = (n_regions, *tensor.shape[1:])
        too_large = 2 * math.prod(shape) > context.config.crops.memory_limit_gb * 1e9
        if name == "tokens" and too_large and context.folder is not None:
            empty[name] = mapped_tokens(context.folder, shape, new=True)
        else:
            empty[name] = tensor.new_empty(shape)
    return type(part)(**empty)

"""How long a run will take, and what it needs, before it starts."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from anomalyncd.backbone.pixels import chosen_resolution
from anomalyncd.config import Config
from anomalyncd.detection.tiles import chosen_tile_side, tiles_of
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.inputs import Inputs

_REGIONS_PER_IMAGE = 1.3
_BASE_MEMORY_GB = 0.9
"""Interpreter, libraries, the images in hand."""
_BYTES_PER_PIXEL = 12
"""Of the largest image: twice its colours, its mask, and its share of a map."""
_DECODING_SECONDS = 0.03
"""Opening an image and its map, cutting regions out."""

_COUNTING_SECONDS = 0.01
"""Estimating the number of classes, for each region."""


@dataclass(frozen=True)
class CostEstimate:
    """What a run will need, to about a factor of two."""

    seconds: float
    memory_gb: float
    """At its peak."""
    disk_gb: float
    """Of the run folder when it is largest."""

    def __str__(self) -> str:
        """ "about 4 min, 1.3 GB of memory, 0.1 GB of disk"."""
        minutes = self.seconds / 60
        if minutes < 1:
            took = "less than a minute"
        elif minutes < 90:
            took = f"about {minutes:.0f} min"
        else:
            took = f"about {minutes / 60:.1f} h"
        disk = max(self.disk_gb, 0.1)
        return f"{took}, {self.memory_gb:.1f} GB of memory, {disk:.1f} GB of disk"


def estimate_cost(
    inputs: Inputs, encoder: RegionEncoder, config: Config, counts_classes: bool
) -> CostEstimate:
    """Counts multiplications and times a few of them on this machine, which takes about a second.

    Args:
        inputs: What was given.
        encoder: On its device and in its precision.
        config: As they will be used.
        counts_classes: Whether the number of classes has to be estimated.
    """
    n_images = len(inputs.images) + (len(inputs.normals) if inputs.normals else 0)
    n_regions = _REGIONS_PER_IMAGE * len(inputs.images)
    n_base = len(inputs.base.images) if inputs.base else 0
    views = 1 + config.crops.n_views
    looks = config.encoder.n_rotations + config.crops.n_views
    n_tokens = (config.crops.size // encoder.vit.config.patch_size) ** 2 + 1
    width = encoder.vit.config.width
    work = (n_regions + n_base) * looks * _forward(encoder, n_tokens, encoder.readout)
    references = maps = 0.0
    if inputs.maps is None and inputs.masks is None:
        # Whether the product will be cut out is not known yet.
        patch_size, area = encoder.vit.config.patch_size, float(inputs.sizes.prod(axis=1).mean())
        n_looked_at, per_image = n_images, 1
        tile_side = chosen_tile_side(inputs.sizes, config.detector)
        if tile_side is not None:
            per_image = round(float(np.mean([len(tiles_of(s, tile_side)) for s in inputs.sizes])))
            n_looked_at, area = n_images * per_image, float(tile_side**2)
        side = chosen_resolution(config.detector, area, patch_size, is_cut_out=False)
        n_patches = (side // patch_size) ** 2
        compared = _compared_tokens(config, n_patches, inputs.normals is not None)
        work += n_looked_at * _map_work(encoder, config, n_patches, compared)
        if inputs.normals is not None:
            n_rotated = len(inputs.normals) * per_image * (config.detector.n_rotations - 1)
            work += n_rotated * _map_work(encoder, config, n_patches, 0)
        n_pixels = area if config.detector.map_size is None else config.detector.map_size**2
        maps = 2 * n_pixels * n_looked_at
        references = compared * width * 2
    if config.training.epochs:
        # Two views a step; forward and backward cost three times the forward; the CLS row alone.
        work += config.training.epochs * (n_regions + n_base) * 6 * (4 * n_tokens + 16) * width**2
    tokens = (n_regions + n_base) * views * n_tokens * width * 2
    in_memory = min(tokens, config.crops.memory_limit_gb * 1e9)
    # The largest image as it is decoded and cut up, and its mask, when they are all in memory.
    in_hand = _BYTES_PER_PIXEL * float(inputs.sizes.prod(axis=1).max())
    seconds = work / _speed(encoder, n_tokens) + _DECODING_SECONDS * n_images
    seconds += _COUNTING_SECONDS * n_regions * counts_classes
    weights = sum(p.numel() * p.element_size() for p in encoder.parameters())
    return CostEstimate(
        seconds,
        _BASE_MEMORY_GB + (2 * weights + 2 * references + in_memory + in_hand) / 1e9,
        (maps + tokens) / 1e9,
    )


def _forward(encoder: RegionEncoder, n_tokens: int, n_blocks: int) -> float:
    """Operations of some blocks on one image."""
    width = encoder.vit.config.width
    return n_blocks * (24.0 * n_tokens * width**2 + 4.0 * n_tokens**2 * width)


def _map_work(encoder: RegionEncoder, config: Config, n_patches: int, compared: float) -> float:
    """Operations of one map: its tokens, and their comparison with so many others."""
    comparison = 2.0 * n_patches * compared * encoder.vit.config.width
    return _forward(encoder, n_patches, max(config.detector.layers) + 1) + comparison


def _compared_tokens(config: Config, n_patches: int, with_normals: bool) -> float:
    """Tokens of the memory bank, or of all references."""
    detector = config.detector
    kinds = len(detector.layers) * len(detector.neighbourhoods)
    if with_normals:
        return float(kinds * detector.bank_size)
    return float(kinds * detector.n_references * n_patches)


def _speed(encoder: RegionEncoder, n_tokens: int) -> float:
    """Operations a second of this machine, seen on a few crops."""
    weight = encoder.vit.patch_embed.proj.weight
    side = int((n_tokens - 1) ** 0.5) * encoder.vit.config.patch_size
    images = torch.zeros(4, 3, side, side, dtype=weight.dtype, device=weight.device)
    masks = torch.ones(4, 1, side, side, device=weight.device)
    with torch.inference_mode():
        encoder.frozen_features(images[:1], masks[:1])
        start = time.perf_counter()
        encoder.frozen_features(images, masks).frozen.cpu()
    seconds = max(time.perf_counter() - start, 1e-6)
    return 4 * _forward(encoder, n_tokens, encoder.readout) / seconds

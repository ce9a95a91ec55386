"""How long a run will take, and what it needs, before it starts."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from anomalyncd.backbone.pixels import chosen_resolution
from anomalyncd.config import Config
from anomalyncd.detection.candidates import N_COMPONENTS
from anomalyncd.detection.clusters import N_CLUSTERS, N_PROBED
from anomalyncd.detection.tiles import chosen_tile_side, tiles_of
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.writing import nearest_folder
from anomalyncd.runtime.logs import LOG
from anomalyncd.runtime.resources import free_disk_gb, memory_gb, used_disk_gb

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
class Needs:
    """What a run takes of the machine, to about a factor of two."""

    memory_gb: float
    """At its peak."""
    disk_gb: float
    """Of the run folder when it is largest."""


@dataclass(frozen=True)
class CostEstimate(Needs):
    """What a run takes of the machine, and how long it will take."""

    seconds: float

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


def require_resources(needs: Needs, folder: Path) -> None:
    """Checks that the memory and the disk suffice for a run, and logs where they hardly do.

    Estimates are right to about a factor of two, so less than half of them is refused. What the
    system does not tell is not checked.

    Args:
        needs: The estimate.
        folder: Where the run is written; what is in it already counts as free.

    Raises:
        InputError: Names what is missing, and the remedy.
    """
    require_disk(needs.disk_gb, folder)
    memory = memory_gb()
    if memory is not None:
        remedy = "close other programs, give fewer images, or lower `detail`"
        _require(needs.memory_gb, memory, "of memory", remedy)


def require_disk(gigabytes: float, folder: Path) -> None:
    """Checks the disk alone, see `require_resources`."""
    free = free_disk_gb(nearest_folder(folder))
    if free is not None:
        what = f"on the disk of '{folder}'"
        remedy = "free some space there, or name a folder on another disk for the results"
        _require(gigabytes, free + used_disk_gb(folder), what, remedy)


def _require(needed: float, free: float, what: str, remedy: str) -> None:
    told = f"about {needed:.1f} GB {what} are needed and {free:.1f} GB are free; {remedy}"
    if free < needed / 2:
        raise InputError(told)
    if free < needed:
        LOG.warning("%s", told)


def map_bytes(inputs: Inputs, config: Config) -> float:
    """Returns how much the anomaly maps of all images and normal images take on the disk."""
    n_images = len(inputs.images) + (len(inputs.normals) if inputs.normals else 0)
    per_image, area = _looked_at(inputs, config)
    n_pixels = area if config.detector.map_size is None else config.detector.map_size**2
    return 2.0 * n_pixels * per_image * n_images


def _looked_at(inputs: Inputs, config: Config) -> tuple[int, float]:
    """How many tiles an image has on average, 1 where it is looked at as a whole, and their area
    in pixels."""
    side = chosen_tile_side(inputs.sizes, config.detector)
    if side is None:
        return 1, float(inputs.sizes.prod(axis=1).mean())
    return round(float(np.mean([len(tiles_of(size, side)) for size in inputs.sizes]))), side**2


def estimate_needs(
    inputs: Inputs, encoder: RegionEncoder, config: Config, keeps_tokens: bool
) -> Needs:
    """Adds up what a run keeps in memory and on the disk; nothing is timed.

    Args:
        inputs: What was given.
        encoder: On its device and in its precision.
        config: As they will be used.
        keeps_tokens: Whether what is read of regions is saved for a rerun even where it fits into
            memory.
    """
    width = encoder.vit.config.width
    maps = references = 0.0
    if inputs.maps is None and inputs.masks is None:
        n_patches, _ = _patches(inputs, encoder, config)
        compared = _compared_tokens(config, n_patches, inputs.normals is not None)
        references = compared * (width * 2 + N_COMPONENTS * 4)
        maps = map_bytes(inputs, config)
    read, in_memory = _read_bytes(inputs, encoder, config)
    # The largest image as it is decoded and cut up, and its mask, when they are all in memory.
    in_hand = _BYTES_PER_PIXEL * float(inputs.sizes.prod(axis=1).max())
    weights = sum(p.numel() * p.element_size() for p in encoder.parameters())
    return Needs(
        _BASE_MEMORY_GB + (2 * weights + 2 * references + in_memory + in_hand) / 1e9,
        (maps + read * (keeps_tokens or read > in_memory)) / 1e9,
    )


def estimate_cost(
    inputs: Inputs,
    encoder: RegionEncoder,
    config: Config,
    counts_classes: bool,
    keeps_tokens: bool = True,
) -> CostEstimate:
    """Counts multiplications and times a few of them on this machine, which takes about a second.

    Args:
        inputs: What was given.
        encoder: On its device and in its precision.
        config: As they will be used.
        counts_classes: Whether the number of classes has to be estimated.
        keeps_tokens: Whether what is read of regions is saved for a rerun even where it fits into
            memory.
    """
    n_images = len(inputs.images) + (len(inputs.normals) if inputs.normals else 0)
    n_regions, n_tokens = _n_regions(inputs), _n_tokens(encoder, config)
    looks = config.encoder.n_rotations + config.crops.n_views
    work = n_regions * looks * _forward(encoder, n_tokens, encoder.readout)
    if inputs.maps is None and inputs.masks is None:
        n_patches, per_image = _patches(inputs, encoder, config)
        compared = _compared_tokens(config, n_patches, inputs.normals is not None)
        near = compared if inputs.normals is not None else compared * N_PROBED / N_CLUSTERS
        work += n_images * per_image * _map_work(encoder, config, n_patches, near)
        if inputs.normals is not None:
            n_rotated = len(inputs.normals) * per_image * (config.detector.n_rotations - 1)
            work += n_rotated * _map_work(encoder, config, n_patches, 0)
    if config.training.epochs:
        # Two views a step; forward and backward cost three times the forward; the CLS row alone.
        width = encoder.vit.config.width
        work += config.training.epochs * n_regions * 6 * (4 * n_tokens + 16) * width**2
    seconds = work / _speed(encoder, n_tokens) + _DECODING_SECONDS * n_images
    if counts_classes:
        seconds += _COUNTING_SECONDS * _REGIONS_PER_IMAGE * len(inputs.images)
    needs = estimate_needs(inputs, encoder, config, keeps_tokens)
    return CostEstimate(needs.memory_gb, needs.disk_gb, seconds)


def _n_regions(inputs: Inputs) -> float:
    """How many regions are expected, those of the base set included."""
    n_base = len(inputs.base.images) if inputs.base else 0
    return _REGIONS_PER_IMAGE * len(inputs.images) + n_base


def _read_bytes(inputs: Inputs, encoder: RegionEncoder, config: Config) -> tuple[float, float]:
    """Bytes of what is kept of all regions, and those of them that lie in memory."""
    n_regions, n_tokens = _n_regions(inputs), _n_tokens(encoder, config)
    if encoder.config.n_rotations > 1:
        # Means in float32, and two maps of attention in float16; see `MeanStore`.
        means = n_regions * 4 * (sum(encoder.widths) + n_tokens)
        return means, means
    tokens = n_regions * (1 + config.crops.n_views) * n_tokens * encoder.vit.config.width * 2
    return tokens, min(tokens, config.crops.memory_limit_gb * 1e9)


def _n_tokens(encoder: RegionEncoder, config: Config) -> int:
    """Tokens of one region."""
    return int((config.crops.size // encoder.vit.config.patch_size) ** 2 + 1)


def _patches(inputs: Inputs, encoder: RegionEncoder, config: Config) -> tuple[int, int]:
    """Patches of what is looked at at once, and how often that is done for each image.

    Whether the product will be cut out is not known yet.
    """
    patch_size, (per_image, area) = encoder.vit.config.patch_size, _looked_at(inputs, config)
    side = chosen_resolution(config.detector, area, patch_size, is_cut_out=False)
    return (side // patch_size) ** 2, per_image


def _forward(encoder: RegionEncoder, n_tokens: int, n_blocks: int) -> float:
    """Operations of some blocks on one image."""
    width = encoder.vit.config.width
    return n_blocks * (24.0 * n_tokens * width**2 + 4.0 * n_tokens**2 * width)


def _map_work(encoder: RegionEncoder, config: Config, n_patches: int, compared: float) -> float:
    """Operations of one map: its tokens, and their comparison with so many others on a CPU."""
    comparison = 2.0 * n_patches * compared * N_COMPONENTS
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

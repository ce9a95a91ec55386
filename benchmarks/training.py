"""One epoch of training from cached frozen features, compared with plain passes.

Both use the same batches of the same views in the same precision and compute the same gradients:
the plain pass runs every block on every view of every step, as the published code does; the cached
pass reads the frozen features and evaluates the last block for its CLS row alone.

    python benchmarks/training.py [--regions 128] [--precision fp32] [--runs 3]
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import PRESETS, TrainingConfig
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.training import Batch, Objective, batch_loss
from anomalyncd.embedding.augmentation import CropBatch, central_view
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.embedding.region_store import fill_token_store
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.regions.crops import Crop
from anomalyncd.runtime.device import PRECISIONS, resolve_precision
from anomalyncd.runtime.measurement import Stages


def random_crops(n_regions: int, side: int) -> list[Crop]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_regions, side, side, 3), np.uint8)
    masks = np.zeros((n_regions, side, side), np.float32)
    masks[:, side // 3 : side // 2, side // 3 : side // 2] = 1
    return [Crop(image, mask) for image, mask in zip(images, masks, strict=True)]


def step(model: RegionClassifier, batch: Batch, config: TrainingConfig) -> float:
    model.zero_grad()
    loss, _ = batch_loss(model, batch, None, Objective(config), 0)
    loss.backward()
    return float(loss.detach())


def plain_epoch(
    model: RegionClassifier, views: CropBatch, scores: torch.Tensor, config: TrainingConfig
) -> list[float]:
    dtype = model.encoder.vit.patch_embed.proj.weight.dtype
    losses = []
    for rows in torch.arange(len(scores)).split(config.batch_size):
        both = rows.repeat(2)
        frozen = model.encoder.frozen_features(views.images[both].to(dtype), views.masks[both])
        features = FrozenFeatures(frozen.tokens.float(), frozen.shares, frozen.frozen)
        losses.append(step(model, Batch(features, scores[rows]), config))
    return losses


def cached_epoch(
    model: RegionClassifier, cache: TokenStore, scores: torch.Tensor, config: TrainingConfig
) -> list[float]:
    losses = []
    for rows in torch.arange(len(scores)).split(config.batch_size):
        both = rows.repeat(2)
        features = cache.batch(both, torch.zeros_like(both), scores.device)
        losses.append(step(model, Batch(features, scores[rows]), config))
    return losses


def seconds(function, *arguments) -> tuple[float, list[float]]:
    start = time.perf_counter()
    losses = function(*arguments)
    return time.perf_counter() - start, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=128)
    parser.add_argument("--precision", choices=list(PRECISIONS), default="auto")
    parser.add_argument("--preset", choices=list(PRESETS), default="paper")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    config = PRESETS[options.preset].resolved()
    torch.manual_seed(0)
    encoder = RegionEncoder(load_backbone(), config.encoder)
    encoder.set_frozen_precision(resolve_precision(options.precision, torch.device("cpu")))
    model = RegionClassifier(encoder, 6, config.training.n_heads)
    for parameter in model.trainable():
        parameter.requires_grad_(True)
    crops = random_crops(options.regions, config.crops.load_size)
    scores = torch.rand(options.regions)
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(encoder, config, 0, Path(folder), Stages())
        start = time.perf_counter()
        cache = fill_token_store(context, crops, len(crops))
        filling = time.perf_counter() - start
    images = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2) / 255
    masks = torch.from_numpy(np.stack([crop.mask for crop in crops]))[:, None]
    views = central_view(CropBatch(images, masks), config.crops)
    cached_epoch(model, cache, scores, config.training)  # warms up
    timings: dict[str, list[float]] = {"plain": [], "cached": []}
    for _ in range(options.runs):
        plain, plain_losses = seconds(plain_epoch, model, views, scores, config.training)
        cached, cached_losses = seconds(cached_epoch, model, cache, scores, config.training)
        np.testing.assert_allclose(cached_losses, plain_losses, rtol=2e-2)
        timings["plain"].append(plain)
        timings["cached"].append(cached)
    medians = {name: statistics.median(values) for name, values in timings.items()}
    report = {
        "regions": options.regions,
        "precision": options.precision,
        "preset": options.preset,
        "epoch_plain_s": round(medians["plain"], 3),
        "epoch_cached_s": round(medians["cached"], 3),
        "ratio": round(medians["plain"] / medians["cached"], 1),
        "fill_s": round(filling, 1),
        "views_filled": len(cache) * (1 + cache.n_views),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""From regions to classes: read, start, train, predict."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.settings import Settings
from anomalyncd.training.classifier import RegionClassifier
from anomalyncd.training.loop import Samples, train
from anomalyncd.training.losses import STUDENT_TEMPERATURE
from anomalyncd.training.start import spherical_kmeans
from anomalyncd.training.trunk_cache import TrunkCache


@dataclass(frozen=True, eq=False)
class BaseRegions:
    """Regions of known classes."""

    cache: TrunkCache
    labels: NDArray[np.int64]
    """(R,): class of each region."""
    n_classes: int


def discover_classes(
    encoder: RegionEncoder,
    cache: TrunkCache,
    scores: NDArray[np.float32],
    n_classes: int,
    base: BaseRegions | None,
    settings: Settings,
    seed: int,
) -> RegionClassifier:
    """Finds the classes of novel regions (AnomalyNCD, section 3.3).

    Args:
        encoder: Its read-out block is trained in place.
        cache: Frozen tokens of the novel regions.
        scores: Anomaly score of each region, (R,), 0..1.
        n_classes: Novel classes, the normal one included.
        base: Labelled regions, or None.
        settings: Start and training.
        seed: Of everything random.

    Returns:
        The model, reduced to its best head and to the novel classes, the normal one first.
    """
    n_base = base.n_classes if base else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        n_heads = settings.training.n_heads
        model = RegionClassifier(encoder, n_base + n_classes, n_heads)
    device = encoder.vit.cls_token.device
    model.to(device)
    with torch.inference_mode():
        model.descriptor.fit(torch.cat([encoder.read(trunk) for trunk in cache.central(device)]))
    if settings.training.start == "kmeans":
        _start_from_kmeans(model, cache, scores, n_classes, base, seed)
    novel = Samples(cache, torch.from_numpy(scores))
    known = Samples(base.cache, torch.from_numpy(base.labels)) if base else None
    loss = train(model, novel, known, n_base, settings.training, seed)
    model.keep_best_head(int(loss.argmin()), n_base)
    return model


def _start_from_kmeans(
    model: RegionClassifier,
    cache: TrunkCache,
    scores: NDArray[np.float32],
    n_classes: int,
    base: BaseRegions | None,
    seed: int,
) -> None:
    """Novel prototypes at centres of k-means, another run for each head; base ones at means."""
    features = describe_all(model, cache)
    n_base = model.prototypes.prototypes.shape[1] - n_classes
    for head in range(len(model.prototypes.prototypes)):
        centres = spherical_kmeans(features, scores, n_classes, seed * 1000 + head)
        model.prototypes.prototypes.data[head, n_base:] = centres
    if base is not None:
        known = torch.from_numpy(describe_all(model, base.cache))
        for label in range(n_base):
            mean = known[torch.from_numpy(base.labels) == label].mean(0)
            model.prototypes.prototypes.data[:, label] = torch.nn.functional.normalize(mean, dim=0)


def describe_all(model: RegionClassifier, cache: TrunkCache) -> NDArray[np.float32]:
    """Descriptors of the central views of all regions, (R, D), unit length."""
    device = model.prototypes.prototypes.device
    with torch.inference_mode():
        parts = [model.describe(trunk).cpu() for trunk in cache.central(device)]
    return torch.cat(parts).numpy()


def class_probabilities(
    model: RegionClassifier, features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Softmax over the classes of a reduced model, (R, K), of descriptors (R, D)."""
    with torch.inference_mode():
        logits = model.prototypes(torch.from_numpy(features).to(model.prototypes.prototypes.device))
        return (logits[0] / STUDENT_TEMPERATURE).softmax(1).cpu().numpy()

"""From regions to classes: read, start, train, predict."""

from dataclasses import dataclass

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.config import Config, TrainingConfig
from anomalyncd.discovery.class_number_criteria import LabelledRegions
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.discovery.normality import (
    Normality,
    fit_normality,
    published_weights,
)
from anomalyncd.discovery.prototypes import consensus, spherical_kmeans
from anomalyncd.discovery.training import Samples, train
from anomalyncd.embedding.base_regions import BaseRegions
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import TokenStore


@dataclass(frozen=True, eq=False)
class Discovery:
    """A trained model and what it says of the regions it was trained on."""

    model: RegionClassifier
    """Reduced to its best head and to the novel classes, the normal one first."""
    normality: Normality | None
    """What makes new regions normal; None unless look-alikes correct scores."""
    features: NDArray[np.float32]
    """(R, D): unit descriptor of each region."""
    probabilities: NDArray[np.float32]
    """(R, K): its class probabilities."""
    attention: NDArray[np.float16] | None = None
    """(R, 2, rows, columns), see `attend_all`; None where it was not asked for."""


def discover_classes(
    encoder: RegionEncoder,
    cache: TokenStore,
    scores: NDArray[np.float32],
    n_classes: int,
    base: BaseRegions | None,
    config: Config,
    seed: int,
    max_normal_score: float = 1.0,
    found: NDArray[np.bool_] | None = None,
) -> Discovery:
    """Finds the classes of novel regions (AnomalyNCD, section 3.3).

    Args:
        encoder: Its read-out block is trained in place.
        cache: Frozen tokens of the novel regions.
        scores: Anomaly score of each region, (R,), 0..1.
        n_classes: Novel classes, the normal one included.
        base: Labelled regions, or None.
        config: Start, correction and training.
        seed: Of everything random.
        max_normal_score: See `fit_normality`.
        found: See `spherical_kmeans`; it counts where look-alikes say what is normal.
    """
    caches = (cache, base.cache) if base else (cache,)
    if config.training.epochs and any(one.means is not None for one in caches):
        raise ValueError("means over poses do not follow what is trained; set encoder.n_poses=1")
    n_base = base.n_classes if base else 0
    model = _new_model(encoder, n_base + n_classes, cache, config, seed)
    normal = published_weights(scores)
    neighbours = config.training.correction == "neighbours"
    if neighbours:
        _, normal = fit_normality(describe_all(model, cache), scores, seed, max_normal_score)
    if config.training.start == "kmeans":
        _start_from_kmeans(
            model, cache, normal, n_classes, base, seed, found if neighbours else None
        )
    corrected = config.training.correction != "none"
    novel = Samples(cache, torch.from_numpy(normal if corrected else np.zeros_like(normal)))
    known = Samples(base.cache, torch.from_numpy(base.labels)) if base else None
    prior = None
    if config.training.entropy_prior == "start":
        shares = class_shares(_cosines(model, describe_all(model, cache)), normal, n_base)
        prior = shares.to(encoder.vit.cls_token.device)
    loss = train(model, novel, known, n_base, config.training, seed, prior)
    _reduce(model, cache, n_base, loss, config.training)
    features = describe_all(model, cache)
    if not neighbours:
        return Discovery(model, None, features, _softmax(_cosines(model, features)[0]))
    normality, normal = fit_normality(features, scores, seed, max_normal_score)
    cosines = _cosines(model, features)[0]
    probabilities = normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)
    return Discovery(model, normality, features, probabilities)


def describe_start(
    encoder: RegionEncoder,
    cache: TokenStore,
    base: BaseRegions | None,
    config: Config,
    seed: int,
) -> tuple[NDArray[np.float32], LabelledRegions | None]:
    """Unit descriptors, (R, D), of novel regions before any training, and those of known ones."""
    model = _new_model(encoder, 1, cache, config, seed)
    known = LabelledRegions(describe_all(model, base.cache), base.labels) if base else None
    return describe_all(model, cache), known


def classify(
    model: RegionClassifier,
    normality: Normality | None,
    cache: TokenStore,
    scores: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Descriptors (R, D) and class probabilities (R, K) of new regions with scores (R,)."""
    features = describe_all(model, cache)
    cosines = _cosines(model, features)[0]
    if normality is None:
        return features, _softmax(cosines)
    normal = normality.weights(features, scores)
    return features, normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)


def _new_model(
    encoder: RegionEncoder, n_prototypes: int, cache: TokenStore, config: Config, seed: int
) -> RegionClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RegionClassifier(encoder, n_prototypes, config.training.n_heads)
    device = encoder.vit.cls_token.device
    model.to(device)
    with torch.inference_mode():
        model.descriptor.fit(cache.read(encoder).to(device))
    return model


def _start_from_kmeans(
    model: RegionClassifier,
    cache: TokenStore,
    normal: NDArray[np.float32],
    n_classes: int,
    base: BaseRegions | None,
    seed: int,
    found: NDArray[np.bool_] | None,
) -> None:
    """Novel prototypes at centres of k-means, another run for each head; base ones at means."""
    features = describe_all(model, cache)
    n_base = model.prototypes.prototypes.shape[1] - n_classes
    for head in range(len(model.prototypes.prototypes)):
        centres = spherical_kmeans(features, normal, n_classes, seed * 1000 + head, found)
        model.prototypes.prototypes.data[head, n_base:] = centres
    if base is not None:
        known = torch.from_numpy(describe_all(model, base.cache))
        for label in range(n_base):
            mean = known[torch.from_numpy(base.labels) == label].mean(0)
            model.prototypes.prototypes.data[:, label] = torch.nn.functional.normalize(mean, dim=0)


def class_shares(cosines: NDArray[np.float32], normal: NDArray[np.float32], n_base: int) -> Tensor:
    """How common each class is at the start, (heads, C), as if each had one region more.

    Args:
        cosines: With the prototypes of each head, (heads, R, C).
        normal: How surely each region is normal, (R,).
        n_base: Number of base classes, which no novel region has.
    """
    n_heads, n_regions, n_classes = cosines.shape
    counts = np.ones((n_heads, n_classes))
    counts[:, n_base] += normal.sum()
    for head, nearest in enumerate(cosines[:, :, n_base + 1 :].argmax(2)):
        others = np.bincount(nearest, 1 - normal, n_classes - n_base - 1)
        counts[head, n_base + 1 :] += others
    return torch.from_numpy(counts / (n_regions + n_classes)).float()


def _reduce(
    model: RegionClassifier,
    cache: TokenStore,
    n_base: int,
    loss: Tensor,
    config: TrainingConfig,
) -> None:
    """Leaves one set of prototypes, those of novel classes."""
    novel = model.prototypes.prototypes.detach()[:, n_base:]
    if config.head_choice == "lowest_loss":
        model.reduce_to(novel[int(loss.argmin())])
        return
    cosines = _cosines(model, describe_all(model, cache))[:, :, n_base:]
    unit = torch.nn.functional.normalize(novel, dim=-1)
    model.reduce_to(consensus(unit, _softmax(cosines)))


def describe_all(model: RegionClassifier, cache: TokenStore) -> NDArray[np.float32]:
    """Descriptors of the central views of all regions, (R, D), unit length."""
    images = cache.read(model.encoder).to(model.prototypes.prototypes.device)
    with torch.inference_mode():
        features: Tensor = model.descriptor(images).cpu()
    return features.numpy()


def attend_all(encoder: RegionEncoder, cache: TokenStore) -> NDArray[np.float16] | None:
    """Where the CLS token looks on the central view of each region.

    Returns:
        (R, 2, rows, columns), 0..1, without and with guidance, see `RegionEncoder.attention`; None
        where it is not guided.
    """
    if not encoder.guides_readout:
        return None
    with torch.inference_mode():
        batches = cache.central(encoder.vit.cls_token.device)
        attention = [encoder.attention(trunk).half().cpu() for trunk in batches]
    return torch.cat(attention).numpy()


def _cosines(model: RegionClassifier, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """With each head's prototypes, (heads, R, C), of descriptors (R, D)."""
    with torch.inference_mode():
        logits = model.prototypes(torch.from_numpy(features).to(model.prototypes.prototypes.device))
    cosines: NDArray[np.float32] = logits.cpu().numpy()
    return cosines


def _softmax(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    probabilities: NDArray[np.float32] = scipy.special.softmax(
        cosines / STUDENT_TEMPERATURE, axis=-1
    )
    return probabilities

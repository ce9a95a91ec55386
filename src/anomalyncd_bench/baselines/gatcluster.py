"""GATCluster (Niu et al., ECCV 2020): four self-supervised tasks and a Gaussian attention map."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.discovery.prototypes import kmeans
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd_bench.baselines.inputs import BaselineInputs, required
from anomalyncd_bench.baselines.trained import Schedule, classes_of, minimise, seeded

_CHANNELS = 32
_SPREAD = 0.05
_REPEATS = 8
_LEARNING_RATE = 1e-3
_BATCH = 32
_SIMILARITY, _ENTROPY, _RELATION, _ATTENTION = 5.0, 3.0, 1.0, 5.0
_LEAST_SHARE = 0.1
_TINY = 1e-5


@dataclass(frozen=True)
class GATCluster:
    """Learns class probabilities that agree across views, differ between clusters, use all classes,
    and can be predicted from one Gaussian window of the image, whose position is learned.

    In every round, targets are made from all images without augmentation, and eight passes follow.
    It may leave a class empty, more often than other baselines.

    Better than published: frozen patch tokens that enter the last block of a pretrained backbone,
    instead of a small convolutional network from random weights; only the layers after them are
    trained. Simplified: 50 rounds.
    """

    rounds: int = 50
    """How often targets are made."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "GATCluster")
        vit, cache = views.encoder.vit, views.tokens
        n_patches = cache.tokens.shape[2] - vit.n_prefix
        device = vit.cls_token.device
        model = seeded(
            lambda: GaussianAttention(vit.config.width, n_patches, inputs.n_classes),
            inputs.seed,
            device,
        )
        generator = torch.Generator().manual_seed(inputs.seed)
        targets: list[Targets] = []

        def make_targets(epoch: int) -> None:
            if epoch % _REPEATS == 0:
                probabilities = model.probabilities(cache, vit.n_prefix)
                targets[:] = [Targets.of(probabilities, inputs.seed)]

        def loss(rows: Tensor, epoch: int) -> Tensor:
            views = 1 + torch.randint(cache.n_views, rows.shape, generator=generator)
            tokens = cache.batch(rows, views, device).tokens[:, vit.n_prefix :]
            whole, attended = model(tokens)
            return task_loss(whole, attended, targets[0].select(rows.to(device)))

        optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
        n_epochs = self.rounds * _REPEATS
        minimise(loss, optimiser, Schedule(len(cache), n_epochs, _BATCH), generator, make_targets)
        return classes_of(model.probabilities(cache, vit.n_prefix))


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of a round, made from the class probabilities of all images."""

    balanced: Tensor
    """(N, C): probabilities with every class used equally, for the other views."""
    sharpened: Tensor
    """(N, C): squared and balanced probabilities, for the attended window."""
    clusters: Tensor
    """(N,): clusters of k-means on the probabilities; if one is nearly empty, every image is a
    cluster."""

    @classmethod
    def of(cls, probabilities: Tensor, seed: int) -> "Targets":
        """Targets made of probabilities (N, C); `seed` is that of k-means."""
        used = probabilities.sum(0) + _TINY
        n_images, n_classes = probabilities.shape
        _, clusters = kmeans(probabilities.cpu().numpy(), n_classes, seed)
        sizes = np.bincount(clusters, minlength=n_classes)
        if sizes.min() < _LEAST_SHARE * n_images / n_classes:
            clusters = np.arange(n_images)
        return cls(
            functional.normalize(probabilities / used, p=1, dim=1),
            functional.normalize(probabilities.square() / used, p=1, dim=1),
            torch.from_numpy(clusters).to(probabilities.device),
        )

    def select(self, rows: Tensor) -> "Targets":
        """Those of some images."""
        return Targets(self.balanced[rows], self.sharpened[rows], self.clusters[rows])


def task_loss(whole: Tensor, attended: Tensor, targets: Targets) -> Tensor:
    """The four tasks, weighted as in the paper: agreement, entropy, relations and attention.

    Args:
        whole: Class probabilities of images, (B, C).
        attended: Those of their attended windows, (B, C).
        targets: Of these images.
    """
    agreement = -(whole * targets.balanced).sum(1).mean()
    means = torch.stack([whole.mean(0), attended.mean(0)]).clamp(min=_TINY)
    unit = functional.normalize(whole, dim=1)
    together = (targets.clusters[:, None] == targets.clusters).float()
    relations = functional.binary_cross_entropy((unit @ unit.T).clamp(0, 1), together)
    attention = functional.binary_cross_entropy(attended, targets.sharpened)
    entropy = (means * means.log()).sum()
    return (
        _SIMILARITY * agreement
        + _ENTROPY * entropy
        + _RELATION * relations
        + _ATTENTION * attention
    )


class GaussianAttention(nn.Module):
    """Classes of an image and of a Gaussian window in it."""

    def __init__(self, width: int, n_patches: int, n_classes: int) -> None:
        super().__init__()
        side = math.isqrt(n_patches)
        axis = torch.linspace(0, 1, side)
        self.places: Tensor
        self.register_buffer("places", torch.cartesian_prod(axis, axis))
        self.reduce = _channels(width, _CHANNELS)
        self.squeeze = _channels(width, n_classes)
        self.window = nn.Linear(n_patches * n_classes, 3)
        self.classify = _classifier(n_classes)
        self.classify_attended = _classifier(n_classes)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities of images and of their windows, (B, C) each.

        Args:
            patches: (B, P, D), rows of a square, one after the other.
        """
        features = _over_patches(self.reduce, patches)
        squeezed = _over_patches(self.squeeze, patches).relu()
        attention = gaussian_map(self.window(squeezed.flatten(1)).sigmoid(), self.places)
        attended = (features * attention[:, :, None]).sum(1)
        return self.classify(features.mean(1)), self.classify_attended(attended)

    def probabilities(self, cache: TokenStore, n_prefix: int) -> Tensor:
        """Class probabilities of the central views of all images, (N, C), without a gradient."""
        self.eval()
        with torch.no_grad():
            batches = cache.central(self.places.device)
            whole = [self(features.tokens[:, n_prefix:])[0] for features in batches]
        self.train()
        return torch.cat(whole)


def gaussian_map(window: Tensor, places: Tensor) -> Tensor:
    """Attention that decreases around a position (GATCluster, eq. 3 with one radius).

    Args:
        window: Row, column and size, (B, 3), 0..1.
        places: Row and column of each patch, (P, 2), 0..1.

    Returns:
        (B, P): exp(-distance^2 / (0.1 size)).
    """
    squares = (places - window[:, None, :2]).square().sum(-1)
    return (-squares / (2 * _SPREAD * window[:, 2:] + _TINY)).exp()


def _channels(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, out), nn.BatchNorm1d(out))


def _over_patches(layers: nn.Module, patches: Tensor) -> Tensor:
    """Layers that take (B, D), applied to every patch, (B, P, D)."""
    out: Tensor = layers(patches.flatten(0, 1)).view(*patches.shape[:2], -1)
    return out


def _classifier(n_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(_CHANNELS, n_classes),
        nn.BatchNorm1d(n_classes),
        nn.ReLU(),
        nn.Linear(n_classes, n_classes),
        nn.Softmax(dim=-1),
    )

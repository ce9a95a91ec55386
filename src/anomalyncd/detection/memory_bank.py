"""The memory bank: distances to the nearest patches of normal images (PatchCore)."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.candidates import NEVER
from anomalyncd.detection.feature_space import distances
from anomalyncd.detection.patch_search import PatchSearch
from anomalyncd.detection.patches import PatchExtractor, PatchReader, fit_patch_extractor
from anomalyncd.detection.tiles import are_own, owners, tiled
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.component import Component
from anomalyncd.runtime.progress import track

N_DIMENSIONS = 64
"""Dimensions of the random projection in which the coreset is chosen; distances change by about
10 %."""

_BLOCK = 1000
_N_NEAREST = 5
_LEAST_DISCOUNTED = 0.1
"""Least distance that a discount is computed from; that of plain background would be 0."""
_SAME_PATCH = 0.05
"""Largest distance, of at most 2, between two readings of the same patch."""


@dataclass(frozen=True, eq=False)
class MemoryBank(Component):
    """Patches of normal images, which new patches are compared with; a `Detector`."""

    extractor: PatchExtractor
    """How images are turned into patch features."""
    vectors: tuple[Tensor, ...]
    """Unit vectors of the patches for each layer and neighbourhood, (M, D), bfloat16."""
    names: tuple[str, ...]
    """Name of the image that each patch comes from, so that no image is compared with itself."""
    discounts: tuple[Tensor, ...] = ()
    """Reference discount, which is subtracted from the distance to each patch, for each layer and
    neighbourhood, (M,), float32; empty without it."""

    kind: ClassVar[str] = "memory bank"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Computes the distance of each patch to its nearest neighbour in the bank.

        With a reference discount it is the smallest discounted distance among the nearest
        neighbours. See `Detector.patch_scores`.
        """
        left_out = torch.tensor(are_own(self.names, name))
        scores = [
            self._scores(layer, patches, left_out).cpu() for layer, patches in enumerate(features)
        ]
        return torch.stack(scores).mean(0).view(features[0].shape[1:])

    def _scores(self, layer: int, patches: Tensor, left_out: Tensor) -> Tensor:
        """Scores of the patches of one layer and neighbourhood, (P,)."""
        search = self._searches[layer]
        if not self.discounts:
            return distances(search.nearest(patches, 1, left_out)[0][0])
        values, index = search.nearest(patches, _N_NEAREST, left_out)
        discounts = self.discounts[layer].to(patches.device)[index]
        discounted = distances(values) - discounts.masked_fill(values == NEVER, 0)
        best = discounted.argmin(0, keepdim=True)
        scores = distances(values) - discounts
        return scores.gather(0, best)[0].clamp(min=0)

    @cached_property
    def _searches(self) -> list[PatchSearch]:
        return [PatchSearch(layer) for layer in self.vectors]


def fit_memory_bank(
    vit: VisionTransformer, normals: ImageSet, config: DetectorConfig, seed: int
) -> MemoryBank:
    """Reads normal images and selects a coreset of their patches.

    At most `n_candidates` patches are candidates, the same number from each image. Memory is
    therefore bounded, for each layer and neighbourhood, by `n_candidates * D * 2` bytes during the
    fit and afterwards by `bank_size * D * 2` bytes and what `PatchSearch` takes. An image is read
    in each of `n_rotations` rotations.

    Args:
        vit: The backbone, on its device and in its precision.
        normals: Normal images; one is enough.
        config: Config of the detector.
        seed: Seed of the candidates and of the coreset.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(normals))[: config.n_references]
    extractor, _ = fit_patch_extractor(vit, normals.select(np.sort(chosen).tolist()), config)
    candidates = _Candidates(vit, MemoryBank(extractor, (), ()), config)
    candidates.read(normals, rng)
    return candidates.bank(seed)


def extend_memory_bank(
    vit: VisionTransformer, bank: MemoryBank, normals: ImageSet, config: DetectorConfig, seed: int
) -> MemoryBank:
    """Reads more normal images and selects a coreset of their patches and those of the bank.

    The patch extractor does not change. An image that the bank contains already is left out. If
    the bank contains another image of the same name, the new image is renamed.

    Args:
        vit: The backbone that the bank was fitted with.
        bank: The bank so far; it does not change.
        normals: Normal images; one is enough.
        config: As the bank was fitted with.
        seed: Seed of the candidates and of the coreset.

    Raises:
        InputError: An image cannot be read.
    """
    candidates = _Candidates(vit, bank, config)
    normals = tiled(normals, bank.extractor.tile_side)
    candidates.read(normals, np.random.default_rng(seed))
    return candidates.bank(seed)


class _Candidates:
    """Patches that a new bank is selected from: those of the old bank and of more images."""

    def __init__(self, vit: VisionTransformer, bank: MemoryBank, config: DetectorConfig) -> None:
        self._old, self._config = bank, config
        self._reader = PatchReader(vit, bank.extractor, config)
        self._vectors = [bank.vectors] if bank.names else []
        self._names = list(bank.names)

    def read(self, normals: ImageSet, rng: np.random.Generator) -> None:
        """Reads images and draws patches of each at random."""
        max_patches = max(1, self._config.n_candidates // len(normals))
        for index in track(range(len(normals)), "Reading normal images"):
            rotations = self._reader.read_rotated(normals, index)
            by_layer = zip(*(features.vectors() for features in rotations), strict=True)
            vectors = [torch.cat(layer).to("cpu", torch.bfloat16) for layer in by_layer]
            name = _name_for(self._old, normals, index, vectors[0])
            if name is None:
                continue
            chosen = torch.from_numpy(rng.permutation(len(vectors[0]))[:max_patches])
            self._vectors.append(tuple(layer[chosen] for layer in vectors))
            self._names += [name] * len(chosen)

    def bank(self, seed: int) -> MemoryBank:
        """Returns the bank of the coreset of the candidates."""
        vectors = [torch.cat(layer) for layer in zip(*self._vectors, strict=True)]
        indices = coreset(torch.cat(vectors, dim=1), self._config.bank_size, seed)
        selected = tuple(layer[indices] for layer in vectors)
        names = tuple(self._names[index] for index in indices.tolist())
        share = self._config.reference_discount
        discounts: tuple[Tensor, ...] = ()
        if share:
            discounts = tuple(
                share * _distances_to_other_images(layer, names) for layer in selected
            )
        return replace(self._old, vectors=selected, names=names, discounts=discounts)


def _distances_to_other_images(patches: Tensor, names: tuple[str, ...]) -> Tensor:
    """Distance of each patch to the nearest one of another image, (M,); 0 if there is none."""
    numbers = torch.from_numpy(np.unique(owners(names), return_inverse=True)[1])
    patches = patches.float()  # Many processors are slow in bfloat16.
    blocks = zip(patches.split(_BLOCK), numbers.split(_BLOCK), strict=True)
    highest = [
        (block @ patches.T - 1).masked_fill(of_block[:, None] == numbers, NEVER).amax(1)
        for block, of_block in blocks
    ]
    similarity = torch.cat(highest)
    clamped = distances(similarity).clamp(min=_LEAST_DISCOUNTED)
    return clamped.masked_fill(similarity == NEVER, 0)


def _name_for(bank: MemoryBank, normals: ImageSet, index: int, vectors: Tensor) -> str | None:
    """Name in the bank of an image with these vectors; None if the bank contains the image."""
    name = normals.names[index]
    if name not in bank.names:
        return name
    stored = bank.vectors[0][torch.tensor([owner == name for owner in bank.names])]
    if torch.cdist(stored.float(), vectors.float()).amin(1).max() < _SAME_PATCH:
        return None
    renamed = f"{name}-{normals.digest(index)[:8]}"
    return None if renamed in bank.names else renamed


def coreset(tokens: Tensor, count: int, seed: int) -> Tensor:
    """Selects tokens so that every token is close to a selected one (greedy k-centre selection).

    Each step selects the token that is farthest from those selected so far. The largest distance
    of a token to its nearest selected one is at most twice the smallest possible. Time grows with
    `N * count`, memory with `N * 64`.

    Args:
        tokens: (N, D).
        count: Number of tokens to select; all are selected if there are not more.
        seed: Seed of the projection and of the first token.

    Returns:
        Indices of the selected tokens, (min(N, count),), int64, ascending, on the CPU.

    Source: PatchCore, section 3.2; Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985.
    """
    if count >= len(tokens):
        return torch.arange(len(tokens))
    generator = torch.Generator().manual_seed(seed)
    projection = torch.randn(tokens.shape[1], N_DIMENSIONS, generator=generator)
    points = tokens.float() @ projection.to(tokens.device)
    norms = points.square().sum(1)
    gaps = torch.full_like(norms, torch.inf)
    selected = torch.empty(count, dtype=torch.int64)
    latest = int(torch.randint(len(tokens), (1,), generator=generator))
    for step in track(range(count), "Choosing normal patches"):
        selected[step] = latest
        distance = norms - 2 * (points @ points[latest]) + norms[latest]
        gaps = torch.minimum(gaps, distance)
        gaps[latest] = -torch.inf
        latest = int(gaps.argmax())
    return selected.sort().values

"""A few tokens that stand for many: greedy k-centre selection."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.feature_space import (
    NEVER,
    SamePlace,
    distances,
    likeness,
)
from anomalyncd.detection.patches import PatchExtractor, PatchReader, fit_view
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io.key import content_digest
from anomalyncd.runtime.progress import track

N_DIMENSIONS = 64
"""Of the random projection in which distances are compared; it keeps them to within some 10 %."""


def coreset(tokens: Tensor, count: int, seed: int) -> Tensor:
    """Picks tokens so that no token is far from a picked one.

    Each step takes the token farthest from those taken so far; the largest distance that is left
    is at most twice that of the best choice. Time grows with `N * count`, memory with `N * 64`.

    Args:
        tokens: (N, D).
        count: How many to pick; all where there are no more.
        seed: Of the projection and of the first token.

    Returns:
        Indices of the picked ones, (min(N, count),), int64, ascending, on the CPU.

    Source: PatchCore, section 3.2; Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985.
    """
    if count >= len(tokens):
        return torch.arange(len(tokens))
    generator = torch.Generator().manual_seed(seed)
    projection = torch.randn(tokens.shape[1], N_DIMENSIONS, generator=generator)
    points = tokens.float() @ projection.to(tokens.device)
    norms = points.square().sum(1)
    nearest = torch.full_like(norms, torch.inf)
    picked = torch.empty(count, dtype=torch.int64)
    latest = int(torch.randint(len(tokens), (1,), generator=generator))
    for step in track(range(count), "Choosing normal patches"):
        picked[step] = latest
        distance = norms - 2 * (points @ points[latest]) + norms[latest]
        nearest = torch.minimum(nearest, distance)
        nearest[latest] = -torch.inf
        latest = int(nearest.argmax())
    return picked.sort().values


_BLOCK = 1000
_N_NEAREST = 5


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Patches that stand for all that is normal; a `Detector`."""

    view: PatchExtractor
    """How pictures are looked at."""
    tensors: tuple[Tensor, ...]
    """For each layer and neighbourhood the unit vectors of the same patches, (M, D), bfloat16."""
    names: tuple[str, ...]
    """For each patch the image that it comes from, so that none is compared with itself."""
    same_place: SamePlace | None = None
    """Where the patches lie, if those at other places do not count."""
    reweight: int = 0
    """Number of its nearest relatives that say how rare a normal patch is; 0 does not ask."""
    discounts: tuple[Tensor, ...] = ()
    """For each layer and neighbourhood what is taken off the distance to each patch, (M,), float32;
    none without tolerance."""

    kind: ClassVar[str] = "memory bank"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Distance of each patch to the nearest normal one; see `Detector.patch_scores`.

        Of the few nearest that one counts which, with its allowance, comes nearest.

        With `reweight` it is multiplied by `1 - exp(d*) / sum(exp(d))`, where d are the distances
        to the nearest normal patch (d*) and its relatives: PatchCore, eq. 7, for every patch in
        place of the highest alone. Patches of the image itself count as being as far as d*.
        """
        rows, columns = features[0].shape[1:]
        device = features[0].device
        own = torch.tensor([owner == name for owner in self.names]).to(device)
        elsewhere = None
        if self.same_place is not None:
            elsewhere = ~self.same_place.near(rows, columns).to(device)
        total = torch.zeros(rows * columns)
        for kind, (tokens, bank) in enumerate(zip(features, self.tensors, strict=True)):
            similarity = likeness(tokens, bank)
            similarity[own] = NEVER
            nearest, index = self._nearest(kind, similarity)
            if elsewhere is not None:
                here, index_here = self._nearest(kind, similarity.masked_fill(elsewhere, NEVER))
                index = torch.where(here == NEVER, index, index_here)
                nearest = torch.where(here == NEVER, nearest, here)
            scores = distances(nearest)
            if self.discounts:
                scores = (scores - self.discounts[kind].to(device)[index]).clamp(min=0)
            if self._relatives:
                relatives = self._relatives[kind].to(device)[index].T
                apart = similarity.gather(0, relatives)
                apart = torch.where(apart == NEVER, nearest, apart)
                scores *= 1 - 1 / (distances(apart) - scores).exp().sum(0)
            total += scores.cpu()
        return (total / len(features)).view(rows, columns)

    def _nearest(self, kind: int, similarity: Tensor) -> tuple[Tensor, Tensor]:
        """Likeness and index of the bank's patch that each of P patches is held against, (P,)."""
        if not self.discounts:
            nearest, index = similarity.max(0)
            return nearest, index
        close = similarity.topk(min(_N_NEAREST, len(similarity)), dim=0)
        allowed = self.discounts[kind].to(similarity.device)[close.indices]
        apart = distances(close.values) - allowed.masked_fill(close.values == NEVER, 0)
        best = apart.argmin(0, keepdim=True)
        return close.values.gather(0, best)[0], close.indices.gather(0, best)[0]

    @cached_property
    def _relatives(self) -> tuple[Tensor, ...]:
        """For each layer and neighbourhood the nearest patches of each, itself first, (M, b)."""
        count = min(self.reweight, len(self.names))
        if count < 2:
            return ()
        return tuple(
            torch.cat([(block @ one.T).topk(count).indices for block in one.split(_BLOCK)])
            for one in (tokens.float() for tokens in self.tensors)
        )


_LEAST_APART = 0.1
"""Plain background repeats itself exactly; it gets an allowance as well."""
_SAME = 0.05
"""Distance up to which two patches are taken for one that was read twice; 2 is the largest."""


def fit_memory_bank(
    vit: VisionTransformer, normals: ImageSet, config: DetectorConfig, seed: int
) -> MemoryBank:
    """Reads normal images and keeps a coreset of their patches.

    Of many images only some patches are looked at, the same number of each, so that time and memory
    stay bounded: `n_candidates * D * 2` bytes a layer and neighbourhood while it is made,
    `bank_size * D * 2` afterwards, for one image or ten thousand. A picture in `n_rotations` poses
    is read as often.

    Args:
        vit: The backbone, on its device and in its precision.
        normals: Normal images; one is enough.
        config: Of the detector.
        seed: Of the candidates and the coreset.
    """
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(normals))[: config.n_references]
    view, _ = fit_view(vit, normals.select(np.sort(some).tolist()), config)
    same_place = None
    if config.same_place is not None:
        same_place = SamePlace(torch.zeros(0, 2), config.same_place)
    empty = MemoryBank(view, (), (), same_place, reweight=config.reweight)
    return _filled(vit, empty, normals, config, seed, rng)


def extend_memory_bank(
    vit: VisionTransformer, bank: MemoryBank, normals: ImageSet, config: DetectorConfig, seed: int
) -> MemoryBank:
    """Reads more normal images and keeps a coreset of their patches and those of the bank.

    The view stays. An image whose patches the bank holds under the same name is left out; where
    they are those of another image, the new one is given a name of its own.

    Args:
        vit: The backbone that the bank was made with.
        bank: What there is so far; it is not changed.
        normals: Normal images; one is enough.
        config: As the bank was made with.
        seed: Of the candidates and the coreset.

    Raises:
        InputError: An image cannot be read.
    """
    return _filled(vit, bank, normals, config, seed, np.random.default_rng(seed))


def _filled(
    vit: VisionTransformer,
    bank: MemoryBank,
    normals: ImageSet,
    config: DetectorConfig,
    seed: int,
    rng: np.random.Generator,
) -> MemoryBank:
    """The bank with patches of some images besides; `seed` is that of the coreset."""
    viewer = PatchReader(vit, bank.view, config)
    most = max(1, config.n_candidates // len(normals))
    candidates = [bank.tensors] if bank.names else []
    positions = [bank.same_place.positions] if bank.same_place else []
    names = list(bank.names)
    for index in track(range(len(normals)), "Reading normal images"):
        poses = viewer.look_in_all_poses(normals, index)
        by_kind = zip(*(seen.vectors() for seen in poses), strict=True)
        vectors = [torch.cat(same_kind).to("cpu", torch.bfloat16) for same_kind in by_kind]
        name = _name_for(bank, normals, index, vectors[0])
        if name is None:
            continue
        chosen = torch.from_numpy(rng.permutation(len(vectors[0]))[:most])
        candidates.append(tuple(one[chosen] for one in vectors))
        positions.append(torch.cat([seen.positions() for seen in poses])[chosen])
        names += [name] * len(chosen)
    tokens = [torch.cat(same_kind) for same_kind in zip(*candidates, strict=True)]
    same_place, told_apart = bank.same_place, tokens
    if same_place is not None:
        same_place = replace(same_place, positions=torch.cat(positions))
        # Every place needs patches of its own: two that lie just too far apart differ by 1.
        told_apart = [*tokens, (same_place.positions / same_place.within).to(torch.bfloat16)]
    picked = coreset(torch.cat(told_apart, dim=1), config.bank_size, seed)
    if same_place is not None:
        same_place = replace(same_place, positions=same_place.positions[picked])
    kept = tuple(one[picked] for one in tokens)
    kept_names = tuple(names[index] for index in picked.tolist())
    allowed: tuple[Tensor, ...] = ()
    if config.reference_discount:
        allowed = tuple(
            config.reference_discount * _apart_from_others(one, kept_names) for one in kept
        )
    return replace(bank, tensors=kept, names=kept_names, same_place=same_place, discounts=allowed)


def _apart_from_others(patches: Tensor, names: tuple[str, ...]) -> Tensor:
    """Distance of each patch to the nearest that comes from another image, (M,); 0 without one."""
    owners = torch.from_numpy(np.unique(names, return_inverse=True)[1])
    patches = patches.float()  # Many processors are slow in bfloat16.
    blocks = zip(patches.split(_BLOCK), owners.split(_BLOCK), strict=True)
    nearest = [
        (block @ patches.T - 1).masked_fill(own[:, None] == owners, NEVER).amax(1)
        for block, own in blocks
    ]
    alike = torch.cat(nearest)
    return distances(alike).clamp(min=_LEAST_APART).masked_fill(alike == NEVER, 0)


def _name_for(bank: MemoryBank, normals: ImageSet, index: int, vectors: Tensor) -> str | None:
    """The name that an image with these vectors gets in the bank; None if it is in there."""
    name = normals.names[index]
    if name not in bank.names:
        return name
    own = bank.tensors[0][torch.tensor([owner == name for owner in bank.names])]
    if torch.cdist(own.float(), vectors.float()).amin(1).max() < _SAME:
        return None
    another = f"{name}-{content_digest(normals.sources[index])[:8]}"
    return None if another in bank.names else another

"""Fills a memory bank with patches of normal images."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anomalyncd.data.fingerprint import content_digest
from anomalyncd.data.parts import Parts
from anomalyncd.detect.coreset import coreset
from anomalyncd.detect.memory_bank import MemoryBank
from anomalyncd.detect.nearest import NEVER, SamePlace, distances
from anomalyncd.detect.viewer import Viewer, fit_view
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings

_BLOCK = 1000
_LEAST_APART = 0.1
"""Plain background repeats itself exactly; it gets an allowance as well."""
_SAME = 0.05
"""Distance up to which two patches are taken for one that was read twice; 2 is the largest."""


def fit_memory_bank(
    vit: VisionTransformer, normals: Parts, settings: DetectorSettings, seed: int
) -> MemoryBank:
    """Reads normal images and keeps a coreset of their patches.

    Of many images only some patches are looked at, the same number of each, so that time and memory
    stay bounded: `n_candidates * D * 2` bytes a layer and neighbourhood while it is made,
    `bank_size * D * 2` afterwards, for one image or ten thousand. A picture in `rotations` poses
    is read as often.

    Args:
        vit: The backbone, on its device and in its precision.
        normals: Normal images; one is enough.
        settings: Of the detector.
        seed: Of the candidates and the coreset.
    """
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(normals))[: settings.n_references]
    view, _ = fit_view(vit, normals.select(np.sort(some).tolist()), settings)
    same_place = None
    if settings.same_place is not None:
        same_place = SamePlace(torch.zeros(0, 2), settings.same_place)
    empty = MemoryBank(view, (), (), same_place, reweight=settings.reweight)
    return _filled(vit, empty, normals, settings, seed, rng)


def extend_memory_bank(
    vit: VisionTransformer, bank: MemoryBank, normals: Parts, settings: DetectorSettings, seed: int
) -> MemoryBank:
    """Reads more normal images and keeps a coreset of their patches and those of the bank.

    The view stays. An image whose patches the bank holds under the same name is left out; where
    they are those of another image, the new one is given a name of its own.

    Args:
        vit: The backbone that the bank was made with.
        bank: What there is so far; it is not changed.
        normals: Normal images; one is enough.
        settings: As the bank was made with.
        seed: Of the candidates and the coreset.

    Raises:
        InputError: An image cannot be read.
    """
    return _filled(vit, bank, normals, settings, seed, np.random.default_rng(seed))


def _filled(
    vit: VisionTransformer,
    bank: MemoryBank,
    normals: Parts,
    settings: DetectorSettings,
    seed: int,
    rng: np.random.Generator,
) -> MemoryBank:
    """The bank with patches of some images besides; `seed` is that of the coreset."""
    viewer = Viewer(vit, bank.view, settings)
    most = max(1, settings.n_candidates // len(normals))
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
    picked = coreset(torch.cat(told_apart, dim=1), settings.bank_size, seed)
    if same_place is not None:
        same_place = replace(same_place, positions=same_place.positions[picked])
    kept = tuple(one[picked] for one in tokens)
    kept_names = tuple(names[index] for index in picked.tolist())
    allowed: tuple[Tensor, ...] = ()
    if settings.tolerance:
        allowed = tuple(settings.tolerance * _apart_from_others(one, kept_names) for one in kept)
    return replace(bank, tensors=kept, names=kept_names, same_place=same_place, allowances=allowed)


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


def _name_for(bank: MemoryBank, normals: Parts, index: int, vectors: Tensor) -> str | None:
    """The name that an image with these vectors gets in the bank; None if it is in there."""
    name = normals.names[index]
    if name not in bank.names:
        return name
    own = bank.tensors[0][torch.tensor([owner == name for owner in bank.names])]
    if torch.cdist(own.float(), vectors.float()).amin(1).max() < _SAME:
        return None
    another = f"{name}-{content_digest(normals.sources[index])[:8]}"
    return None if another in bank.names else another

"""Anomaly scores from normal images: distance to the nearest normal patch (PatchCore)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.data.fingerprint import content_digest
from anomalyncd.data.parts import Parts
from anomalyncd.detect.coreset import coreset
from anomalyncd.detect.view import View, Viewer, fit_view
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings

_SAME = 0.05
"""Distance up to which two patches are taken for one that was read twice; 2 is the largest."""


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Patches that stand for all that is normal; a `Detector`."""

    view: View
    """How pictures are looked at."""
    tensors: tuple[Tensor, ...]
    """For each layer and neighbourhood the unit vectors of the same patches, (M, D), bfloat16."""
    names: tuple[str, ...]
    """For each patch the image that it comes from, so that none is compared with itself."""

    kind: ClassVar[str] = "memory bank"

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """Distance of each patch to the nearest normal one; see `Detector.patch_scores`."""
        rows, columns = features[0].shape[1:]
        own = torch.tensor([owner == name for owner in self.names])
        total = torch.zeros(rows * columns)
        for tokens, bank in zip(features, self.tensors, strict=True):
            similarity = bank.to(tokens.device, tokens.dtype) @ tokens.flatten(1)
            similarity[own.to(tokens.device)] = -1
            nearest = similarity.amax(0).float().cpu()
            total += (2 - 2 * nearest).clamp(min=0).sqrt()
        return (total / len(features)).view(rows, columns)


def fit_memory_bank(
    vit: VisionTransformer, normals: Parts, settings: DetectorSettings, seed: int
) -> MemoryBank:
    """Reads normal images and keeps a coreset of their patches.

    Of many images only some patches are looked at, the same number of each, so that time and memory
    stay bounded: `n_candidates * D * 2` bytes a layer and neighbourhood while it is made,
    `bank_size * D * 2` afterwards, for one image or ten thousand.

    Args:
        vit: The backbone, on its device and in its precision.
        normals: Normal images; one is enough.
        settings: Resolution, layers, neighbourhoods, sizes.
        seed: Of the candidates and the coreset.
    """
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(normals))[: settings.n_references]
    view, _ = fit_view(vit, normals.select(np.sort(some).tolist()), settings)
    return _filled(vit, MemoryBank(view, (), ()), normals, settings, seed, rng)


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
    names = list(bank.names)
    for index in track(range(len(normals)), "Reading normal images"):
        features = viewer.look(normals, index).features
        name = _name_for(bank, normals, index, features[0])
        if name is None:
            continue
        count = features[0][0].numel()
        chosen = torch.from_numpy(rng.permutation(count)[:most])
        candidates.append(
            tuple(one.flatten(1).T[chosen].to("cpu", torch.bfloat16) for one in features)
        )
        names += [name] * len(chosen)
    tokens = [torch.cat(same_kind) for same_kind in zip(*candidates, strict=True)]
    picked = coreset(torch.cat(tokens, dim=1), settings.bank_size, seed)
    return MemoryBank(
        bank.view,
        tuple(one[picked] for one in tokens),
        tuple(names[index] for index in picked.tolist()),
    )


def _name_for(bank: MemoryBank, normals: Parts, index: int, features: Tensor) -> str | None:
    """The name that an image gets in the bank; None if it is in there already."""
    name = normals.names[index]
    if name not in bank.names:
        return name
    own = bank.tensors[0][torch.tensor([owner == name for owner in bank.names])]
    patches = features.flatten(1).T.to("cpu", torch.bfloat16)
    if torch.cdist(own.float(), patches.float()).amin(1).max() < _SAME:
        return None
    another = f"{name}-{content_digest(normals.sources[index])[:8]}"
    return None if another in bank.names else another

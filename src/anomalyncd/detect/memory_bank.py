"""Anomaly scores from normal images: distance to the nearest normal patch (PatchCore)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from anomalyncd.data.parts import Parts
from anomalyncd.detect.coreset import coreset
from anomalyncd.detect.view import View, Viewer, fit_view
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import DetectorSettings


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
    viewer = Viewer(vit, view, settings)
    most = max(1, settings.n_candidates // len(normals))
    candidates: list[list[Tensor]] = []
    names: list[str] = []
    for index in track(range(len(normals)), "Reading normal images"):
        features = viewer.look(normals, index).features
        count = features[0][0].numel()
        chosen = torch.from_numpy(rng.permutation(count)[:most])
        candidates.append([one.flatten(1).T[chosen].to("cpu", torch.bfloat16) for one in features])
        names += [normals.names[index]] * len(chosen)
    tokens = [torch.cat(same_kind) for same_kind in zip(*candidates, strict=True)]
    picked = coreset(torch.cat(tokens, dim=1), settings.bank_size, seed)
    return MemoryBank(
        view, tuple(one[picked] for one in tokens), tuple(names[index] for index in picked.tolist())
    )

"""Anomaly maps without a label or a normal image: parts score each other (MuSc)."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.data.files import files_by_name
from anomalyncd.data.json_files import read_json, write_json
from anomalyncd.data.map_files import write_map
from anomalyncd.data.maps import Maps
from anomalyncd.data.parts import Parts
from anomalyncd.errors import InputError
from anomalyncd.model.pixels import normalise, resize, to_tensor
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import ZeroShotSettings

_ORIGIN = "made_from.json"


@dataclass(frozen=True, eq=False)
class MutualScoring:
    """The reference images that parts are scored against; saved with a model."""

    references: tuple[Tensor, ...]
    """For each layer and neighbourhood the unit tokens of all references, (N, D), bfloat16."""
    lengths: tuple[int, ...]
    """Number of tokens of each reference, in the order of `references`."""
    names: tuple[str, ...]
    """Names of the references, so that a part is never compared with itself."""


def fit_mutual_scoring(
    vit: VisionTransformer, parts: Parts, settings: ZeroShotSettings, seed: int
) -> MutualScoring:
    """Picks the references at random and computes their tokens.

    Args:
        vit: The backbone, on its device and in its precision.
        parts: What to pick from: the parts themselves, or normal images.
        settings: Resolution, layers, neighbourhoods, number of references.
        seed: Of the choice.

    Returns:
        The references. They take `n_references * (resolution / patch)^2 * D * 2` bytes a layer and
        neighbourhood, whatever the number of parts.

    Raises:
        InputError: Fewer than two parts.
    """
    if len(parts) < 2:
        raise InputError(
            f"{len(parts)} image cannot be scored against others; give two or more, or maps"
        )
    count = min(settings.n_references, len(parts))
    chosen = np.sort(np.random.default_rng(seed).choice(len(parts), count, replace=False))
    selected = parts.select(chosen.tolist())
    features = [
        patch_features(vit, selected.image(i), settings)
        for i in track(range(count), "Reading references")
    ]
    tokens = tuple(
        torch.cat([part.flatten(1).T for part in same_kind]).to(torch.bfloat16)
        for same_kind in zip(*features, strict=True)
    )
    return MutualScoring(tokens, tuple(f[0][0].numel() for f in features), selected.names)


def write_zero_shot_maps(
    vit: VisionTransformer,
    parts: Parts,
    scoring: MutualScoring,
    settings: ZeroShotSettings,
    folder: Path,
) -> Maps:
    """Scores every part and writes its map as `folder/NAME.npy`, float16.

    Maps that are there already are kept, so that an interrupted run goes on where it stopped;
    those made from other parts, references or settings are made again.

    Returns:
        The maps, in the order of the parts.

    Raises:
        InputError: The folder holds maps that were not made here.
    """
    _keep_only_maps_of(_origin(parts, scoring, settings), folder)
    paths = tuple(folder / f"{name}.npy" for name in parts.names)
    for index, path in enumerate(track(paths, "Scoring parts")):
        if not path.is_file():
            image = parts.image(index)
            write_map(path, zero_shot_map(vit, image, scoring, settings, parts.names[index]))
    return Maps(parts.names, paths)


def _origin(parts: Parts, scoring: MutualScoring, settings: ZeroShotSettings) -> dict[str, Any]:
    """Everything that maps depend on; the references stand for backbone, seed and precision."""
    references = hashlib.sha256(repr((scoring.names, scoring.lengths)).encode())
    for tokens in scoring.references:
        references.update(tokens.cpu().contiguous().view(torch.uint8).numpy().data)
    pictures = hashlib.sha256(repr(parts.names).encode())
    for source in parts.sources:
        if isinstance(source, Path):
            state = source.stat()
            pictures.update(f"{state.st_size} {state.st_mtime_ns} ".encode())
        else:
            pictures.update(f"{source.shape} ".encode() + source.tobytes())
    return {
        "settings": asdict(settings),
        "references": references.hexdigest(),
        "parts": pictures.hexdigest(),
    }


def _keep_only_maps_of(origin: dict[str, Any], folder: Path) -> None:
    record = folder / _ORIGIN
    if record.is_file() and read_json(record, "maps") == origin:
        return
    present = files_by_name(folder, frozenset({".npy"}), "map") if folder.is_dir() else {}
    if present and not record.is_file():
        raise InputError(
            f"'{next(iter(present.values()))}' was not made here and would be taken for a map "
            "that was; give a folder without maps"
        )
    for path in present.values():
        path.unlink()
    write_json(record, origin)


def zero_shot_map(
    vit: VisionTransformer,
    image: NDArray[np.uint8],
    scoring: MutualScoring,
    settings: ZeroShotSettings,
    name: str,
) -> NDArray[np.float32]:
    """The anomaly map of one image.

    Args:
        vit: The backbone, on its device and in its precision.
        image: RGB, (H, W, 3), uint8.
        scoring: The references.
        settings: As the references were made with.
        name: Of the image; a reference of this name is left out.

    Returns:
        Scores 0..2, (h, w), with the aspect ratio of the image and `settings.map_size`² pixels.
    """
    features = patch_features(vit, image, settings)
    scores = _patch_scores(features, scoring, settings.lowest_share, name)
    smooth = cv2.GaussianBlur(scores, (0, 0), settings.smoothing)
    height, width = _sides(image, settings.map_size, 1)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))


def patch_features(
    vit: VisionTransformer, image: NDArray[np.uint8], settings: ZeroShotSettings
) -> list[Tensor]:
    """Unit patch tokens of one image, one tensor for each layer and neighbourhood.

    Tokens of a layer are normalised over the whole map, averaged over r x r patches (zeros
    outside), then scaled to unit length (MuSc, section 3.1).

    Args:
        vit: The backbone, on its device and in its precision.
        image: RGB, (H, W, 3), uint8; its aspect ratio is kept.
        settings: Resolution, layers and neighbourhoods.

    Returns:
        `len(layers) * len(neighbourhoods)` tensors, (D, rows, columns).
    """
    height, width = _sides(image, settings.resolution, vit.config.patch_size)
    weight = vit.patch_embed.proj.weight
    pixels = normalise(to_tensor(resize(image, height, width)[None]))
    features = []
    with torch.inference_mode():
        maps = vit.patch_maps(pixels.to(weight.device, weight.dtype), settings.layers)
        for tokens in maps:
            normalised = functional.layer_norm(tokens, tokens.shape[1:])
            for side in settings.neighbourhoods:
                pooled = functional.avg_pool2d(normalised, side, stride=1, padding=side // 2)
                features.append(functional.normalize(pooled[0], dim=0))
    return features


def _sides(image: NDArray[np.uint8], side: int, unit: int) -> tuple[int, int]:
    """Height and width of the area of a square, in whole units, the aspect ratio kept."""
    scale = side / (image.shape[0] * image.shape[1]) ** 0.5 / unit
    height, width = (max(1, round(length * scale)) * unit for length in image.shape[:2])
    return height, width


def _patch_scores(
    features: list[Tensor], scoring: MutualScoring, lowest_share: float, name: str
) -> NDArray[np.float32]:
    """Mean distance of each patch to its nearest in the references closest to it."""
    others = [i for i, reference in enumerate(scoring.names) if reference != name]
    n_closest = max(1, round(lowest_share * len(others)))
    rows, columns = features[0].shape[1:]
    total = torch.zeros(rows * columns)
    for tokens, references in zip(features, scoring.references, strict=True):
        similarity = references.to(tokens.device, tokens.dtype) @ tokens.flatten(1)
        nearest = torch.stack([part.amax(0) for part in similarity.split(scoring.lengths)])
        closest = nearest[others].float().topk(n_closest, dim=0).values
        total += (2 - 2 * closest).clamp(min=0).sqrt().mean(0).cpu()
    return (total / len(features)).view(rows, columns).numpy()

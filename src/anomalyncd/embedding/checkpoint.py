"""Regions and tokens of a run that may be interrupted, so that it goes on after them."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from anomalyncd.backbone.weights import digest
from anomalyncd.config import Config
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import (
    MAPPED,
    TokenStore,
    mapped_tokens,
)
from anomalyncd.errors import InputError
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.files import write_atomically
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.io.key import fingerprint
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.regions.table import COLUMNS, CodedMasks, Regions

FOLDER = "checkpoint"
_KEY, _FOUND, _TOKENS = "made_from.json", "regions.npz", "tokens.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What is kept in a work folder between the reading of regions and the end of a run."""

    work: Path
    """The work folder; large tokens lie in it already."""
    key: dict[str, Any]
    """Everything that regions and tokens depend on."""

    def load(self) -> tuple[Regions, TokenStore] | None:
        """What was kept, or None where nothing of this key was kept whole."""
        folder = self.work / FOLDER
        try:
            if read_json(folder / _KEY, "checkpoint") != self.key:
                return None
            with np.load(folder / _FOUND, allow_pickle=False) as arrays:
                regions = _regions(arrays)
            parts = load_file(folder / _TOKENS)
            if "tokens" not in parts:
                shape = parts.pop("shape").tolist()
                parts["tokens"] = mapped_tokens(self.work, tuple(shape), new=False)
        except (InputError, OSError, ValueError, KeyError, SafetensorError, BadZipFile):
            return None
        return regions, TokenStore(**parts)

    def forget(self) -> None:
        """Deletes what was kept of another key, mapped tokens too, before they are overwritten."""
        shutil.rmtree(self.work / FOLDER, ignore_errors=True)
        (self.work / MAPPED).unlink(missing_ok=True)

    def save(self, regions: Regions, cache: TokenStore) -> None:
        """Keeps both; tokens that lie in a mapped file stay there."""
        folder = self.work / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(folder / _FOUND) as temporary:
            np.savez(temporary, **_arrays(regions))
        parts = {"shares": cache.shares, "frozen": cache.frozen}
        if cache.means is not None:
            parts["means"] = cache.means
        if (self.work / MAPPED).is_file():
            parts["shape"] = torch.tensor(cache.tokens.shape)
        else:
            parts["tokens"] = cache.tokens
        with write_atomically(folder / _TOKENS) as temporary:
            save_file(parts, temporary)
        write_json(folder / _KEY, self.key)


def made_from(
    inputs: Inputs,
    maps: AnomalyMaps | None,
    score_range: ScoreRange | None,
    foreground: Masks | None,
    encoder: RegionEncoder,
    config: Config,
    seed: int,
) -> dict[str, Any]:
    """The key of regions and tokens: everything that they depend on."""
    marked = maps if inputs.masks is None else inputs.masks
    stages = (config.mebin, config.regions, config.encoder, config.crops)
    return {
        "parts": fingerprint((*inputs.images.names, *inputs.images.sources)),
        "marked": fingerprint(marked.sources if marked else ()),
        "ignored": fingerprint(inputs.ignored.sources if inputs.ignored else ()),
        "range": asdict(score_range) if score_range else None,
        "foreground": fingerprint(foreground.sources if foreground else ()),
        "config": tuple(asdict(stage) for stage in stages),
        "backbone": digest(encoder.vit.state_dict()),
        "precision": str(encoder.vit.patch_embed.proj.weight.dtype),
        "seed": seed,
    }


def _arrays(regions: Regions) -> dict[str, Any]:
    codes = [np.frombuffer(code, np.uint8) for code in regions.masks.codes]
    return {name: getattr(regions, name) for name in COLUMNS} | {
        "counts": regions.counts,
        "max_normal_score": np.array(regions.max_normal_score),
        "codes": np.concatenate(codes),
        "lengths": np.array([len(code) for code in codes]),
    }


def _regions(arrays: Any) -> Regions:
    ends = np.cumsum(arrays["lengths"])
    codes = np.split(arrays["codes"], ends[:-1])
    masks = CodedMasks(tuple(code.tobytes() for code in codes))
    rows = {name: arrays[name] for name in COLUMNS}
    highest = float(arrays["max_normal_score"])
    return Regions(**rows, masks=masks, counts=arrays["counts"], max_normal_score=highest)

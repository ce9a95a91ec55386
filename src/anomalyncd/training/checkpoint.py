"""Regions and tokens of a run that may be interrupted, so that it goes on after them."""

import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from anomalyncd.data.files import write_atomically
from anomalyncd.data.fingerprint import fingerprint
from anomalyncd.data.inputs import Inputs
from anomalyncd.data.json_files import read_json, write_json
from anomalyncd.data.maps import Maps
from anomalyncd.data.masks import Masks
from anomalyncd.errors import InputError
from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.model.weights import digest
from anomalyncd.regions.finding import Found
from anomalyncd.regions.masks import CodedMasks
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.regions.table import Regions
from anomalyncd.settings import Settings
from anomalyncd.training.trunk_cache import MAPPED, TrunkCache, mapped_tokens

FOLDER = "checkpoint"
_KEY, _FOUND, _TOKENS = "made_from.json", "regions.npz", "tokens.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What is kept in a work folder between the reading of regions and the end of a run."""

    work: Path
    """The work folder; large tokens lie in it already."""
    key: dict[str, Any]
    """Everything that regions and tokens depend on."""

    def load(self) -> tuple[Found, TrunkCache] | None:
        """What was kept, or None where nothing of this key was kept whole."""
        folder = self.work / FOLDER
        try:
            if read_json(folder / _KEY, "checkpoint") != self.key:
                return None
            with np.load(folder / _FOUND, allow_pickle=False) as arrays:
                found = _found(arrays)
            parts = load_file(folder / _TOKENS)
            if "tokens" not in parts:
                shape = parts.pop("shape").tolist()
                parts["tokens"] = mapped_tokens(self.work, tuple(shape), new=False)
        except (InputError, OSError, ValueError, KeyError, SafetensorError, BadZipFile):
            return None
        return found, TrunkCache(**parts)

    def forget(self) -> None:
        """Deletes what was kept of another key, mapped tokens too, before they are overwritten."""
        shutil.rmtree(self.work / FOLDER, ignore_errors=True)
        (self.work / MAPPED).unlink(missing_ok=True)

    def save(self, found: Found, cache: TrunkCache) -> None:
        """Keeps both; tokens that lie in a mapped file stay there."""
        folder = self.work / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(folder / _FOUND) as temporary:
            np.savez(temporary, **_arrays(found))
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
    maps: Maps | None,
    bounds: ScoreRange | None,
    objects: Masks | None,
    encoder: RegionEncoder,
    settings: Settings,
    seed: int,
) -> dict[str, Any]:
    """The key of regions and tokens: everything that they depend on."""
    marked = maps if inputs.masks is None else inputs.masks
    stages = (settings.mebin, settings.regions, settings.encoder, settings.views)
    return {
        "parts": fingerprint((*inputs.parts.names, *inputs.parts.sources)),
        "marked": fingerprint(marked.sources if marked else ()),
        "ignored": fingerprint(inputs.ignored.sources if inputs.ignored else ()),
        "range": asdict(bounds) if bounds else None,
        "objects": fingerprint(objects.sources if objects else ()),
        "settings": tuple(asdict(stage) for stage in stages),
        "backbone": digest(encoder.vit.state_dict()),
        "precision": str(encoder.vit.patch_embed.proj.weight.dtype),
        "seed": seed,
    }


def _arrays(found: Found) -> dict[str, Any]:
    codes = [np.frombuffer(code, np.uint8) for code in found.masks.codes]
    return {field.name: getattr(found.regions, field.name) for field in fields(Regions)} | {
        "counts": found.counts,
        "highest_split": np.array(found.highest_split),
        "codes": np.concatenate(codes),
        "lengths": np.array([len(code) for code in codes]),
    }


def _found(arrays: Any) -> Found:
    ends = np.cumsum(arrays["lengths"])
    codes = np.split(arrays["codes"], ends[:-1])
    regions = Regions(*(arrays[field.name] for field in fields(Regions)))
    masks = CodedMasks(tuple(code.tobytes() for code in codes))
    return Found(regions, masks, arrays["counts"], float(arrays["highest_split"]))

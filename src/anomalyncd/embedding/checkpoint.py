"""Regions of a run that may be interrupted, and what was read of them: a rerun goes on there."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from anomalyncd.embedding.region_store import RegionStore, store_of
from anomalyncd.embedding.token_store import MAPPED, mapped_tokens
from anomalyncd.errors import InputError
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.io.tensor_files import load_checked, save_checked
from anomalyncd.io.writing import write_atomically
from anomalyncd.regions.table import COLUMNS, CodedMasks, Regions

FOLDER = "checkpoint"
_KEY, _REGIONS, _TOKENS = "made_from.json", "regions.npz", "tokens.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Regions and their store in a run folder, from when they were read to the end of the run."""

    run: Path
    """The run folder; tokens that are too large for memory lie in it already."""
    made_from: str
    """Key of everything that both depend on."""

    def load(self) -> tuple[Regions, RegionStore] | None:
        """Returns what was saved; None where nothing of this key was saved completely."""
        folder = self.run / FOLDER
        try:
            if read_json(folder / _KEY, "checkpoint") != {"key": self.made_from}:
                return None
            with np.load(folder / _REGIONS, allow_pickle=False) as arrays:
                regions = _regions(arrays)
            tensors = load_checked(folder / _TOKENS)
            if "shape" in tensors:
                shape = tensors.pop("shape").tolist()
                tensors["tokens"] = mapped_tokens(self.run, tuple(shape), new=False)
            store = store_of(tensors)
        except (InputError, OSError, ValueError, KeyError, TypeError, BadZipFile):
            return None
        return regions, store

    def clear(self) -> None:
        """Deletes what was saved under another key, before mapped tokens are overwritten."""
        shutil.rmtree(self.run / FOLDER, ignore_errors=True)
        (self.run / MAPPED).unlink(missing_ok=True)

    def save(self, regions: Regions, store: RegionStore) -> None:
        """Saves both; tokens that lie in a mapped file stay there."""
        folder = self.run / FOLDER
        with write_atomically(folder / _REGIONS) as temporary:
            np.savez(temporary, **_arrays(regions))
        tensors = store.tensors
        if "tokens" in tensors and (self.run / MAPPED).is_file():
            tensors["shape"] = torch.tensor(tensors.pop("tokens").shape)
        with write_atomically(folder / _TOKENS) as temporary:
            save_checked(tensors, temporary)
        write_json(folder / _KEY, {"key": self.made_from})


def _arrays(regions: Regions) -> dict[str, Any]:
    codes = [np.frombuffer(code, np.uint8) for code in regions.masks.codes]
    return {name: getattr(regions, name) for name in COLUMNS} | {
        "counts": regions.counts,
        "max_normal_score": np.array(regions.max_normal_score),
        "codes": np.concatenate(codes),
        "lengths": np.array([len(code) for code in codes]),
    }


def _regions(arrays: Any) -> Regions:
    codes = np.split(arrays["codes"], np.cumsum(arrays["lengths"])[:-1])
    return Regions(
        **{name: arrays[name] for name in COLUMNS},
        masks=CodedMasks(tuple(code.tobytes() for code in codes)),
        counts=arrays["counts"],
        max_normal_score=float(arrays["max_normal_score"]),
    )

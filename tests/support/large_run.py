"""A run with as many regions as wanted, made of copies of a small one."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from anomalyncd.io.tables import ENCODING

_NOISE, _DOUBT = 0.02, 0.2


def make_large_run(small: Path, folder: Path, n_regions: int, seed: int = 0) -> Path:
    """Copies a run until it has at least so many regions; masks and maps are linked.

    Image `a/b` becomes `0000/a/b`, `0001/a/b`, ...; descriptors and probabilities get some noise,
    so that no two regions are the same.

    Args:
        small: A finished run.
        folder: Made; the large run.
        n_regions: Number of regions at least.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    features, chances = np.load(small / "features.npy"), np.load(small / "probabilities.npy")
    n_copies = -(-n_regions // len(features))
    folder.mkdir(parents=True)
    for table in ("images.csv", "regions.csv"):
        _repeated(small / table, n_copies).to_csv(folder / table, index=False, encoding=ENCODING)
    features = np.tile(features, (n_copies, 1))
    features += rng.normal(0, _NOISE, features.shape).astype(np.float32)
    np.save(folder / "features.npy", features / np.linalg.norm(features, axis=1, keepdims=True))
    share = rng.uniform(0, _DOUBT, (n_copies * len(chances), 1))
    other = rng.dirichlet(np.ones(chances.shape[1]), n_copies * len(chances))
    mixed = (1 - share) * np.tile(chances, (n_copies, 1)) + share * other
    np.save(folder / "probabilities.npy", mixed.astype(np.float32))
    np.save(folder / "counts.npy", np.tile(np.load(small / "counts.npy"), (n_copies, 1)))
    if (small / "attention.npy").is_file():
        attention = np.load(small / "attention.npy")
        np.save(folder / "attention.npy", np.tile(attention, (n_copies, 1, 1, 1)))
    for name in ("classes.csv", "normal_scores.npy", "run.json"):
        shutil.copy(small / name, folder / name)
    for name in ("masks", "maps"):
        (folder / name).mkdir()
        for copy in range(n_copies):
            (folder / name / f"{copy:04}").symlink_to((small / name).resolve())
    return folder


def _repeated(table: Path, n_copies: int) -> pd.DataFrame:
    rows = pd.read_csv(table, dtype=str, keep_default_na=False, encoding=ENCODING)
    copies = [rows.assign(name=f"{copy:04}/" + rows["name"]) for copy in range(n_copies)]
    return pd.concat(copies, ignore_index=True)

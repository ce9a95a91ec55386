"""What a benchmark leaves on the disk: a plan, and one file for every result."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd_bench.table_file import file_name

PLAN = "plan.json"
FORMAT = 1
_PACKAGES = ("anomalyncd", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Cell:
    """One method on one set with one source of maps and one seed."""

    set: str
    source: str
    """`NO_MAPS` where the method looks at none."""
    method: str
    seed: int
    digest: str
    """Of all that the result depends on."""

    @property
    def path(self) -> Path:
        """Its file, below the folder of the benchmark."""
        folders = Path("cells", file_name(self.set), file_name(self.source))
        return folders / f"{file_name(self.method)}_{self.seed}.json"


@dataclass(frozen=True)
class MapsJob:
    """The maps of one set by one source."""

    set: str
    source: str
    seed: int
    digest: str

    @property
    def path(self) -> Path:
        """The file with their scores, below the folder of the benchmark."""
        return Path("maps", f"{file_name(self.set)}_{file_name(self.source)}_{self.seed}.json")


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a table wants, in the order in which it is shown."""

    name: str
    sets: Sequence[Mapping[str, Any]]
    """For each `name`, `group`, `published`, `combined`, `n_images`, `n_normals`, `n_classes`."""
    sources: Sequence[Mapping[str, Any]]
    """For each `name`, `kind`, `with_normals`."""
    methods: Sequence[Mapping[str, Any]]
    """For each `name`, `method`, `preset`, `config`, `ours`, `sources` (names of those in whose
    tables it stands)."""
    seeds: Sequence[int]
    backbone: str
    cells: Sequence[Cell]
    maps: Sequence[MapsJob]

    def write(self, folder: Path) -> None:
        """Writes it into the folder of the benchmark."""
        write_json(folder / PLAN, {"format": FORMAT} | asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """Reads what `write` wrote.

        Raises:
            InputError: There is none, or it is damaged.
        """
        content = read_json(folder / PLAN, "benchmark")
        try:
            if content.pop("format") != FORMAT:
                raise InputError(f"benchmark '{folder}' is of another version; run it again")
            cells = [Cell(**one) for one in content.pop("cells")]
            maps = [MapsJob(**one) for one in content.pop("maps")]
            return cls(cells=cells, maps=maps, **content)
        except (TypeError, KeyError) as error:
            raise InputError(f"benchmark '{folder}' is damaged ({error}); run it again") from error


def digest_of(*values: Any) -> str:
    """Short digest of plain values, the same on every machine."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_result(folder: Path, job: Cell | MapsJob) -> dict[str, Any] | None:
    """What was measured, or None where it was not, or with other settings, or is damaged."""
    try:
        content = read_json(folder / job.path, "benchmark")
    except InputError:
        return None
    return content if content.get("digest") == job.digest else None


def write_result(folder: Path, job: Cell | MapsJob, content: Mapping[str, Any]) -> None:
    """Writes what was measured, whole or not at all, with where and when."""
    write_json(folder / job.path, asdict(job) | dict(content) | circumstances())


def as_text(classes: NDArray[Any]) -> str:
    """Classes on one line, since JSON would give each a line of its own."""
    return " ".join(str(int(one)) for one in classes)


def from_text(text: str) -> NDArray[np.int64]:
    """Classes that `as_text` wrote."""
    return np.array(text.split(), np.int64)


def circumstances() -> dict[str, Any]:
    """Versions, machine and date."""
    versions = {name: version(name) for name in _PACKAGES}
    return {
        "versions": versions | {"python": platform.python_version()},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "n_processors": os.cpu_count() or 1,
            "n_threads": torch.get_num_threads(),
        },
        "date": date.today().isoformat(),
    }

"""An exported model: graphs, arrays and a description, with the digest of every file."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from anomalyncd.config import Config, config_from_dict
from anomalyncd.errors import InputError
from anomalyncd.io.component import Component, State
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.io.key import key

FORMAT = 1
"""Increases when what is written changes its meaning."""
DESCRIPTION, ARRAYS = "export.json", "arrays.safetensors"
"""Names of the two files beside the graphs."""
GRAPHS = ("patches", "regions", "classes")
"""From an image to vectors of patches, from crops to pieces of descriptors, and from these to
descriptors and their likeness to each prototype."""
_OWN_DIGEST = "digest"
_WHAT = "exported model"
_AGAIN = "export the model again, or copy the folder again with all its files"
_Part = TypeVar("_Part", bound=Component)


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """What an exported folder holds besides its graphs."""

    kind: str
    """Format of the graphs, "onnx" or "openvino"."""
    config: Config
    """Config of the model, without augmented views."""
    facts: dict[str, Any]
    """Sizes of the backbone and of the detector, see `export.writing`."""
    values: dict[str, dict[str, Any] | None]
    """Plain values of each component by its name in `FittedModel`; None where there is none."""
    arrays: dict[str, NDArray[Any]]
    """Arrays of the components and of the detector, by their names."""

    def component(self, name: str, cls: type[_Part]) -> _Part | None:
        """Restores one component by its name in `FittedModel`; None where the model has none."""
        values = self.values[name]
        if values is None:
            return None
        # A component takes NumPy arrays as it takes tensors.
        return cls.from_state(State(values, cast(Any, self.arrays_of(name))))

    def arrays_of(self, name: str) -> dict[str, NDArray[Any]]:
        """Returns the arrays of one component, by the names that it gave them."""
        prefix = f"{name}."
        return {
            full.removeprefix(prefix): array
            for full, array in self.arrays.items()
            if full.startswith(prefix)
        }


def is_exported(folder: str | Path) -> bool:
    """Whether a folder holds an exported model."""
    return (Path(folder).expanduser() / DESCRIPTION).is_file()


def graph_file(name: str, kind: str) -> str:
    """Returns the name of the file of a graph; that of OpenVINO has its weights in a `.bin`."""
    return f"{name}.onnx" if kind == "onnx" else f"{name}.xml"


def write_exported(folder: Path, model: ExportedModel) -> None:
    """Writes the arrays and the description into a folder that holds the graphs.

    Args:
        folder: With the graphs, and nothing else.
        model: The rest.
    """
    (folder / ARRAYS).write_bytes(save(model.arrays))
    digests = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    description = {
        "format": FORMAT,
        "anomalyncd": _version(),
        "kind": model.kind,
        "config": asdict(model.config),
        "facts": model.facts,
        "components": model.values,
        "files": digests,
    }
    path = folder / DESCRIPTION
    write_json(path, description)
    # Of what is read, whose numbers and sequences may be of other types than those written.
    write_json(path, description | {_OWN_DIGEST: key(read_json(path, _WHAT))})


def read_exported(folder: Path) -> ExportedModel:
    """Reads what `write_exported` wrote, and checks every file.

    Args:
        folder: The exported folder.

    Raises:
        InputError: The folder is missing, it has another format, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise InputError(f"exported folder '{folder}' does not exist; check the path")
    description = read_json(folder / DESCRIPTION, _WHAT)
    found = description.get("format")
    if found != FORMAT:
        raise InputError(
            f"exported model '{folder}' has format {found}, this version reads {FORMAT}; use "
            f"anomalyncd {description.get('anomalyncd', 'of another version')}, or export again"
        )
    digest = description.pop(_OWN_DIGEST, None)
    if digest != key(description):
        raise InputError(f"file '{folder / DESCRIPTION}' of an exported model is damaged; {_AGAIN}")
    _check(folder, description["files"])
    try:
        return ExportedModel(
            description["kind"],
            config_from_dict(description["config"]),
            description["facts"],
            description["components"],
            {name: np.array(one) for name, one in load((folder / ARRAYS).read_bytes()).items()},
        )
    except InputError as error:
        raise InputError(
            f"exported model '{folder}' was written by another version ({error}); export it again"
        ) from error


def _check(folder: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"exported model '{folder}' lacks the file {name}; {_AGAIN}")
        if _digest(path) != digest:
            raise InputError(f"file '{path}' of an exported model is damaged; {_AGAIN}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version() -> str:
    try:
        return version("anomalyncd")
    except PackageNotFoundError:
        return version("anomalyncd-runtime")

"""A model as one file, to be carried to another machine."""

import json
import zipfile
from pathlib import Path

from anomalyncd.backbone.catalogue import WEIGHTS_FILE
from anomalyncd.io.json_files import read_json
from anomalyncd.io.writing import write_atomically
from anomalyncd.results.model_file import DESCRIPTION, TENSORS, read_model, sealed


def pack_model(folder: Path, target: Path, weights: Path | None = None) -> None:
    """Writes a model into a .zip file, whose content is a model folder again.

    The path of the weights of the backbone, which is one of this machine, is left out.

    Args:
        folder: The model.
        target: The file to write; an earlier one is replaced.
        weights: File of the weights of the backbone, to be packed too, so that the other machine
            needs no network; None leaves them out.

    Raises:
        InputError: The folder holds no model or a damaged one, or the file cannot be written.
    """
    read_model(folder)
    description = read_json(folder / DESCRIPTION, "model")
    description["parameters"]["weights"] = None
    carried = weights or folder / WEIGHTS_FILE
    with (
        write_atomically(target) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
    ):
        packed.writestr(DESCRIPTION, json.dumps(sealed(description), indent=1))
        packed.write(folder / TENSORS, TENSORS)
        if carried.is_file():
            packed.write(carried, WEIGHTS_FILE)

"""Where the model of a run lies."""

from pathlib import Path

from anomalyncd.results.replacement import finish_replacement
from anomalyncd.results.run_folder import RECORD

MODEL = "model"
"""Folder of the model in a run folder."""


def locate_model(folder: str | Path) -> Path:
    """Returns the folder of the model of a run, or the folder itself if it is no run.

    Args:
        folder: Of a finished run, or of a model.
    """
    folder = Path(folder).expanduser()
    if not (folder / RECORD).is_file():
        return folder
    finish_replacement(folder)
    return folder / MODEL

"""The operating point of a run: the score above which an image is not good."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from anomalyncd.errors import InputError
from anomalyncd.io.json_files import read_json, write_json

POINT = "operating.json"
"""File name in a run folder."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the score of images, and its consequences; an image is NG above it."""

    threshold: float
    """On the scale of the column `score`."""
    overkill: float
    """Share of OK images that are rejected as NG, 0..1."""
    escapes: float | None
    """Share of defective images that pass as OK, 0..1; None where no defective image is known."""
    cost: float | None = None
    """Expected cost of 1,000 images, in the unit of the two costs."""
    normal: str | None = None
    """Label of the normal class; None for the usual names, see `NORMAL_LABELS`."""


def write_point(point: OperatingPoint, folder: Path) -> None:
    """Saves a point in a run folder, for the report and for predictions."""
    write_json(folder / POINT, asdict(point))


def read_point(folder: Path) -> OperatingPoint | None:
    """Reads the point of a run folder; None where none was saved.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / POINT
    if not path.is_file():
        return None
    stored = read_json(path, "operating point")
    try:
        point = OperatingPoint(**stored)
        numbers = (point.threshold, point.overkill, point.escapes, point.cost)
        math.fsum(number for number in numbers if number is not None)
        if None in (point.threshold, point.overkill):
            raise TypeError("no threshold")
    except TypeError as error:
        raise InputError(
            f"'{path}' is damaged ({error}); delete it and choose the point again"
        ) from error
    return point

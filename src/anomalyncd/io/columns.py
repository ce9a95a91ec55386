"""The columns of the tables of a run, declared once for writing, reading, checking and the docs."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Table: TypeAlias = Literal["images.csv", "regions.csv", "classes.csv"]
Kind: TypeAlias = Literal["text", "flag", "whole", "number"]

DTYPE_KINDS: dict[Kind, str] = {"text": "OSU", "flag": "b", "whole": "iu", "number": "iuf"}
"""For each kind of column the kinds of numpy types that it may have when it is read back."""

_IMAGES: tuple[Table, ...] = ("images.csv",)
_REGIONS: tuple[Table, ...] = ("regions.csv",)
_CLASSES: tuple[Table, ...] = ("classes.csv",)
_BOTH = _IMAGES + _REGIONS
_ALL = _BOTH + _CLASSES

_OF_CLASSES = frozenset(
    {"class", "class_name", "normal", "decision", "confidence", "novelty", "unseen", "unsure"}
)


@dataclass(frozen=True)
class Column:
    """One column of the tables of a run, or one for each class."""

    name: str
    """Its name; one that ends in `_k` stands for the columns of all classes: `p_0`, `p_1`, ..."""
    kind: Kind
    """What its cells hold."""
    meaning: str
    """A plain sentence."""
    tables: tuple[Table, ...]
    """The tables that have it."""
    optional: bool = False
    """Whether a table may lack it."""
    may_be_blank: bool = False
    """Whether a cell may be blank."""

    @property
    def states_class(self) -> bool:
        """Whether it changes when a person corrects classes."""
        return self.per_class or self.name in _OF_CLASSES

    @property
    def per_class(self) -> bool:
        """Whether there is one column for each class."""
        return self.name.endswith("_k")

    def is_named(self, name: str) -> bool:
        """Whether a column of a table is this one, or this one for some class."""
        if not self.per_class:
            return name == self.name
        return re.fullmatch(rf"{self.name.removesuffix('k')}\d+", name) is not None


COLUMNS = (
    Column("name", "text", "Name of the image: its relative path without the suffix.", _BOTH),
    Column("path", "text", "Absolute path of the image file.", _BOTH),
    Column("class", "whole", "Id of the most likely class; 0 is the normal class.", _BOTH),
    Column("class", "whole", "Id of the class; 0 is the normal class.", _CLASSES),
    Column("class_name", "text", "Name of the class.", _ALL),
    Column("normal", "flag", "Whether the class counts as normal.", _ALL),
    Column(
        "decision",
        "text",
        "Name of the class, or `unseen` or `unsure` in place of it; only in predictions.",
        _BOTH,
        optional=True,
    ),
    Column(
        "confidence",
        "number",
        "Calibrated probability that the class is correct, from 0 to 1; blank in predictions for "
        "what is unseen.",
        _BOTH,
        optional=True,
        may_be_blank=True,
    ),
    Column(
        "novelty",
        "number",
        "Share of the regions of the run that are less of an outlier, from 0 to 1.",
        _BOTH,
        optional=True,
    ),
    Column("unseen", "flag", "Whether it resembles nothing in the run.", _BOTH, optional=True),
    Column("unsure", "flag", "Whether it lies between known classes.", _BOTH, optional=True),
    Column("p_k", "number", "Probability of class k, before calibration.", _BOTH),
    Column("height", "whole", "Height of the image in pixels.", _IMAGES),
    Column("width", "whole", "Width of the image in pixels.", _IMAGES),
    Column("left", "number", "Left side of the box, in pixels of the image.", _REGIONS),
    Column("top", "number", "Top side of the box, in pixels of the image.", _REGIONS),
    Column("right", "number", "Right side of the box, in pixels of the image.", _REGIONS),
    Column("bottom", "number", "Bottom side of the box, in pixels of the image.", _REGIONS),
    Column("area", "whole", "Number of mask pixels inside the box.", _REGIONS),
    Column("score", "number", "Highest anomaly score of its regions, from 0 to 1.", _IMAGES),
    Column("score", "number", "Highest anomaly score inside the box, from 0 to 1.", _REGIONS),
    Column("n_images", "whole", "Number of images in the class.", _CLASSES),
    Column("n_regions", "whole", "Number of regions found on the image.", _IMAGES),
    Column("n_regions", "whole", "Number of regions in the class.", _CLASSES),
    Column(
        "found",
        "flag",
        "False where the image has no region, and its most conspicuous place or the whole image "
        "takes the place of one.",
        _REGIONS,
    ),
    Column("area_k", "whole", "Number of mask pixels of class k on the image.", _IMAGES),
    Column(
        "ok",
        "flag",
        "Whether the score is at or below the operating point; only where one was chosen.",
        _IMAGES,
        optional=True,
    ),
    Column(
        "mean_area",
        "number",
        "Mean area of the regions of the class; blank for a class without a region.",
        _CLASSES,
        may_be_blank=True,
    ),
    Column(
        "mean_score",
        "number",
        "Mean score of the regions of the class; blank for a class without a region.",
        _CLASSES,
        may_be_blank=True,
    ),
)
"""All columns, in the order in which each table has them; a manifest's own columns follow."""


def find_column(name: str) -> Column | None:
    """Returns the column of a name; None for a column that a manifest brought along.

    Of two columns with one name in different tables it is the first; their kinds are the same.
    """
    return next((column for column in COLUMNS if column.is_named(name)), None)


def is_result_column(name: str) -> bool:
    """Whether a column is written by a run, so that a manifest must not have it."""
    return find_column(name) is not None


def columns_of(table: Table) -> tuple[Column, ...]:
    """Returns the columns of a table, in their order."""
    return tuple(column for column in COLUMNS if table in column.tables)


def required_columns(table: Table) -> frozenset[str]:
    """Returns the names of the columns without which a table is damaged."""
    return frozenset(
        column.name for column in columns_of(table) if not (column.optional or column.per_class)
    )

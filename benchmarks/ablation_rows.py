"""What is taken away, one table a question, in the form of the papers' ablations."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE
from anomalyncd.config import PRESETS, Config
from anomalyncd.config.overrides import with_overrides

LEARNT = {"training.epochs": 20}
BASELINE = {"encoder.n_rotations": 1}
"""What all rows have in common, unless they change it: four poses take four times as long."""


@dataclass(frozen=True)
class Row:
    """One way to discover classes."""

    label: str
    """What it is called in its table."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the preset, by dotted name."""
    preset: str = "default"
    base: str | None = None
    """Folder of a labelled base set, beside those of the other sets."""
    masks: bool = False
    """Whether true masks are given in place of maps."""
    backbone: str = DEFAULT_BACKBONE

    @property
    def other_maps(self) -> bool:
        """Whether the row needs maps of its own."""
        return any(name.startswith("detector.") for name in self.changes)

    @property
    def is_candidate(self) -> bool:
        """Whether settings alone make the row, so that a default could be chosen so."""
        return self.base is None and not self.masks and self.backbone == DEFAULT_BACKBONE

    @property
    def config(self) -> Config:
        """As they hold for a run."""
        preset = with_overrides(PRESETS[self.preset], {**BASELINE, **self.changes})
        return preset.resolved(self.base is not None)

    @property
    def name(self) -> str:
        """The same for all rows that do the same, in whatever table."""
        further = {"base": self.base, "masks": self.masks or None}
        further["backbone"] = None if self.backbone == DEFAULT_BACKBONE else self.backbone
        named = [f"{name}={value}" for name, value in further.items() if value is not None]
        named += [f"{name}={value}" for name, value in self.changes.items()]
        return ", ".join([self.preset, *named])

    @property
    def digest(self) -> str:
        """Tells whether the settings are those that a result was measured with."""
        return hashlib.sha256(repr(asdict(self.config)).encode()).hexdigest()[:12]


SHIPPED = Row("4 (default)", {"encoder.n_rotations": 4})
"""The default preset as it is, in all its poses."""


@dataclass(frozen=True)
class Table:
    """Rows that answer one question."""

    title: str
    note: str
    rows: tuple[Row, ...]
    recall: bool = False
    """Whether the recall of the normal class is told as well."""


TABLES = (
    Table(
        "Guidance",
        "Which rows of the attention matrix are led to the anomaly, and how. `learned` differs "
        "from `soft` only where the read-out block is trained, so both are given with 20 epochs.",
        (
            Row("none", {"encoder.guidance": "none"}),
            Row("patches, hard", {"encoder.guidance": "hard", "encoder.guided_rows": "patches"}),
            Row("all, hard", {"encoder.guidance": "hard", "encoder.guided_rows": "all"}),
            Row("CLS, hard", {"encoder.guidance": "hard"}),
            Row("CLS, soft (default)"),
            Row("CLS, soft, by the map", {"encoder.guided_by": "map"}),
            Row("CLS, soft, background told apart", {"foreground.source": "auto"}),
            Row("CLS, soft, 20 epochs", LEARNT),
            Row("CLS, learned, 20 epochs", {"encoder.guidance": "learned", **LEARNT}),
        ),
    ),
    Table(
        "Guided blocks",
        "How many of the twelve blocks lead attention, counted from the last one. The CLS token is "
        "read after the last but one.",
        (
            Row("3", {"encoder.n_guided": 3}),
            Row("6", {"encoder.n_guided": 6}),
            Row("9 (default)"),
            Row("12", {"encoder.n_guided": 12}),
        ),
    ),
    Table(
        "Maps",
        "How the images are scored without normal images. Each row has maps of its own.",
        (
            Row("default"),
            Row("block 5 alone", {"detector.layers": (5,)}),
            Row("block 8 alone", {"detector.layers": (8,)}),
            Row("no tolerance", {"detector.reference_discount": 0.0}),
            Row("judged by the closest 30 % of the references", {"detector.closest": (0.0, 0.3)}),
            Row("20 references", {"detector.n_references": 20}),
            Row("smoothed twice as far", {"detector.smoothing": 1.0}),
        ),
    ),
    Table(
        "Levels",
        "The share of sound surfaces that a image must exceed to have a region, and the one that "
        "bounds the split between normal and anomalous regions.",
        (
            Row(".85 and .9 (default)"),
            Row(".75 and .9", {"mebin.background_quantile": 0.75}),
            Row(".95 and .9", {"mebin.background_quantile": 0.95}),
            Row(".85 and .8", {"mebin.max_normal_quantile": 0.8}),
            Row(".85 and 1 (not bounded)", {"mebin.max_normal_quantile": 1.0}),
        ),
    ),
    Table(
        "Masks",
        "What cuts the maps. The erosion is the same for all three. Otsu's threshold is found for "
        "each map anew, so maps of good images are cut as well. With true masks nothing "
        "is left to be cut.",
        (
            Row("MEBin (default)"),
            Row("Otsu", {"mebin.binarisation": "otsu"}),
            Row("fixed at 0.5 of the score range", {"mebin.binarisation": "fixed"}),
            Row("true masks", masks=True),
        ),
    ),
    Table(
        "Pseudo-label correction",
        "Whether anomaly scores pull regions to the normal class. The default does not train; its "
        "correction acts on the start and on the verdict. The `paper` preset trains for 50 epochs. "
        "Recall is the share of good images in the class that is matched with the normal one.",
        (
            Row("off", {"training.correction": "none"}),
            Row("on, by score and look-alikes (default)"),
            Row("`paper` preset, off", {"training.correction": "none"}, "paper"),
            Row("`paper` preset, on", {}, "paper"),
        ),
        recall=True,
    ),
    Table(
        "Merging",
        "What a region weighs in the class of its image.",
        (
            Row("by area (default)"),
            Row("mean", {"aggregation.rule": "mean"}),
            Row("by score", {"aggregation.rule": "score"}),
        ),
    ),
    Table(
        "Read-out",
        "Which blocks describe a region, counted from 0. The default joins the CLS tokens of "
        "blocks 10 and 8 and the mean patch token under the mask after block 5.",
        (
            *(
                Row(
                    f"CLS of block {block} alone",
                    {
                        "encoder.readout": block,
                        "encoder.extra_cls": (),
                        "encoder.region_means": (),
                    },
                )
                for block in (9, 10, 11)
            ),
            Row("without the mean of block 5", {"encoder.region_means": ()}),
            Row("without the CLS of block 8", {"encoder.extra_cls": ()}),
            Row("all three (default)"),
            Row("all three, not centred", {"encoder.centred": False}),
        ),
    ),
    Table(
        "Poses",
        "In how many poses a region is read, whose mean describes it: quarter turns, and their "
        "mirror images.",
        (
            Row("1"),
            SHIPPED,
            Row("8", {"encoder.n_rotations": 8}),
        ),
    ),
    Table(
        "Backbone",
        "The default and the one of the papers.",
        (
            Row("DINOv2 ViT-S/14 (default)"),
            Row("DINO ViT-B/8", backbone="vit_base_patch8_224.dino"),
        ),
    ),
    Table(
        "Start and losses",
        "Self-labelling over 20 epochs, and what it loses or gains with each of its images.",
        (
            Row("k-means start, not trained (default)"),
            Row("k-means start, trained", LEARNT),
            Row("random start, trained", {"training.start": "random", **LEARNT}),
            Row("trained without contrast", {"training.contrast": False, **LEARNT}),
            Row("trained without mean entropy", {"training.entropy_weight": 0.0, **LEARNT}),
            Row("trained with separation", {"training.separation_weight": 0.1, **LEARNT}),
            Row("trained with hard pseudo-labels", {"training.hard_share": 1.0, **LEARNT}),
        ),
    ),
    Table(
        "Base set",
        "Labelled defects of other products: NEU-SEG, hot-rolled steel strip. With them 20 epochs "
        "are trained.",
        (
            Row("none (default)"),
            Row("none, 20 epochs", LEARNT),
            Row("NEU-SEG, 20 epochs", base="neu_seg"),
        ),
    ),
)


def distinct_rows() -> list[Row]:
    """The rows of all tables, each once: the cheap ones first, like tokens together.

    Cheap are those that do not train, and among them those whose tokens serve most rows.
    """
    rows = list({row.name: row for table in TABLES for row in table.rows}.values())
    keys = [tokens_of(row) for row in rows]

    def cost(row: Row) -> tuple[int, ...]:
        key, epochs = tokens_of(row), row.config.training.epochs
        return row.base is not None, epochs, -keys.count(key), keys.index(key)

    return sorted(rows, key=cost)


def tokens_of(row: Row) -> tuple[Any, ...]:
    """Everything that regions and their tokens depend on, besides the images and shared maps."""
    chosen = row.config
    stages = (chosen.mebin, chosen.regions, chosen.foreground, chosen.encoder, chosen.views)
    detector = chosen.detector if row.other_maps else None
    return (detector, *stages, row.base, row.masks, row.backbone)

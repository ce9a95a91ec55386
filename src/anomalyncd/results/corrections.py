"""What a person said, as part of a model, and the tables of a run that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.config import Config
from anomalyncd.correction.correction import Correction, fit_correction
from anomalyncd.discovery.novelty import fit_novelty
from anomalyncd.discovery.reliability import ReliabilityModel, tempered
from anomalyncd.errors import InputError
from anomalyncd.io.component import Component
from anomalyncd.labels.book import BOX, LabelBook
from anomalyncd.labels.names import checked_name, folded
from anomalyncd.labels.state import LabelState
from anomalyncd.regions.table import Regions
from anomalyncd.results.class_list import ClassList
from anomalyncd.results.predictions import RegionClasses, classify_tables
from anomalyncd.runtime.wording import counted


@dataclass(frozen=True, eq=False)
class Corrections(Component):
    """Turns the classes of a discovery into those of a label book."""

    class_list: ClassList
    """Names and kinds of the classes in use."""
    correction: Correction
    """Probabilities of these classes."""


class Classified(Protocol):
    """Regions in the classes of a discovery: a run, or predictions."""

    @property
    def images(self) -> pd.DataFrame:
        """The table of images."""

    @property
    def regions(self) -> pd.DataFrame:
        """The table of regions."""

    @property
    def features(self) -> NDArray[np.float32]:
        """(R, D): unit descriptors."""

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(R, K): class probabilities of the discovery."""

    @property
    def n_discovered(self) -> int:
        """How many of the regions were there to the discovery."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What a person said, for the regions of one run."""

    said: NDArray[np.int64]
    """(R,): id of the class that a person gave each region, or -1."""
    classes_of_discovery: NDArray[np.int64]
    """(K,): id of the class that each class of the discovery belongs to."""
    class_list: ClassList
    """The classes in use."""

    @classmethod
    def of_book(cls, book: LabelBook, state: LabelState) -> Self:
        """What a label book says in one of its states."""
        said, classes_of = book.said(state), book.classes_of_discovery(state)
        return cls(said, classes_of, ClassList.of_labels(state))

    @classmethod
    def by_name(cls, names: Mapping[int, str], n_regions: int, n_discovered: int) -> Self:
        """Names of classes by the row of the region; names that are new make classes.

        Raises:
            InputError: A key is no row, or a name cannot be used.
        """
        if not isinstance(names, Mapping):
            raise InputError(
                f"corrections are a {type(names).__name__}; give a dictionary of names by the rows "
                "of the table of regions"
            )
        discovered = ClassList.discovered(n_discovered)
        ids = {name.casefold(): index for index, name in discovered.by_id.items()}
        listed, said = list(discovered.names), np.full(n_regions, -1, np.int64)
        for row, name in names.items():
            _refuse_row(row, n_regions)
            if not isinstance(name, str):
                raise InputError(f"{name!r} is no name of a class; give region {row} a text")
            if folded(name) not in ids:
                listed.append(checked_name(name, listed))
                ids[folded(name)] = len(listed) - 1
            said[row] = ids[folded(name)]
        kinds = (*discovered.kinds, *["defect"] * (len(listed) - n_discovered))
        class_list = ClassList(tuple(range(len(listed))), tuple(listed), kinds, len(listed))
        return cls(said, np.arange(n_discovered), class_list)


def _refuse_row(row: object, n_regions: int) -> None:
    rows = f"the rows are 0 to {n_regions - 1}" if n_regions else "no region was found"
    if isinstance(row, bool) or not isinstance(row, Integral):
        raise InputError(f"{row!r} is no row of the table of regions; {rows}")
    if not 0 <= int(row) < n_regions:
        raise InputError(f"there is no region {row}; {rows}")


@dataclass(frozen=True, eq=False)
class CorrectedRun:
    """The tables of a run after a correction, and what its model then needs."""

    images: pd.DataFrame
    regions: pd.DataFrame
    classes: pd.DataFrame
    probabilities: NDArray[np.float32]
    """(R, C): by id of the class."""
    corrections: Corrections
    reliability: ReliabilityModel
    """Knows the regions that a person confirmed among those that were added."""


@dataclass(frozen=True)
class Changes:
    """What a correction changed."""

    n_said: int
    """Regions whose class a person said."""
    n_regions: int
    """Other regions whose class changed."""
    n_images: int
    """Images whose class changed."""

    def __str__(self) -> str:
        return (
            f"{counted(self.n_said, 'region')} confirmed by a person; "
            f"{counted(self.n_regions, 'other region')} and {counted(self.n_images, 'image')} "
            "changed their class"
        )


def changes_between(run: Classified, corrected: CorrectedRun, said: NDArray[np.int64]) -> Changes:
    """Compares the classes of a run with those after a correction.

    Args:
        run: As it was before.
        corrected: As it is now.
        said: Class that a person gave each region, (R,), or -1.
    """
    regions = run.regions["class"].to_numpy() != corrected.regions["class"].to_numpy()
    images = run.images["class"].to_numpy() != corrected.images["class"].to_numpy()
    said_by_person = said >= 0
    return Changes(
        int(said_by_person.sum()), int((regions & ~said_by_person).sum()), int(images.sum())
    )


def correct_tables(
    run: Classified, labels: Labels, reliability: ReliabilityModel, config: Config, seed: int
) -> CorrectedRun:
    """Refits the classes of all regions to what a person said.

    Args:
        run: A run or predictions; the probabilities are those of the discovery, whatever was
            corrected since.
        labels: What was said.
        reliability: That of the model.
        config: That of the run.
        seed: Of everything random.
    """
    regions, said, class_list = regions_of(run), labels.said, labels.class_list
    classes_of = labels.classes_of_discovery
    correction, probabilities = fit_run(run, said, classes_of, class_list.n_ids, seed)
    reliability, novelty = _known_again(run, regions, said, reliability, seed)
    assessed = reliability.assess(novelty, probabilities, config.reliability)
    calibrated = tempered(probabilities, reliability.temperature)
    calibrated[said >= 0] = probabilities[said >= 0]
    unseen = assessed.unseen & (said < 0)
    judged = RegionClasses(
        run.features,
        probabilities,
        replace(assessed, calibrated=calibrated, unseen=unseen),
        class_list,
    )
    tables = classify_tables(run.images, run.regions, judged, config.aggregation.rule)
    corrections = Corrections(class_list, correction)
    return CorrectedRun(*tables, probabilities, corrections, reliability)


def fit_run(
    run: Classified,
    said: NDArray[np.int64],
    classes_of: NDArray[np.int64],
    n_classes: int,
    seed: int,
) -> tuple[Correction, NDArray[np.float32]]:
    """Fits the classes of a run to what was said, see `fit_correction`.

    What was said of regions that were added since the discovery follows for added and new regions
    alone, so that growing leaves the verdicts on all others as they are.

    Args:
        run: A run or predictions.
        said: Class that a person gave each region, (R,), or -1.
        classes_of: Class of each class of the discovery, (K,).
        n_classes: Number of ids of classes.
        seed: Of everything random.
    """
    regions = regions_of(run)

    def fit(rows: slice) -> tuple[Correction, NDArray[np.float32]]:
        return fit_correction(
            run.features[rows],
            regions.select(rows),
            run.probabilities[rows],
            said[rows],
            n_classes,
            classes_of,
            seed,
        )

    correction, probabilities = fit(slice(None))
    before = slice(run.n_discovered)
    if run.n_discovered < len(said):
        probabilities = probabilities.copy()
        probabilities[before] = fit(before)[1]
    return correction, probabilities


def regions_of(run: Classified) -> Regions:
    """The regions of a run, without masks and counts."""
    table = run.regions
    image = pd.Index(run.images["name"]).get_indexer(table["name"])
    return Regions(
        image.astype(np.int64),
        table[BOX].to_numpy(np.float64),
        table["area"].to_numpy(np.int64),
        table["score"].to_numpy(np.float32),
        table["found"].to_numpy(bool),
    )


def _known_again(
    run: Classified,
    regions: Regions,
    said: NDArray[np.int64],
    reliability: ReliabilityModel,
    seed: int,
) -> tuple[ReliabilityModel, NDArray[np.float32]]:
    """Adds regions that were added to the run and confirmed to those that count as known.

    Returns:
        What recognises unseen regions, and the novelty of each region, (R,).
    """
    novelty = run.regions["novelty"].to_numpy(np.float32)
    if run.n_discovered == len(regions):
        return reliability, novelty
    known = regions.found & (said >= 0)
    known[: run.n_discovered] = regions.found[: run.n_discovered]
    if len(np.unique(regions.image[known])) < 2:
        return reliability, novelty
    novelty = novelty.copy()
    detector, novelty[known] = fit_novelty(run.features, regions, np.flatnonzero(known), seed)
    others = regions.found & ~known
    if others.any():
        of_others = detector.scores(run.features[others], regions.area[others])
        novelty[others] = detector.novelty(of_others)
    return replace(reliability, novelty_detector=detector), novelty

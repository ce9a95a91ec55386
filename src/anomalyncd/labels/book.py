"""The label book: what a person says about the classes and regions of a run."""

import getpass
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.labels.checks import check_description, require_class
from anomalyncd.labels.following import FOLLOWED, count_pending, followed_by_tables
from anomalyncd.labels.log import LabelLog
from anomalyncd.labels.names import checked_name, folded
from anomalyncd.labels.rediscovery import Discovered, meet_run
from anomalyncd.labels.state import (
    NORMAL,
    NORMAL_NAME,
    Action,
    Kind,
    LabelState,
    Severity,
    replay,
)

FILE = "labels.sqlite"
"""Name of the label book in a run folder."""
BOX = ["left", "top", "right", "bottom"]


@dataclass(frozen=True)
class Named:
    """Regions and whole images that belong to a class that is named."""

    class_name: str
    """A class in use, one that was merged into another one and means that one, or a new one."""
    regions: Collection[int] = field(default_factory=tuple)
    """Ids of regions."""
    images: Collection[str] = field(default_factory=tuple)
    """Names of images, all of whose regions belong to the class."""
    class_id: int | None = None
    """Its id in this label book; None where only the name is known."""


class LabelBook:
    """Classes with ids that never change their meaning, and what was said of regions and images.

    Every method that changes something adds one row to the log and returns when the row is on
    disk. Several programs may write at once: each change is checked against what the others have
    written by then.

    Examples:
        >>> labels = read_run("run").labels  # doctest: +SKIP
        >>> labels.edit(1, name="scratch", severity="major")  # doctest: +SKIP
        >>> labels.move(labels.ids[[3, 8]], 1)  # doctest: +SKIP

    Args:
        path: The file; made where it is missing.
        regions: `name`, `left`, `top`, `right`, `bottom` of the R regions of the run.
        discovered: Class of each region in the discovery, (R,).
        class_names: Names of the classes of the discovery, the normal class first.
        author: Who acts; None takes the name of the user of this machine.

    Raises:
        InputError: The file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        regions: pd.DataFrame,
        discovered: NDArray[np.int64],
        class_names: Sequence[str],
        author: str | None = None,
    ) -> None:
        self.log = LabelLog(path)
        self.author = _user() if author is None else author
        self._lock = Lock()
        self._state = LabelState()
        self._actions: list[Action] = []
        self.images = regions["name"].astype(str).tolist()
        """Name of the image of each region of the run."""
        boxes = regions[BOX].to_numpy(np.float64).tolist()
        places = [(name, *box) for name, box in zip(self.images, boxes, strict=True)]
        discovery = Discovered(places, discovered.tolist(), list(class_names))
        self.ids = meet_run(self.log, self.author, discovery)
        """Id of each region of the run, (R,)."""
        self._rows = {int(one): row for row, one in enumerate(self.ids)}

    @property
    def state(self) -> LabelState:
        """What was said so far, by anyone."""
        with self._lock:
            last = self._actions[-1].number if self._actions else 0
            new = self.log.actions(last)
            if new:
                self._actions += new
                self._state = replay(self._actions)
            return self._state

    @property
    def history(self) -> list[Action]:
        """All actions, in order."""
        self.state  # noqa: B018
        return list(self._actions)

    @property
    def n_pending(self) -> int:
        """Number of actions since the run was last refitted to what was said."""
        return count_pending(self.history)

    @property
    def is_followed(self) -> bool:
        """Whether refitting would give the run the classes that it has.

        What was only described, such as a severity or a cost, is in no table of a run.
        """
        before, now = (
            (self.said(state), self.classes_of_discovery(state), _in_tables(state))
            for state in (followed_by_tables(self.history), self.state)
        )
        return all(np.array_equal(*pair) for pair in zip(before[:2], now[:2], strict=True)) and (
            before[2] == now[2]
        )

    def rows(self, regions: Collection[int]) -> NDArray[np.int64]:
        """Rows in the table of regions of the run that have these ids; others are left out."""
        rows = [self._rows[int(one)] for one in regions if int(one) in self._rows]
        return np.array(rows, np.int64)

    def said(self, state: LabelState | None = None) -> NDArray[np.int64]:
        """Class that a person gave each region of the run, (R,), or -1.

        Args:
            state: Of this book, at some moment; None takes the present one.
        """
        state = state or self.state
        said = np.full(len(self.ids), -1, np.int64)
        number = np.zeros(len(self.ids), np.int64)
        for region, (when, class_id) in state.regions.items():
            row = self._rows.get(region)
            if row is not None:
                number[row] = when
                said[row] = -1 if class_id is None else state.resolve(class_id)
        if state.images:
            for row, image in enumerate(self.images):
                when, class_id = state.images.get(image, (0, None))
                if when > number[row]:
                    said[row] = -1 if class_id is None else state.resolve(class_id)
        return said

    def classes_of_discovery(self, state: LabelState | None = None) -> NDArray[np.int64]:
        """Id of the class that each class of the discovery belongs to now, (K,).

        Args:
            state: Of this book, at some moment; None takes the present one.
        """
        state = state or self.state
        return np.array([state.resolve(one) for one in state.discovered], np.int64)

    def edit(
        self,
        class_id: int,
        *,
        name: str | None = None,
        description: str | None = None,
        colour: str | None = None,
        kind: Kind | None = None,
        severity: Severity | None = None,
        escape_cost: float | None = None,
        examples: Collection[int] | None = None,
        counter_examples: Collection[int] | None = None,
    ) -> int:
        """Describes a class; what is None stays as it is, and at least one thing is given.

        Args:
            class_id: The class.
            name: Unique, up to 80 characters.
            description: Any text, up to 10,000 characters.
            colour: `#rrggbb`.
            kind: `defect`, `not a defect` or `ignored`.
            severity: `minor`, `major`, `critical`, or "" to leave it open.
            escape_cost: What it costs when a defect of this class passes, 0 or more; NaN forgets
                it.
            examples: Ids of regions that show the class well, in place of those so far; of the
                latter, those that are not in the run any more are left out.
            counter_examples: Ids of regions that resemble it and are none, in the same way.

        Returns:
            Number of the action, as all methods that change something.

        Raises:
            InputError: The class does not exist or was merged, a value cannot be used, or none is
                given.
        """
        changes: dict[str, Any] = {
            "name": name,
            "description": description,
            "colour": colour,
            "kind": kind,
            "severity": severity,
            "escape_cost": escape_cost,
            "examples": examples,
            "counter_examples": counter_examples,
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        if not changes:
            raise InputError(
                f"nothing is said of class {class_id}; give its name, description, kind, severity, "
                "colour or the cost of an escape"
            )

        def decide(state: LabelState) -> dict[str, Any]:
            require_class(state, class_id)
            if class_id == NORMAL and not {"name", "kind"}.isdisjoint(changes):
                raise InputError("class 0 is the normal class; its name and its kind are fixed")
            checked = dict(changes)
            if "name" in checked:
                others = [one.name for one in state.in_use if one.id != class_id]
                checked["name"] = checked_name(checked["name"], others)
            for examples in {"examples", "counter_examples"} & checked.keys():
                so_far = getattr(state.classes[class_id], examples)
                checked[examples] = self._still_there(checked[examples], so_far)
            if math.isnan(checked.get("escape_cost", 0)):
                checked["escape_cost"] = None
            check_description(checked)
            return {"class": class_id, **checked}

        return self._act("edit", decide)

    def move(self, regions: Collection[int], class_id: int | None) -> int:
        """Moves regions to a class; None withdraws what was said of them.

        Raises:
            InputError: The class does not exist or was merged, or a region is unknown.
        """
        return self._assign("assign", [{"class": class_id, "regions": self._known(regions)}])

    def move_images(self, images: Collection[str], class_id: int | None) -> int:
        """Moves all regions of whole images to a class; None withdraws what was said of the images.

        Raises:
            InputError: The class does not exist or was merged, or an image is unknown.
        """
        return self._assign("assign", [{"class": class_id, "images": self._known_images(images)}])

    def confirm(self, regions: Mapping[int, Collection[int]]) -> int:
        """Says that regions belong to the classes that they are in.

        Args:
            regions: Ids of regions by the id of their class.

        Raises:
            InputError: As for `move`.
        """
        said = [{"class": one, "regions": self._known(ids)} for one, ids in regions.items()]
        return self._assign("confirm", said)

    def new_class(
        self, name: str, regions: Collection[int] = (), images: Collection[str] = ()
    ) -> int:
        """Makes a class of regions or whole images.

        Returns:
            Id of the class.

        Raises:
            InputError: The name is taken or cannot be used, or a region or an image is unknown.
        """
        return self._make("new class", {name: regions}, {name: images})[0]

    def split(
        self, class_id: int, remaining: Collection[int], parts: Mapping[str, Collection[int]]
    ) -> list[int]:
        """Splits a class: each part becomes a class of its own.

        Args:
            class_id: The class.
            remaining: Ids of regions that stay in it.
            parts: Ids of the regions of each new class by its name.

        Returns:
            Ids of the new classes.

        Raises:
            InputError: As for `new_class`.
        """
        stay = {"class": class_id, "regions": self._known(remaining)}
        return self._make("split", parts, said=[stay])

    def merge(self, into: int, classes: Collection[int]) -> int:
        """Merges classes into one; their regions and their part of the discovery go with them.

        Args:
            into: The class that stays; 0 makes the others count as normal.
            classes: The classes that end.

        Raises:
            InputError: A class does not exist or was merged already, or 0 would be merged.
        """

        def decide(state: LabelState) -> dict[str, Any]:
            for class_id in (into, *classes):
                require_class(state, class_id)
            if NORMAL in classes:
                raise InputError("class 0 is the normal class and stays; merge the others into it")
            if into in classes or not classes:
                raise InputError("a class is merged into another one; name two different classes")
            return {"into": into, "classes": sorted(set(classes))}

        return self._act("merge", decide)

    def add_named(self, named: Sequence[Named]) -> int:
        """Adds labels from elsewhere; classes are found by id or name, or made, see `Named`.

        Raises:
            InputError: A name cannot be used, or a region or an image is unknown.
        """

        def decide(state: LabelState) -> dict[str, Any]:
            new: dict[str, int] = {}
            made, said, next_id = [], [], state.next_id
            for one in named:
                of_class: dict[str, Any] = {}
                if one.regions:
                    of_class["regions"] = self._known(one.regions)
                if one.images:
                    of_class["images"] = self._known_images(one.images)
                class_id = state.find(one.class_name, one.class_id)
                if class_id is None:
                    class_id = new.get(folded(one.class_name))
                if class_id is None:
                    name = checked_name(one.class_name, ())
                    new[folded(name)] = next_id
                    made.append({"id": next_id, "name": name} | of_class)
                    next_id += 1
                else:
                    said.append({"class": class_id} | of_class)
            return {"make": made, "said": said}

        return self._act("import", decide)

    def undo(self, number: int | None = None) -> Action | None:
        """Takes back the last action that was not taken back yet; returns it, or None.

        Args:
            number: Of the action that is meant; None takes back whichever is the last one.

        Raises:
            InputError: The last action that was not taken back yet is another one.
        """
        undone: Action | None = None

        def decide(state: LabelState) -> dict[str, Any] | None:
            nonlocal undone
            undone = state.undoable
            if number is not None and (undone is None or undone.number != number):
                raise InputError(
                    f"action {number} is not the last one any more, so nothing was undone; look at "
                    "the history, and undo what came after it first"
                )
            return {} if undone else None

        self._act("undo", decide)
        return undone

    def redo(self) -> Action | None:
        """Does again what was taken back last; returns it, or None."""
        redone = self.state.redoable
        self._act("redo", lambda state: {} if state.redoable else None)
        return redone

    def note(self, name: str, state: LabelState, facts: Mapping[str, Any]) -> int:
        """Adds a line to the history that changes no label.

        Args:
            name: `corrected` or `grown`.
            state: What the run follows from now on.
            facts: What else is worth recording.
        """
        return self._act(name, lambda _: {**facts, FOLLOWED: state.last})

    def _assign(self, name: str, said: list[dict[str, Any]]) -> int:
        def decide(state: LabelState) -> dict[str, Any]:
            for one in said:
                if one["class"] is not None:
                    require_class(state, one["class"])
            return {"said": said}

        return self._act(name, decide)

    def _make(
        self,
        action: str,
        regions: Mapping[str, Collection[int]],
        images: Mapping[str, Collection[str]] | None = None,
        said: Sequence[dict[str, Any]] = (),
    ) -> list[int]:
        ids: list[int] = []

        def decide(state: LabelState) -> dict[str, Any]:
            for one in said:
                require_class(state, one["class"])
            taken = [one.name for one in state.in_use]
            made: list[dict[str, Any]] = []
            for name, of_class in regions.items():
                made.append({"id": state.next_id + len(made), "name": checked_name(name, taken)})
                made[-1]["regions"] = self._known(of_class)
                made[-1]["images"] = self._known_images((images or {}).get(name, ()))
                taken.append(name)
            ids[:] = [one["id"] for one in made]
            return {"make": made, "said": list(said)}

        self._act(action, decide)
        return ids

    def _act(self, name: str, decide: Callable[[LabelState], dict[str, Any] | None]) -> int:
        def decided(so_far: list[Action]) -> tuple[str, dict[str, Any]] | None:
            arguments = decide(replay(so_far))
            return None if arguments is None else (name, arguments)

        return self.log.append(self.author, decided)

    def _known(self, regions: Collection[int]) -> list[int]:
        ids = [int(one) for one in regions]
        unknown = [one for one in ids if one not in self._rows]
        if unknown:
            raise InputError(f"region {unknown[0]} is not in the run; load the regions again")
        return ids

    def _still_there(self, examples: Collection[int], so_far: Collection[int]) -> list[int]:
        """Examples without those of an earlier discovery that are not in the run any more."""
        gone = set(so_far) - self._rows.keys()
        return self._known([one for one in examples if int(one) not in gone])

    def _known_images(self, images: Collection[str]) -> list[str]:
        unknown = sorted(set(images) - set(self.images))
        if unknown:
            raise InputError(f"image '{unknown[0]}' is not in the run; check its name")
        return list(images)


def ids_to_be(regions: pd.DataFrame) -> NDArray[np.int64]:
    """Ids that the regions of a run will have in its label book while it has none, (R,).

    Args:
        regions: As for `LabelBook`.
    """
    with TemporaryDirectory() as folder:
        nothing_found = np.zeros(len(regions), np.int64)
        return LabelBook(Path(folder) / FILE, regions, nothing_found, [NORMAL_NAME]).ids


def _in_tables(state: LabelState) -> list[tuple[int, str, Kind]]:
    return [(one.id, one.name, one.kind) for one in state.in_use]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # In a container the user may have no name.
        return ""

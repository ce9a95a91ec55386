"""Which region a label that a person wrote elsewhere belongs to."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.exchange.reading import ROW_COLUMNS
from anomalyncd.runtime.wording import counted

_SIDES = ["left", "top", "right", "bottom"]
_SMALLEST_OVERLAP = 0.5
"""Intersection over union from which a box is that of a region."""


@dataclass(frozen=True, eq=False)
class MatchedLabels:
    """What `match_regions` found."""

    labels: pd.DataFrame
    """One row a region that has got a class: `id`, `class_name`, `class_id` ("" or as written)."""
    unmatched: pd.DataFrame
    """Rows of `read_labels` that say nothing about any region, with the column `reason`."""

    @property
    def summary(self) -> str:
        """How many labels found a region and how many did not, with an example, in a sentence."""
        found = f"{counted(len(self.labels), 'region')} got a class"
        if self.unmatched.empty:
            return f"{found}; every label found its region."
        first = self.unmatched.iloc[0]
        lost = counted(len(self.unmatched), "label")
        place = f"{first['from']}, class '{first['class_name']}', image '{first['name']}'"
        return f"{found}; {lost} found no region, the first is {place}: {first['reason']}."


def match_regions(
    rows: pd.DataFrame, regions: pd.DataFrame, marked: NDArray[np.float64] | None = None
) -> MatchedLabels:
    """Finds the regions that labels are about.

    A label with the id of a region is about that region, unless the label names another image or
    has a box whose intersection over union with that of the region is below 0.5: then the id is one
    of another run and does not count. A box is about the region of the same image that it overlaps
    most, if the intersection over union is 0.5 or more; else about the one whose box holds the
    middle of the label's box, if there is exactly one. A label of a whole image is about all its
    regions that have no label of their own. If several labels are about one region, the one that
    fits it best counts.

    Args:
        rows: What `read_labels` returned.
        regions: `id`, `name`, `left`, `top`, `right`, `bottom`, one row a region.
        marked: (R, 4), the boxes around the anomalous pixels of the regions, see `marked_boxes`:
            those that labelling programs were given, so overlaps with them count as well.

    Returns:
        The class of each region that is labelled, in the order of `regions`, and all labels that
        found none.

    Source: our own.
    """
    places = _Places(regions, marked)
    rows = rows.reset_index(drop=True)
    assigned = _Assignment(rows["class_name"].astype(str).tolist())

    pairs: list[tuple[float, int, int]] = []
    by_box: list[int] = []
    whole: list[int] = []
    for number, (region, name, *box) in enumerate(rows[["id", "name", *_SIDES]].to_numpy()):
        has_box = not np.isnan(np.array(box, np.float64)).any()
        here = places.of_image(name)
        if not rows["class_name"].iloc[number]:
            assigned.reject(number, "it has no class")
        elif region and (lost := places.why_not(region, name, box if has_box else None)) is None:
            assigned.assign(number, places.by_id[region])
        elif region and not (name and has_box):
            assigned.reject(number, str(lost))
        elif not len(here):
            assigned.reject(number, "there is no image of this name that has a region")
        elif not has_box:
            whole.append(number)
        else:
            by_box.append(number)
            overlaps = places.overlaps(box, here)
            pairs += [
                (float(overlap), number, int(place))
                for overlap, place in zip(overlaps, here, strict=True)
                if overlap >= _SMALLEST_OVERLAP
            ]
    _assign_best(assigned, pairs)
    _assign_by_middle(assigned, rows.loc[by_box], places)
    _assign_whole(assigned, rows.loc[whole, "name"], places)
    return assigned.result(rows, regions)


class _Places:
    """Where the regions are."""

    def __init__(self, regions: pd.DataFrame, marked: NDArray[np.float64] | None) -> None:
        self.boxes = regions[_SIDES].to_numpy(np.float64)
        self._drawn = self.boxes if marked is None else marked
        self._names = regions["name"].astype(str).tolist()
        self.by_id = {str(one): place for place, one in enumerate(regions["id"])}
        by_name = regions.groupby("name").indices.items()
        self._by_image = {str(name): np.array(of) for name, of in by_name}

    def of_image(self, name: str) -> NDArray[np.int64]:
        return self._by_image.get(name, np.zeros(0, np.int64))

    def overlaps(self, box: list[float], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of a box with the boxes of regions, or with those around their anomalous pixels."""
        boxes, drawn = self.boxes[places], self._drawn[places]
        return np.maximum(_overlap(box, boxes), _overlap(box, drawn))

    def why_not(self, region: str, name: str, box: list[float] | None) -> str | None:
        """Why a label with this id, image and box is about another region; None if it is not."""
        if region not in self.by_id:
            return f"there is no region {region}"
        place = self.by_id[region]
        if name not in ("", self._names[place]):
            return f"region {region} is on another image"
        if box is not None and self.overlaps(box, np.array([place]))[0] < _SMALLEST_OVERLAP:
            return f"region {region} is at another place"
        return None


class _Assignment:
    """Labels and regions, each region with the first label that it got."""

    def __init__(self, classes: list[str]) -> None:
        self._classes = classes
        self._label_of: dict[int, int] = {}
        self._reasons: dict[int, str] = {}
        self.done: set[int] = set()

    def is_free(self, place: int) -> bool:
        return place not in self._label_of

    def assign(self, number: int, place: int) -> None:
        """Gives a region a label; another class that it has already stays."""
        earlier = self._label_of.setdefault(place, number)
        if self._classes[earlier] != self._classes[number]:
            self.reject(number, f"its region is '{self._classes[earlier]}' by another label")
        self.done.add(number)

    def reject(self, number: int, reason: str) -> None:
        self._reasons[number] = reason
        self.done.add(number)

    def result(self, rows: pd.DataFrame, regions: pd.DataFrame) -> MatchedLabels:
        places = sorted(self._label_of)
        said = rows[["class_name", "class_id"]].iloc[[self._label_of[place] for place in places]]
        found = regions[["id"]].iloc[places].reset_index(drop=True)
        labels = pd.concat([found, said.astype(str).reset_index(drop=True)], axis=1)
        lost = sorted(self._reasons)
        unmatched = rows.loc[lost, list(ROW_COLUMNS)].reset_index(drop=True)
        return MatchedLabels(labels, unmatched.assign(reason=[self._reasons[n] for n in lost]))


def _assign_best(assigned: _Assignment, pairs: list[tuple[float, int, int]]) -> None:
    """Gives each label the region that it overlaps most and that no better label has."""
    pairs = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))
    for _, number, place in pairs:
        if number not in assigned.done and assigned.is_free(place):
            assigned.assign(number, place)
    for _, number, place in pairs:
        if number not in assigned.done:
            assigned.assign(number, place)


def _assign_by_middle(assigned: _Assignment, rows: pd.DataFrame, places: _Places) -> None:
    for place, (name, left, top, right, bottom) in zip(
        rows.index, rows[["name", *_SIDES]].to_numpy(), strict=True
    ):
        number = int(place)
        if number in assigned.done:
            continue
        x, y = (left + right) / 2, (top + bottom) / 2
        here = places.of_image(name)
        edges = places.boxes[here].T
        inside = here[(edges[0] <= x) & (x <= edges[2]) & (edges[1] <= y) & (y <= edges[3])]
        if len(inside) == 1:
            assigned.assign(number, int(inside[0]))
        else:
            several = f"its middle lies in the boxes of {len(inside)} regions"
            assigned.reject(number, several if len(inside) else "no region is there")


def _assign_whole(assigned: _Assignment, names: "pd.Series[str]", places: _Places) -> None:
    for number, name in zip(names.index.tolist(), names, strict=True):
        free = [place for place in places.of_image(name).tolist() if assigned.is_free(place)]
        for place in free:
            assigned.assign(number, place)
        if not free:
            assigned.reject(number, "all regions of the image have another label")


def _overlap(box: list[float], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box with each of (n, 4) boxes, (n,)."""
    one = np.array(box, np.float64)
    sides = np.minimum(one[2:], boxes[:, 2:]) - np.maximum(one[:2], boxes[:, :2])
    both = np.clip(sides, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = (one[2:] - one[:2]).prod() + areas - both
    return np.asarray(both / np.maximum(union, np.finfo(np.float64).tiny))

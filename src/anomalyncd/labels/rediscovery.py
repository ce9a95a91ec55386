"""How a label book takes in a discovery: ids for its classes, old labels for the same places."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from anomalyncd.labels.log import (
    LabelLog,
    Place,
    RegionRow,
    add_action,
    add_regions,
    read_actions,
    read_regions,
    set_classes,
)
from anomalyncd.labels.state import NORMAL, LabelState, free_name, replay

LEAST_OVERLAP = 0.5
"""Intersection over union above which a region of a new discovery is an old one."""


@dataclass(frozen=True, eq=False)
class Discovered:
    """The regions and classes of a discovery."""

    places: list[Place]
    """Where each region is."""
    classes: list[int]
    """Index of the class of each region."""
    class_names: list[str]
    """The normal class first."""


def meet_run(log: LabelLog, author: str, discovery: Discovered) -> NDArray[np.int64]:
    """Gives ids to the regions and classes of a discovery that have none yet.

    The classes of the first discovery get the ids 0, 1, ... A class of a later one keeps the id of
    the class with which it shares most regions, and gets a new id where there is none. What was
    said of a region in any earlier discovery holds for the region at the same place, and what was
    said last holds of several such regions. A discovery that only has regions more than the one
    before, as after growing, adds no row to the log.

    Args:
        log: The log, which may be empty.
        author: Who acts.
        discovery: Its regions and classes.

    Returns:
        Id of each region, (R,).
    """
    with log.read() as connection:
        before, actions = read_regions(connection), read_actions(connection)
    ids = {row[1:6]: row[0] for row in before}
    if ids.keys() >= set(discovery.places) and _is_known(replay(actions), before, discovery):
        return np.array([ids[place] for place in discovery.places], np.int64)
    with log.write() as connection:
        before = read_regions(connection)
        state = replay(read_actions(connection))
        ids = {row[1:6]: row[0] for row in before}
        if not ids.keys() >= set(discovery.places):
            add_regions(connection, discovery.places)
            ids = {row[1:6]: row[0] for row in read_regions(connection)}
        action = _action(state, before, discovery, ids)
        if action is not None:
            add_action(connection, author, "discovered", action)
            state = replay(read_actions(connection))
        stored = {row[1:6]: row[6] for row in before}
        given = [state.discovered[index] for index in discovery.classes]
        changed = [
            (class_id, place)
            for class_id, place in zip(given, discovery.places, strict=True)
            if stored.get(place, -1) != class_id
        ]
        set_classes(connection, changed)
    return np.array([ids[place] for place in discovery.places], np.int64)


def _action(
    state: LabelState,
    before: Sequence[RegionRow],
    discovery: Discovered,
    ids: dict[Place, int],
) -> dict[str, Any] | None:
    """Arguments of the action `discovered`; None where nothing is new but further regions."""
    names = discovery.class_names
    regions = sorted({ids[place] for place in discovery.places})
    if not state.classes:
        first = [{"id": index, "name": name} for index, name in enumerate(names)]
        return {"make": first, "classes": list(range(len(names))), "regions": regions}
    if _is_known(state, before, discovery):
        return None
    pairs = _same_regions(before, discovery.places)
    votes = np.zeros((len(names), max(state.classes) + 1))
    for row, old in _last_said(state, pairs).items():
        votes[discovery.classes[row], _class_of(state, old)] += 1
    classes = _matched(votes)
    made: list[dict[str, Any]] = []
    taken = [one.name for one in state.in_use]
    for index, class_id in enumerate(classes):
        if class_id < 0:
            classes[index] = state.next_id + len(made)
            made.append({"id": classes[index], "name": free_name(classes[index], taken)})
            taken.append(made[-1]["name"])
    moved = [(old[0], ids[discovery.places[row]]) for row, old in pairs]
    same = [pair for pair in moved if pair[0] != pair[1]]
    return {"make": made, "classes": classes, "regions": regions, "same_regions": same}


def _is_known(state: LabelState, before: Sequence[RegionRow], discovery: Discovered) -> bool:
    """Whether a discovery is the last one, but for regions of images that were added since."""
    by_place = dict(zip(discovery.places, discovery.classes, strict=True))
    known = [row for row in before if row[1:6] in by_place]
    new = by_place.keys() - {row[1:6] for row in known}
    return (
        len(discovery.class_names) == len(state.discovered)
        and _has_regions_of_last(state, before, known)
        and {place[0] for place in new}.isdisjoint(row[1] for row in before)
        and all(state.discovered[by_place[row[1:6]]] == row[6] for row in known)
    )


def _has_regions_of_last(
    state: LabelState, before: Sequence[RegionRow], known: Sequence[RegionRow]
) -> bool:
    """Whether the known regions of a discovery are those of the last one, and of other images."""
    if state.discovered_regions is None:
        return bool(known)
    last, ids = set(state.discovered_regions), {row[0] for row in known}
    images = {row[1] for row in before if row[0] in last}
    return last <= ids and images.isdisjoint(row[1] for row in known if row[0] not in last)


def _class_of(state: LabelState, region: RegionRow) -> int:
    """The class that a region was in: what a person said, or what its discovery said."""
    of_region = state.regions.get(region[0], (0, None))
    of_image = state.images.get(region[1], (0, None))
    _, said = max(of_region, of_image, key=lambda one: one[0])
    return state.resolve(region[6] if said is None else said)


def _matched(votes: NDArray[np.float64]) -> list[int]:
    """Class id of each new class, or -1; the normal class stays the normal one."""
    classes = [-1] * len(votes)
    classes[NORMAL] = NORMAL
    pairs = zip(*linear_sum_assignment(votes[1:, 1:], maximize=True), strict=True)
    for new, old in pairs:
        if votes[new + 1, old + 1] > 0:
            classes[new + 1] = int(old) + 1
    return classes


def _same_regions(
    before: Sequence[RegionRow], places: Sequence[Place]
) -> list[tuple[int, RegionRow]]:
    """Pairs of the row of a region and an earlier region at the same place, the closest first.

    An earlier region belongs to the region that it overlaps most, so that neighbours keep apart. A
    region to which none belongs shares one that is not in the discovery any more.
    """
    old_of, new_of = defaultdict(list), defaultdict(list)
    for old in before:
        old_of[old[1]].append(old)
    for row, place in enumerate(places):
        new_of[place[0]].append(row)
    here, found = set(places), []
    for image in new_of.keys() & old_of.keys():
        rows, candidates = new_of[image], old_of[image]
        boxes = np.array([old[2:6] for old in candidates])
        overlaps = np.array([overlap(np.array(places[row][1:]), boxes) for row in rows])
        pairs = [(int(new), old) for old, new in enumerate(overlaps.argmax(0))]
        alone = set(range(len(rows))) - {
            new for new, old in pairs if overlaps[new, old] >= LEAST_OVERLAP
        }
        gone = np.array([old[1:6] not in here for old in candidates])
        pairs += [
            (new, int((overlaps[new] * gone).argmax())) for new in sorted(alone) if gone.any()
        ]
        found += [(overlaps[new, old], rows[new], candidates[old]) for new, old in pairs]
    close = [one for one in found if one[0] >= LEAST_OVERLAP]
    ordered = sorted(close, key=lambda one: (-one[0], one[1], one[2][0]))
    return [(row, old) for _, row, old in ordered]


def _last_said(state: LabelState, pairs: Sequence[tuple[int, RegionRow]]) -> dict[int, RegionRow]:
    """For each row the earlier region of which something was said last, else the closest one."""
    chosen: dict[int, RegionRow] = {}
    for row, old in pairs:
        when, _ = state.regions.get(old[0], (0, None))
        if row not in chosen or when > state.regions.get(chosen[row][0], (0, None))[0]:
            chosen[row] = old
    return chosen


def overlap(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box, (4,), with others, (B, 4): left, top, right, bottom."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.maximum(high - low, 0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    union = (box[2:] - box[:2]).prod() + areas - shared
    ratio: NDArray[np.float64] = shared / np.maximum(union, 1e-12)
    return ratio

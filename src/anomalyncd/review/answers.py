"""What the server answers about classes, regions and images, as plain values for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.labels.checks import require_class
from anomalyncd.labels.history import concerns, lines, sentence
from anomalyncd.labels.state import LabelClass
from anomalyncd.report.contents import title
from anomalyncd.review.session import ReviewSession
from anomalyncd.review.snapshot import Snapshot

Json = dict[str, Any]
MOST_ITEMS = 2000
"""A page of a list has at most as many items."""


def state_answer(session: ReviewSession) -> Json:
    """Everything that a page shows beside its lists: all classes, and what can be undone."""
    snapshot = session.now()
    state, change = snapshot.state, session.change
    return {
        "version": snapshot.version,
        "title": title(session.run),
        "run": str(session.run.folder),
        "n_images": len(snapshot.arrays.names),
        "n_regions": len(snapshot.arrays.ids),
        "classes": [_class(snapshot, one) for one in state.in_use],
        "undoable": sentence(state.undoable, state) if state.undoable else None,
        "redoable": sentence(state.redoable, state) if state.redoable else None,
        "refitting": snapshot.refitting,
        "change": None if change is None else vars(change),
        "n_to_ask": len(snapshot.to_ask),
        "n_new": len(snapshot.new),
    }


def regions_answer(snapshot: Snapshot, rows: NDArray[np.int64], offset: int, limit: int) -> Json:
    """One page of a list of regions."""
    shown = rows[max(offset, 0) :][: min(max(limit, 0), MOST_ITEMS)]
    return {
        "version": snapshot.version,
        "total": len(rows),
        "items": region_items(snapshot, shown),
    }


def region_items(snapshot: Snapshot, rows: NDArray[np.int64]) -> list[Json]:
    """Describes regions, one dictionary each."""
    arrays = snapshot.arrays
    second, chance = _second(snapshot, rows)
    said = [None if one < 0 else one for one in snapshot.said[rows].tolist()]
    others = [
        {"class": class_id, "probability": probability}
        for class_id, probability in zip(second.tolist(), _rounded(chance), strict=True)
    ]
    columns = {
        "id": arrays.ids[rows].tolist(),
        "image": [arrays.names[image] for image in arrays.image[rows].tolist()],
        "box": arrays.box[rows].round(1).tolist(),
        "class": snapshot.classes[rows].tolist(),
        "said": said,
        "confidence": _rounded(snapshot.confidence[rows]),
        "second": others,
        "score": _rounded(arrays.score[rows]),
        "area": arrays.area[rows].tolist(),
        "unseen": (arrays.unseen[rows] & (snapshot.said[rows] < 0)).tolist(),
        "found": arrays.found[rows].tolist(),
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def region_answer(session: ReviewSession, row: int) -> Json:
    """All that is known about one region."""
    snapshot = session.now()
    item = region_items(snapshot, np.array([row]))[0]
    history = [
        f"{line.text} ({line.action.author})" if line.action.author else line.text
        for line in lines(session.labels.history, snapshot.state)
        if concerns(line.action, item["id"], item["image"])
    ]
    return {
        "version": snapshot.version,
        **item,
        "probabilities": _probabilities(snapshot, snapshot.probabilities[row]),
        "history": history,
        "attention": session.run.attention is not None,
    }


def images_answer(snapshot: Snapshot, class_id: int | None, offset: int, limit: int) -> Json:
    """One page of the list of images, of one class or of all."""
    classes = snapshot.image_classes
    chosen = np.arange(len(classes)) if class_id is None else np.flatnonzero(classes == class_id)
    shown = chosen[max(offset, 0) :][: min(max(limit, 0), MOST_ITEMS)]
    counts = _counts(snapshot)
    arrays, chances = snapshot.arrays, snapshot.image_probabilities
    items = [
        {
            "name": arrays.names[image],
            "class": int(classes[image]),
            "confidence": round(float(chances[image, classes[image]]), 4),
            "n_regions": int(counts[image]),
            "unseen": bool(arrays.image_unseen[image]),
            "unsure": bool(arrays.image_unsure[image]),
        }
        for image in shown.tolist()
    ]
    return {"version": snapshot.version, "total": len(chosen), "items": items}


def image_answer(session: ReviewSession, image: int, has_map: bool) -> Json:
    """All that is known about one image."""
    snapshot = session.now()
    arrays = snapshot.arrays
    name, names = arrays.names[image], arrays.names
    rows = np.flatnonzero(arrays.image == image)
    ids = arrays.ids[rows].tolist()
    history = [
        line.text
        for line in lines(session.labels.history, snapshot.state)
        if any(concerns(line.action, region, name) for region in ids)
    ]
    height, width = arrays.size[image].tolist()
    return {
        "version": snapshot.version,
        "name": name,
        "width": width,
        "height": height,
        "class": int(snapshot.image_classes[image]),
        "probabilities": _probabilities(snapshot, snapshot.image_probabilities[image]),
        "regions": region_items(snapshot, rows),
        "map": has_map,
        "history": history,
        "previous": names[image - 1] if image else None,
        "next": names[image + 1] if image + 1 < len(names) else None,
    }


def assignment_answer(snapshot: Snapshot) -> Json:
    """The class of every region."""
    return {
        "version": snapshot.version,
        "ids": snapshot.arrays.ids.tolist(),
        "classes": snapshot.classes.tolist(),
        "said": [None if one < 0 else one for one in snapshot.said.tolist()],
    }


def history_answer(session: ReviewSession) -> Json:
    """All actions in words, the last one first."""
    snapshot = session.now()
    items = [
        {
            "number": line.action.number,
            "time": line.action.time,
            "author": line.action.author,
            "text": line.text,
        }
        for line in reversed(lines(session.labels.history, snapshot.state))
    ]
    return {"version": snapshot.version, "items": items}


def rows_of_view(
    snapshot: Snapshot, view: str, class_id: int | None, order: str
) -> NDArray[np.int64]:
    """Rows of the regions of a view, in its order.

    Args:
        snapshot: What holds now.
        view: `class`, `ask`, `new` or `all`.
        class_id: The class of the view `class`.
        order: `sure` or `unsure` first, of the view `class`.

    Raises:
        InputError: There is no such view or class.
    """
    if view == "class":
        if class_id is None:
            raise InputError("the view `class` needs a class; give its id")
        require_class(snapshot.state, class_id)
        rows = snapshot.members(class_id)
        return rows[::-1] if order == "unsure" else rows
    views = {"ask": snapshot.to_ask, "new": snapshot.new, "all": np.arange(len(snapshot.said))}
    if view not in views:
        raise InputError(f"there is no view '{view}'; use class, ask, new or all")
    return views[view]


def _class(snapshot: Snapshot, one: LabelClass) -> Json:
    ids = snapshot.arrays.ids
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "colour": one.colour,
        "kind": one.kind,
        "severity": one.severity,
        "escape_cost": one.escape_cost,
        "examples": list(one.examples),
        "counter_examples": list(one.counter_examples),
        "n_regions": int(snapshot.n_regions[one.id]),
        "n_images": int(snapshot.n_images[one.id]),
        "n_said": int(snapshot.n_said[one.id]),
        "typical": ids[snapshot.typical(one.id)].tolist(),
        "borderline": ids[snapshot.borderline(one.id)].tolist(),
        "trend": snapshot.trends[one.id].tolist(),
    }


def _second(
    snapshot: Snapshot, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Second most probable class in use of each row, and its probability."""
    in_use = np.array([one.id for one in snapshot.state.in_use])
    chances = snapshot.probabilities[np.ix_(rows, in_use)].copy()
    chances[in_use == snapshot.classes[rows][:, None]] = -1
    best = chances.argmax(1)
    return in_use[best], chances[np.arange(len(rows)), best].clip(0)


def _probabilities(snapshot: Snapshot, chances: NDArray[np.floating[Any]]) -> list[Json]:
    """The classes in use and their probabilities, the most probable first."""
    in_use = [one.id for one in snapshot.state.in_use]
    found = [{"class": one, "probability": round(float(chances[one]), 4)} for one in in_use]
    return sorted(found, key=lambda one: -one["probability"])


def _counts(snapshot: Snapshot) -> NDArray[np.int64]:
    """Number of regions of each image."""
    arrays = snapshot.arrays
    return np.bincount(arrays.image[arrays.found], minlength=len(arrays.names))


def _rounded(values: NDArray[np.floating[Any]]) -> Sequence[float]:
    rounded: list[float] = values.astype(np.float64).round(4).tolist()
    return rounded

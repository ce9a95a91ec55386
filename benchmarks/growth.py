"""Growth: is a kind of defect that a discovery has never seen proposed as a class?

Each kind of a finished run is held out in turn: classes are discovered without its images and
without a fifth of the other images, then all of these are added. Anomaly maps are those of the
finished run, so its images were compared with each other; everything else is made anew. A control
adds a fifth of all images and no new kind. Writes one JSON file for each run.

    python benchmarks/growth.py RUN [RUN ...] [--only scratch] [--keep FOLDER] [--out FOLDER]
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd import AnomalyNCD
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS, labels_from_table, truth_of_run
from anomalyncd.evaluation.map_evaluation import inside_boxes, relative_boxes
from anomalyncd.evaluation.metrics import match_classes
from anomalyncd.growth.proposals import Proposal, proposals
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.run_folder import Run, read_run
from anomalyncd.revision import correct_run, grow_run
from anomalyncd.workflows import discover_run

SHARE = 0.2
"""Share of the images of the other kinds that is added."""
LEAST_SHARE, LEAST_PURITY = 0.5, 0.7
"""A kind is proposed if a proposal has this share of its regions and this purity."""
SEVERAL = "combined"
"""Label of images with several kinds, which is no kind itself."""
CONTROL = "no new kind"
RESULTS = Path(__file__).parent / "results" / "growth"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--only", default="", help="one kind alone")
    parser.add_argument("--keep", type=Path, help="where the runs stay")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    for folder in options.runs:
        run = read_run(folder)
        labels = np.array(labels_from_table(run.images))
        kinds = sorted(set(labels) - {SEVERAL, *NORMAL_LABELS} - {_normal(labels)})
        cells = []
        for kind in [options.only] if options.only else [CONTROL, *kinds]:
            with tempfile.TemporaryDirectory() as scratch:
                place = (options.keep or Path(scratch)) / f"{folder.name}-{kind}"
                cells.append({"kind": kind, **_cell(run, labels, kind, place)})
            print(json.dumps(cells[-1]), flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        result = {"set": folder.name, "share_added": SHARE, "cells": cells}
        path = options.out / f"{folder.name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _normal(labels: NDArray[np.str_]) -> str:
    """The label of normal images in any case of its letters."""
    return next((one for one in labels if one.casefold() in NORMAL_LABELS), "")


def _cell(run: Run, labels: NDArray[np.str_], kind: str, place: Path) -> dict[str, Any]:
    """Discovers without one kind, adds it, and measures what is proposed."""
    added = _added(labels, kind)
    if not (place / "run.json").is_file():
        n_classes = run.probabilities.shape[1] - (kind != CONTROL)
        rows = np.flatnonzero(~added)
        images, maps = _select(run, rows)
        discover_run(AnomalyNCD(n_classes), images, place, maps=maps)
    before = read_run(place)
    if "grown" not in before.record:
        images, maps = _select(run, np.flatnonzero(added))
        grow_run(place, images, maps=maps)
    grown = read_run(place)
    discovered = ~grown.images["name"].isin(set(run.images["name"][added])).to_numpy()
    label_of = dict(zip(run.images["name"], labels, strict=True))
    of_images = grown.images["name"].map(label_of).to_numpy()
    proposed = proposals(grown, grown.labels)
    kinds = _kinds_of_regions(grown, run, label_of)
    return {
        "n_discovered": int(discovered.sum()),
        "n_added": int(added.sum()),
        "n_regions": int((kinds == kind).sum()),
        "unseen": _share(grown.regions["unseen"].to_numpy(bool)[kinds == kind]),
        "proposals": [_described(one, kinds) for one in proposed],
        **_proposed(proposed, kinds, kind),
        "verdicts_stand": 1 - grown.record["grown"][0]["n_images_changed"] / discovered.sum(),
        "known_kinds_right": _right(grown, of_images, discovered, kind),
        **_accepted(grown, proposed, kinds, kind, of_images, discovered),
    }


def _added(labels: NDArray[np.str_], kind: str) -> NDArray[np.bool_]:
    """The images that the discovery does not have, (N,)."""
    rng, added = np.random.default_rng(0), labels == kind
    for other in sorted(set(labels) - {kind}):
        rows = np.flatnonzero(labels == other)
        rng.shuffle(rows)
        added[rows[: max(1, round(SHARE * len(rows)))]] = True
    return added


def _select(run: Run, rows: NDArray[np.int64]) -> tuple[ImageSet, AnomalyMaps]:
    table = run.images.iloc[rows]
    names = tuple(table["name"])
    images = ImageSet(names, tuple(Path(path) for path in table["path"]))
    return images, AnomalyMaps(names, tuple(run.folder / "maps" / f"{one}.npy" for one in names))


def _kinds_of_regions(grown: Run, run: Run, label_of: dict[str, str]) -> NDArray[np.str_]:
    """The label of the image of each region that touches a marked defect, else "", (R,)."""
    truth = truth_of_run(run)
    assert truth is not None, "regions are counted by their true masks"
    index_of = {name: index for index, name in enumerate(run.images["name"])}
    found = np.flatnonzero(grown.regions["found"])
    kinds = np.full(len(grown.regions), "", object)
    rows_of = grown.regions.iloc[found].groupby("name").indices
    for name, boxes in relative_boxes(grown).items():
        mask = truth.mask(index_of[name])
        if mask is None or not mask.any():
            continue
        marked = resize_mask(grown.mask(name), mask.shape) & mask
        for row, inside in zip(found[rows_of[name]], inside_boxes(boxes, mask.shape), strict=True):
            kinds[row] = label_of[name] if marked[inside].any() else ""
    return kinds


def _described(proposal: Proposal, kinds: NDArray[np.str_]) -> dict[str, Any]:
    return {"n_images": proposal.n_images, "kinds": Counter(kinds[proposal.rows].tolist())}


def _best(proposed: list[Proposal], kinds: NDArray[np.str_], kind: str) -> int | None:
    """The proposal that comes nearest to being the kind."""
    total = (kinds == kind).sum()
    hits = [(kinds[one.rows] == kind).sum() for one in proposed]
    if not any(hits):
        return None
    fits = [
        min(hit / total / LEAST_SHARE, hit / len(one.rows) / LEAST_PURITY)
        for hit, one in zip(hits, proposed, strict=True)
    ]
    return int(np.argmax(fits))


def _proposed(proposed: list[Proposal], kinds: NDArray[np.str_], kind: str) -> dict[str, Any]:
    best = _best(proposed, kinds, kind)
    if best is None:
        return {"proposed": False, "place": None, "share": 0.0, "purity": 0.0}
    rows = proposed[best].rows
    hits = int((kinds[rows] == kind).sum())
    share, purity = hits / int((kinds == kind).sum()), hits / len(rows)
    is_proposed = share >= LEAST_SHARE and purity >= LEAST_PURITY
    return {"proposed": is_proposed, "place": best + 1, "share": share, "purity": purity}


def _right(
    grown: Run, of_images: NDArray[np.str_], discovered: NDArray[np.bool_], kind: str
) -> dict[str, float | None]:
    """Share of the images of known kinds in the class that is matched with their kind."""
    assigned = grown.images["class"].to_numpy()
    counted = (of_images != kind) & (of_images != SEVERAL)
    old, new = discovered & counted, ~discovered & counted
    kind_of = match_classes(of_images[old], assigned[old])
    right = np.array([kind_of.get(one) for one in assigned.tolist()], object) == of_images
    return {"discovered": _share(right[old]), "added": _share(right[new])}


def _accepted(
    grown: Run,
    proposed: list[Proposal],
    kinds: NDArray[np.str_],
    kind: str,
    of_images: NDArray[np.str_],
    discovered: NDArray[np.bool_],
) -> dict[str, Any]:
    """What follows from accepting the proposal that comes nearest to the kind."""
    best = _best(proposed, kinds, kind)
    if best is None:
        return {"accepted": None}
    labels = grown.labels
    class_id = labels.new_class(kind, labels.ids[proposed[best].rows].tolist())
    correct_run(grown.folder)
    corrected = read_run(grown.folder)
    labels.undo()
    correct_run(grown.folder)
    assigned = corrected.images["class"].to_numpy()
    same = assigned == grown.images["class"].to_numpy()
    return {
        "accepted": {
            "images_of_kind": _share(assigned[of_images == kind] == class_id),
            "verdicts_stand": _share(same[discovered]),
        }
    }


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


if __name__ == "__main__":
    main()

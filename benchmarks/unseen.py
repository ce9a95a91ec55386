"""Leave one kind of defect out: how well each outlier score tells its parts from known ones.

Classes are found among the images of all other kinds but one fold of them; that fold and the images
left out are then scored. Maps, masks and tokens are made once, with all images, so what is left out
is left out of the classes, not of the maps. Results are written as JSON, one file a set, and
printed.

    ANOMALYNCD_DATA=... python benchmarks/unseen.py [--sets pill] [--kinds masks] [--maps FOLDER]
"""

import argparse
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anomalyncd.config import PRESETS
from anomalyncd.discovery.cross_fit import (
    fit_temperature,
    held_out_probabilities,
    tempered,
)
from anomalyncd.discovery.novelty import fit_novelty_detector
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS
from anomalyncd.evaluation.metrics import match_classes
from anomalyncd.io.json_files import write_json
from common import FOLDERS, RESULTS, keep_no_tokens, machine
from outlier_scores import find_classes, outlier_scores
from reading import KINDS, LEFT_OUT, Read, read_set

SHARE = PRESETS["default"].reliability_model.share


def leave_one_out(read: Read, n_folds: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """AUROC, AUPR and FPR at 95 % recall of each score, for each kind left out, and the mean."""
    kinds = sorted({one for one in read.labels if one.lower() not in NORMAL_LABELS} - {LEFT_OUT})
    results: dict[str, dict[str, dict[str, float]]] = {}
    for kind in kinds:
        measured: dict[str, list[tuple[float, ...]]] = {}
        unseen = np.flatnonzero(read.labels == kind)
        known = np.flatnonzero((read.labels != kind) & (read.labels != LEFT_OUT))
        fold = np.random.default_rng(seed).permutation(len(known)) % n_folds
        for index in range(n_folds):
            tested = np.concatenate([known[fold == index], unseen])
            rows = np.flatnonzero(np.isin(read.regions.image, known[fold != index]))
            new = np.flatnonzero(np.isin(read.regions.image, tested))
            n_classes = len(set(read.labels[known]))
            classes, _ = find_classes(read, rows, n_classes, seed)
            truth = read.labels[np.sort(tested)] == kind
            for name, values in outlier_scores(read, classes, rows, new).items():
                merged = read.merged(values[:, None], new)[:, 0]
                measured.setdefault(name, []).append(_measures(truth, merged))
        for name, values in measured.items():
            means = np.mean(values, 0).round(3).tolist()
            measures = dict(zip(("auroc", "aupr", "fpr95"), means, strict=True))
            results.setdefault(name, {})[kind] = measures
    for of_kinds in results.values():
        of_kinds["mean"] = {
            measure: round(float(np.mean([of_kinds[kind][measure] for kind in kinds])), 3)
            for measure in ("auroc", "aupr", "fpr95")
        }
    return results


def _measures(truth: NDArray[np.bool_], scores: NDArray) -> tuple[float, float, float]:
    wrong, right, _ = roc_curve(truth, scores)
    return (
        float(roc_auc_score(truth, scores)),
        float(average_precision_score(truth, scores)),
        float(wrong[right >= 0.95].min()),
    )


def rejected_when_known(read: Read, n_folds: int, seed: int) -> float:
    """Share of anomalous regions of images held out, of kinds that are known, called unseen."""
    images = np.arange(len(read.labels))
    fold = np.random.default_rng(seed).permutation(len(images)) % n_folds
    rejected = []
    for index in range(n_folds):
        held_out = np.isin(read.regions.image, images[fold == index])
        rows, new = (np.flatnonzero(one & read.regions.found) for one in (~held_out, held_out))
        classes, _ = find_classes(read, np.flatnonzero(~held_out), len(set(read.labels)), seed)
        old, regions = read.regions.select(rows), read.regions.select(new)
        known, _ = fit_novelty_detector(
            classes.describe(read.vectors[rows]), old.area, old.image, seed
        )
        scores = known.scores(classes.describe(read.vectors[new]), regions.area)
        rejected.append(known.novelty(scores) > 1 - SHARE)
    return round(float(np.concatenate(rejected).mean()), 3)


def confidence(read: Read, seed: int) -> dict[str, float]:
    """How well the calibrated confidence meets agreement between refits, and the truth."""
    counted = read.labels != LEFT_OUT
    rows = np.flatnonzero(counted[read.regions.image])
    regions, labels = read.regions.select(rows), read.labels[counted]
    n_classes = len(set(labels))
    classes, normal = find_classes(read, rows, n_classes, seed)
    features = classes.describe(read.vectors[rows])
    full = classes.posterior(features, normal)
    assigned = full.argmax(1)
    held_out = held_out_probabilities(
        features,
        regions.score,
        regions.image,
        assigned,
        n_classes,
        True,
        seed,
        read.max_normal_score,
        regions.found,
    )
    temperature = fit_temperature(held_out, assigned)
    calibrated = tempered(held_out, temperature)
    of_parts = read.merged(tempered(full, temperature), rows)
    decided = read.merged(full, rows).argmax(1)
    sure = of_parts[np.arange(len(of_parts)), decided]
    matched = match_classes(labels, decided)
    right = np.array([matched.get(one) for one in decided]) == labels
    agrees = held_out.argmax(1) == assigned
    return {
        "temperature": round(temperature, 3),
        "agreement": round(float(agrees.mean()), 3),
        "error_before": calibration_error(held_out.max(1), agrees),
        "error_after": calibration_error(calibrated.max(1), agrees),
        "right": round(float(right.mean()), 3),
        "mean_confidence": round(float(sure.mean()), 3),
        "error_against_truth": calibration_error(sure, right),
        "unsure": round(
            float((sure < PRESETS["default"].reliability_model.least_confidence).mean()), 3
        ),
    }


def calibration_error(confidence: NDArray, right: NDArray[np.bool_], n_bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal bins."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs((confidence - right)[bins == one].sum()) for one in range(n_bins)]
    return round(float(np.sum(gaps) / len(right)), 3)


def report(read: Read, n_folds: int, seed: int) -> dict[str, Any]:
    return {
        "n_regions": len(read.regions),
        "n_folds": n_folds,
        "scores": leave_one_out(read, n_folds, seed),
        "rejected_when_known": rejected_when_known(read, n_folds, seed),
        "confidence": confidence(read, seed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--kinds", nargs="+", default=["zero_shot"], choices=list(KINDS))
    parser.add_argument("--maps", type=Path, help="keep maps and what was read here")
    parser.add_argument("--folds", type=int, default=5, help="of the images of known kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_no_tokens()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for name, kind in product(options.sets, options.kinds):
            read = read_set(name, kind, options.maps or Path(work))
            measured = {"set": name, "maps": kind, **machine()}
            measured |= report(read, options.folds, options.seed)
            write_json(options.out / f"{name}_{kind}_unseen.json", measured)
            means = {score: of["mean"]["auroc"] for score, of in measured["scores"].items()}
            print(f"{name}, {kind}: {means}", flush=True)


if __name__ == "__main__":
    main()

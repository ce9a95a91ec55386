"""Leave one kind of defect out: how well each outlier score tells its parts from known ones.

Classes are found among the parts of all other kinds but one fold of them; that fold and the parts
left out are then scored. Maps, masks and tokens are made once, with all parts, so what is left out is
left out of the classes, not of the maps. Results are written as JSON, one file a set, and printed.

    ANOMALYNCD_DATA=... python benchmarks/unseen.py [--sets pill] [--masks] [--maps FOLDER]
"""

import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anomalyncd.data.inputs import check_inputs
from anomalyncd.data.masks import Masks
from anomalyncd.evaluation.labels import NORMAL_LABELS, labels_from_names
from anomalyncd.evaluation.scores import match_classes
from anomalyncd.merging import merge_regions, merging_temperature
from anomalyncd.regions.table import Regions
from anomalyncd.runtime import Stages
from anomalyncd.settings import PRESETS
from anomalyncd.steps import Workplace, find_and_read, score_parts
from anomalyncd.training.classifier import Descriptor
from anomalyncd.training.cross_fit import fit_temperature, held_out_probabilities, tempered
from anomalyncd.training.losses import STUDENT_TEMPERATURE
from anomalyncd.training.normality import Normality, fit_normality
from anomalyncd.training.outliers import fit_known_regions
from anomalyncd.training.start import spherical_kmeans
from common import FOLDERS, RESULTS, keep_no_tokens, machine, new_encoder, real_data

LEFT_OUT = "combined"
SHARE = PRESETS["default"].rejection.share


@dataclass(frozen=True, eq=False)
class Read:
    """The regions of a set, read once."""

    regions: Regions
    vectors: NDArray[np.float32]
    """(R, sum of widths): joined parts of the descriptors, before they are centred."""
    widths: tuple[int, ...]
    labels: NDArray[np.str_]
    """(N,): true kind of each part."""
    temperatures: NDArray[np.float64]
    """(N,): of merging."""

    def merged(self, values: NDArray, rows: NDArray) -> NDArray[np.float64]:
        """Values of regions, (B, K), brought to their parts, in ascending order of these."""
        parts, index = np.unique(self.regions.image[rows], return_inverse=True)
        areas = self.regions.area[rows]
        return merge_regions(values, areas, index, len(parts), self.temperatures[parts])


@dataclass(frozen=True, eq=False)
class Classes:
    """What the default preset finds without training."""

    descriptor: Descriptor
    normality: Normality
    centres: NDArray[np.float32]

    def describe(self, vectors: NDArray) -> NDArray[np.float32]:
        return self.descriptor(torch.from_numpy(vectors)).numpy()

    def cosines(self, features: NDArray) -> NDArray[np.float32]:
        cosines = features @ self.centres.T
        if len(self.normality.centres):
            cosines[:, 0] = (features @ self.normality.centres.T).max(1)
        return cosines

    def posterior(self, features: NDArray, normal: NDArray) -> NDArray[np.float32]:
        cosines = features @ self.centres.T
        return self.normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)


def find_classes(read: Read, rows: NDArray, n_classes: int, seed: int) -> tuple[Classes, NDArray]:
    """Classes of some regions, and how surely each of these is normal."""
    descriptor = Descriptor(read.widths, centred=True)
    descriptor.fit(torch.from_numpy(read.vectors[rows]))
    features = descriptor(torch.from_numpy(read.vectors[rows])).numpy()
    normality, normal = fit_normality(features, read.regions.score[rows], seed)
    centres = spherical_kmeans(features, normal, n_classes, seed * 1000).numpy()
    return Classes(descriptor, normality, centres), normal


def outlier_scores(read: Read, classes: Classes, rows: NDArray, new: NDArray) -> dict[str, NDArray]:
    """Every candidate, (B,) each, for regions `new`, where regions `rows` are known."""
    known_features, features = (classes.describe(read.vectors[one]) for one in (rows, new))
    regions, old = read.regions.select(new), read.regions.select(rows)
    normal = classes.normality.weights(features, regions.score)
    probabilities = np.sort(classes.posterior(features, normal), axis=1)[:, ::-1]
    cosines = classes.cosines(features)
    found = old.found
    known, _ = fit_known_regions(known_features[found], old.area[found], old.image[found], 0)
    nearest = 1 - (features @ known_features.T).max(1)
    scores = {
        "max p": -probabilities[:, 0],
        "max cosine": -cosines.max(1),
        "logsumexp": -scipy.special.logsumexp(cosines / STUDENT_TEMPERATURE, axis=1),
        "p1 / p2": -np.log(probabilities[:, 0] / np.maximum(probabilities[:, 1], 1e-30)),
        "p1 - p2": probabilities[:, 1] - probabilities[:, 0],
        "nearest region": nearest,
        "nearest, relative to its class": nearest / _spread(classes, known_features, features),
        "Mahalanobis": _mahalanobis(classes, known_features, features),
    }
    scores["default"] = known.scores(features, regions.area)
    # What has no anomalous region is no kind of defect, seen or unseen.
    scores["default"][~regions.found] = 0
    return scores


def _spread(classes: Classes, known: NDArray, features: NDArray) -> NDArray:
    """Median distance within the class that each region is most like."""
    own, assigned = classes.cosines(known).argmax(1), classes.cosines(features).argmax(1)
    cosines = known @ known.T
    np.fill_diagonal(cosines, -1)
    cosines[own[:, None] != own] = -1
    distance = 1 - cosines.max(1)
    overall = np.median(distance)
    medians = [
        np.median(distance[own == k]) if (own == k).sum() > 1 else overall
        for k in range(len(classes.centres))
    ]
    return np.array(medians)[assigned]


def _mahalanobis(classes: Classes, known: NDArray, features: NDArray) -> NDArray:
    """To the nearest class, shared covariance shrunk towards a multiple of the identity."""
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA

    reduced = PCA(min(30, len(known) // 2), random_state=0).fit(known)
    known, features = reduced.transform(known), reduced.transform(features)
    own = classes.cosines(reduced.inverse_transform(known)).argmax(1)
    means = np.stack([known[own == k].mean(0) for k in np.unique(own)])
    within = known - means[np.searchsorted(np.unique(own), own)]
    precision = LedoitWolf(assume_centered=True).fit(within).precision_
    away = features[:, None] - means
    return np.einsum("bki,ij,bkj->bk", away, precision, away).min(1)


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
    """Share of anomalous regions of parts held out, of kinds that are known, called unseen."""
    parts = np.arange(len(read.labels))
    fold = np.random.default_rng(seed).permutation(len(parts)) % n_folds
    rejected = []
    for index in range(n_folds):
        held_out = np.isin(read.regions.image, parts[fold == index])
        rows, new = (np.flatnonzero(one & read.regions.found) for one in (~held_out, held_out))
        classes, _ = find_classes(read, np.flatnonzero(~held_out), len(set(read.labels)), seed)
        old, regions = read.regions.select(rows), read.regions.select(new)
        known, _ = fit_known_regions(
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
        features, regions.score, regions.image, assigned, n_classes, True, seed
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
        "unsure": round(float((sure < PRESETS["default"].rejection.least_confidence).mean()), 3),
    }


def calibration_error(confidence: NDArray, right: NDArray[np.bool_], n_bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal bins."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs((confidence - right)[bins == one].sum()) for one in range(n_bins)]
    return round(float(np.sum(gaps) / len(right)), 3)


def read_set(name: str, masks: bool, maps: Path | None, work: Path) -> Read:
    """Regions of a set, from true masks, given maps, or maps made here."""
    settings = PRESETS["default"].resolved(with_base=False)
    source = real_data() / FOLDERS[name]
    inputs = check_inputs(source, maps=maps)
    if masks:
        marked = Masks.from_folder(source / "ground_truth", inputs.parts)
        inputs = replace(inputs, masks=marked)
    place = Workplace(new_encoder(settings), settings, 0, work, Stages())
    found, cache = find_and_read(place, inputs, score_parts(place, inputs))
    with torch.inference_mode():
        trunks = cache.central(torch.device("cpu"))
        vectors = torch.cat([place.encoder.read(trunk) for trunk in trunks]).numpy()
    return Read(
        found.regions,
        vectors,
        place.encoder.widths,
        np.array(labels_from_names(inputs.parts.names)),
        merging_temperature(inputs.sizes[:, 0], inputs.sizes[:, 1]),
    )


def report(read: Read, n_folds: int, seed: int) -> dict[str, object]:
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
    parser.add_argument("--masks", action="store_true", help="ground-truth masks in place of maps")
    parser.add_argument("--maps", type=Path, help="maps that are there, a folder a set")
    parser.add_argument("--folds", type=int, default=5, help="of the parts of known kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_no_tokens()
    options.out.mkdir(parents=True, exist_ok=True)
    kind = "masks" if options.masks else "zero_shot"
    for name in options.sets:
        maps = options.maps / f"{name}_{kind}" if options.maps else None
        with tempfile.TemporaryDirectory() as work:
            read = read_set(name, options.masks, maps, Path(work))
        measured = {"set": name, "maps": kind, **machine()}
        measured |= report(read, options.folds, options.seed)
        text = json.dumps(measured, indent=2)
        (options.out / f"{name}_{kind}_unseen.json").write_text(text + "\n")
        print(text, flush=True)


if __name__ == "__main__":
    main()

"""What a person's corrections gain: scores after 0, 10, 30 and 100 of them, simulated from labels.

For each finished run, the person first names each class after the majority true kind of its most
probable regions; classes of one name are merged. Then they are asked about one region at a time and
say its true kind: normal if it does not touch the true mask, else the kind of its image. Scored are
the images none of whose regions was corrected, after each number of corrections, for the proposed
order and for a random one. Writes one JSON file for each run below `benchmarks/results/clicks/`.

    python benchmarks/clicks.py RUN [RUN ...] [--seeds 3] [--out FOLDER]
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.correction.asking import order_to_ask
from anomalyncd.correction.correction import fit_correction
from anomalyncd.evaluation.evaluate import LEFT_OUT
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS, labels_from_table, truth_of_run
from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd.regions.table import Regions, resize_mask
from anomalyncd.results.aggregation import merge_regions, merging_temperature
from anomalyncd.results.run_folder import Run, read_run

COUNTS = (0, 10, 30, 100)
"""After how many corrections the images are scored."""
BATCH = 10
"""Corrections that are made before the order is determined anew."""
N_SHOWN = 12
"""Regions of a class that the person looks at to name it."""
NORMAL = "normal"
RESULTS = Path(__file__).parent / "results" / "clicks"


@dataclass(frozen=True, eq=False)
class Sample:
    """A run with the truth of its regions and images."""

    run: Run
    regions: Regions
    probabilities: NDArray[np.float32]
    """(R, K): those of the discovery."""
    kinds: NDArray[np.str_]
    """(R,): what a person would call each region."""
    labels: NDArray[np.str_]
    """(N,): the true kind of each image."""
    temperature: NDArray[np.float64]
    """(N,): see `merging_temperature`."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(N,): images whose kind is known and not a combination of several."""
        return ~np.isin(self.labels, LEFT_OUT)


@dataclass(frozen=True, eq=False)
class Names:
    """What the person calls the classes, and to which of these names each found class belongs."""

    names: tuple[str, ...]
    """(C,): normal first."""
    classes_of: NDArray[np.int64]
    """(K,)"""


def measure_each_run(
    measure: Callable[[Sample, int], dict[str, Any]],
    description: str | None,
    results: Path,
    n_seeds: int = 3,
) -> None:
    """Measures each run that the command line names, and writes one JSON file for each.

    Args:
        measure: Takes the regions of a run and the number of seeds.
        description: What the help says.
        results: Where the files are written, if the command line does not say.
        n_seeds: Number of seeds, if the command line does not say.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--seeds", type=int, default=n_seeds)
    parser.add_argument("--out", type=Path, default=results)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for folder in options.runs:
        start = time.perf_counter()
        measured = measure(read_sample(folder), options.seeds)
        measured["seconds"] = round(time.perf_counter() - start)
        path = options.out / f"{folder.resolve().name}.json"
        path.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        print(json.dumps({"run": path.stem, **measured}), flush=True)


def read_sample(folder: Path) -> Sample:
    """Reads a run and the truth of its images and regions.

    Raises:
        InputError: No finished run, or one whose images have no labels.
    """
    run = read_run(folder)
    table = run.regions
    index = {name: row for row, name in enumerate(run.images["name"])}
    image = table["name"].map(index).to_numpy(np.int64)
    regions = Regions(
        image,
        table[["left", "top", "right", "bottom"]].to_numpy(np.float64),
        table["area"].to_numpy(np.int64),
        table["score"].to_numpy(np.float32),
        table["found"].to_numpy(bool),
    )
    labels = np.array(
        [NORMAL if one.lower() in NORMAL_LABELS else one for one in labels_from_table(run.images)]
    )
    columns = [f"p_{index}" for index in range(len(run.classes))]
    kinds = np.where(_touching(run, regions), labels[image], NORMAL)
    sizes = run.images[["height", "width"]].to_numpy(np.float64)
    temperature = merging_temperature(sizes[:, 0], sizes[:, 1])
    return Sample(run, regions, table[columns].to_numpy(np.float32), kinds, labels, temperature)


def _touching(run: Run, regions: Regions) -> NDArray[np.bool_]:
    """Whether each region has a pixel of a true mask, (R,); all do where the mask is not known."""
    truth, touching = truth_of_run(run), np.ones(len(regions), bool)
    sizes = run.images[["height", "width"]].to_numpy(int)
    for index, name in enumerate(run.images["name"]):
        mask = None if truth is None else truth.mask(index)
        if mask is None:
            continue
        found, mask = (resize_mask(one, tuple(sizes[index])) for one in (run.mask(name), mask))
        for row in np.flatnonzero(regions.image == index):
            left, top, right, bottom = np.maximum(np.rint(regions.box[row]), 0).astype(int)
            window = np.s_[top:bottom, left:right]
            where = found[window] if found[window].any() else np.ones_like(found[window])
            touching[row] = bool((mask[window] & where).any())
    return touching


def measure(sample: Sample, n_seeds: int) -> dict[str, Any]:
    """Scores of the proposed order and of random ones, mean and spread over the seeds."""
    names = named(sample)
    everything = np.zeros(0, np.int64)
    n_found = sample.probabilities.shape[1]
    unnamed = Names(tuple(map(str, range(n_found))), np.arange(n_found))
    merged = corrected(sample, names, np.full(len(sample.kinds), -1), 0)
    result: dict[str, Any] = {
        "n_images": int(sample.scored.sum()),
        "n_regions": len(sample.kinds),
        "names": [names.names[one] for one in names.classes_of],
        "before_naming": scored(sample, unnamed, sample.probabilities, everything),
        "after_naming": scored(sample, names, merged, everything),
        "true_kinds_of_all_regions": ceiling(sample),
    }
    for order in ("proposed", "random"):
        runs = [dict(simulated(sample, names, order, seed)) for seed in range(n_seeds)]
        result[order] = {
            str(count): _summary([run[count] for run in runs if count in run])
            for count in COUNTS
            if any(count in run for run in runs)
        }
    return result


def named(sample: Sample) -> Names:
    """Names each class after the majority of its most probable regions."""
    first, kinds = [], sample.kinds
    for index in range(sample.probabilities.shape[1]):
        rows = np.argsort(-sample.probabilities[:, index], kind="stable")[:N_SHOWN]
        rows = rows[sample.probabilities[rows].argmax(1) == index]
        first.append(Counter(kinds[rows].tolist()).most_common(1)[0][0] if len(rows) else NORMAL)
    names = (NORMAL, *(name for name in dict.fromkeys(first) if name != NORMAL))
    return Names(names, np.array([names.index(name) for name in first]))


def simulated(
    sample: Sample, names: Names, order: str, seed: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Scores after each of `COUNTS` corrections, until all regions are named.

    Regions of images with several kinds are passed over, since it is not known which kind it is.
    """
    said = np.full(len(sample.kinds), -1)
    askable = sample.scored[sample.regions.image]
    probabilities = corrected(sample, names, said, seed)
    answered: list[int] = []
    shuffled = np.random.default_rng(seed).permutation(len(said))
    yield 0, scored(sample, names, probabilities, np.zeros(0, np.int64))
    while len(answered) < max(COUNTS):
        rows = shuffled
        if order == "proposed":
            rows = order_to_ask(sample.run.features, sample.regions, probabilities, said, seed)
        rows = rows[askable[rows] & (said[rows] < 0)][:BATCH]
        if not len(rows):
            return
        for row in rows:
            if sample.kinds[row] not in names.names:
                names = Names((*names.names, sample.kinds[row]), names.classes_of)
            said[row] = names.names.index(sample.kinds[row])
            answered.append(int(row))
        if order == "proposed" or len(answered) in COUNTS:
            probabilities = corrected(sample, names, said, seed)
        if len(answered) in COUNTS and len(answered) < askable.sum() - BATCH:
            asked = np.array(answered)
            before = scored(
                sample, names, corrected(sample, names, np.full_like(said, -1), seed), asked
            )
            after = scored(sample, names, probabilities, asked)
            yield len(answered), after | {f"uncorrected_{key}": before[key] for key in before}


def corrected(
    sample: Sample, names: Names, said: NDArray[np.int64], seed: int
) -> NDArray[np.float32]:
    """Class probabilities of all regions, (R, C)."""
    _, probabilities = fit_correction(
        sample.run.features,
        sample.regions,
        sample.probabilities,
        said,
        len(names.names),
        names.classes_of,
        seed,
    )
    return probabilities


def scored(
    sample: Sample, names: Names, probabilities: NDArray[np.float32], asked: NDArray[np.int64]
) -> dict[str, float]:
    """NMI, ARI, F1 and accuracy by name of the images on which no region was asked about."""
    counted = sample.scored.copy()
    counted[sample.regions.image[asked]] = False
    classes = merge_regions(
        probabilities,
        sample.regions.area,
        sample.regions.image,
        len(sample.labels),
        sample.temperature,
    ).argmax(1)[counted]
    true = sample.labels[counted]
    scores = cluster_scores(true, classes)
    accuracy = float((np.array(names.names)[classes] == true).mean())
    result = {"nmi": scores.nmi, "ari": scores.ari, "f1": scores.f1, "accuracy": accuracy}
    return result | {"n_images": int(counted.sum())}


def ceiling(sample: Sample) -> dict[str, float]:
    """What limits the scores: images without a region on their defect, and all kinds known."""
    names = tuple(dict.fromkeys([NORMAL, *sample.kinds.tolist(), *sample.labels.tolist()]))
    true = np.eye(len(names), dtype=np.float32)[[names.index(kind) for kind in sample.kinds]]
    on_defect = np.zeros(len(sample.labels), bool)
    on_defect[sample.regions.image[sample.kinds != NORMAL]] = True
    missed = sample.scored & (sample.labels != NORMAL) & ~on_defect
    scores = scored(sample, Names(names, np.arange(len(names))), true, np.zeros(0, np.int64))
    return scores | {"images_without_region_on_defect": int(missed.sum())}


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean over the seeds, and standard deviation of F1."""
    summary = {key: round(float(np.mean([run[key] for run in runs])), 3) for key in runs[0]}
    return summary | {"f1_deviation": round(float(np.std([run["f1"] for run in runs])), 3)}


if __name__ == "__main__":
    measure_each_run(measure, __doc__, RESULTS)

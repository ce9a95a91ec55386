"""Unseen images: does a model classify them as well as those that it was fitted on?

Half of the images of a set is drawn at random, and classes are discovered in it (default preset,
zero-shot maps, true number of classes). Then the model classifies the other half. Both halves are
scored against the labels. For F1, classes are matched with labels within the half itself (`f1`) or
within the other half (`f1_crossed`), which favours neither. Photographs of one part are drawn
together. Scores are stored after each split, and splits that are stored are not computed again.

    ANOMALYNCD_DATA=FOLDER python benchmarks/halves.py [--sets bottle pill mtd] [--splits 5]
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from anomalyncd import AnomalyNCD
from anomalyncd.evaluation.metrics import cluster_scores, match_classes
from anomalyncd.runtime.wording import counted
from anomalyncd_bench.data_sets import BenchSet, Folders, open_set
from anomalyncd_bench.entries import SetEntry, read_table_file

HERE = Path(__file__).parent
TABLES = (HERE / "tables" / "mvtec.yaml", HERE / "tables" / "mtd.yaml")
RESULTS = HERE / "results" / "halves.json"
SCORES = ("nmi", "ari", "f1", "f1_crossed")
LEVEL = 0.95

Scores = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    entries = {entry.name: entry for path in TABLES for entry in read_table_file(path).sets}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=entries, default=list(entries))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    results: dict[str, dict[str, Scores]] = {}
    if options.out.is_file():
        results = json.loads(options.out.read_text(encoding="utf-8"))
    for name in options.sets:
        missing = [n for n in range(options.splits) if str(n) not in results.get(name, {})]
        images = _opened(entries[name]) if missing else None
        for split in missing:
            assert images is not None
            cell = measured(images, split)
            results.setdefault(name, {})[str(split)] = cell
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(name, split, json.dumps(cell), flush=True)
    print(table({name: list(results[name].values()) for name in options.sets}))


def _opened(entry: SetEntry) -> BenchSet:
    data = Path(os.environ["ANOMALYNCD_DATA"])
    with tempfile.TemporaryDirectory() as scratch:
        return open_set(entry, Folders(data, Path(scratch), Path(scratch)), None, False)


def measured(images: BenchSet, split: int) -> Scores:
    """Discovers classes in one half, classifies the other, and scores both."""
    drawn = drawn_half(_parts(images), split)
    halves = [np.flatnonzero(drawn), np.flatnonzero(~drawn)]
    seen, unseen = (images.inputs.images.select(rows) for rows in halves)
    model = AnomalyNCD(images.n_classes).fit(seen)
    classes = [model.labels_, model.classify(unseen).images["class"].to_numpy()]
    counting = [images.scored[rows] for rows in halves]
    labels = [images.labels[rows][one] for rows, one in zip(halves, counting, strict=True)]
    return scored(labels, [of_half[one] for of_half, one in zip(classes, counting, strict=True)])


def scored(labels: list[NDArray[np.str_]], classes: list[NDArray[np.int64]]) -> Scores:
    """Scores of the seen and of the unseen half.

    Args:
        labels: True classes of the images of each half, (N,).
        classes: Their predicted classes, (N,).
    """
    kinds = [match_classes(*half) for half in zip(labels, classes, strict=True)]
    scores = {}
    for half, other in (("seen", 1), ("unseen", 0)):
        true, predicted = labels[1 - other], classes[1 - other]
        of_half = asdict(cluster_scores(true, predicted))
        named = np.array([kinds[other].get(one, "") for one in predicted.tolist()])
        of_half["f1_crossed"] = float((named == true).mean())
        scores[half] = {name: round(score, 4) for name, score in of_half.items()}
        scores[half]["n"] = len(true)
    return scores


def _parts(images: BenchSet) -> NDArray[np.int64]:
    """Number of the part that each image shows, (N,)."""
    parts = np.arange(len(images.labels))
    if images.parts is not None:
        parts[images.scored] = images.parts
        parts[~images.scored] += images.parts.max() + 1
    return parts


def drawn_half(parts: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Draws whole parts until they have half of the images.

    Args:
        parts: Number of the part that each image shows, (N,).
        seed: Of the draw.

    Returns:
        The images that were drawn, (N,).
    """
    order = np.random.default_rng(seed).permutation(np.unique(parts))
    sizes = np.cumsum([(parts == one).sum() for one in order])
    n_drawn = int(np.searchsorted(sizes, len(parts) / 2)) + 1
    return np.isin(parts, order[:n_drawn])


def table(cells: dict[str, list[Scores]]) -> str:
    """Mean scores of both halves, and unseen minus seen with its interval over the splits.

    Args:
        cells: What `measured` returned for each split of each set.
    """
    lines = ["| set | score | seen | unseen | difference | interval |", "|---|---|---|---|---|---|"]
    for name, splits in cells.items():
        for score in SCORES:
            seen, unseen = (
                np.array([one[half][score] for one in splits]) for half in ("seen", "unseen")
            )
            mean, low, high = interval(unseen - seen)
            ends = f"{low:+.3f} to {high:+.3f}" if len(splits) > 1 else "-"
            lines.append(
                f"| {name}, {counted(len(splits), 'split')} | {score} | {seen.mean():.3f} | "
                f"{unseen.mean():.3f} | {mean:+.3f} | {ends} |"
            )
    return "\n".join(lines)


def interval(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Mean of values, and both ends of its interval by Student's t.

    Args:
        values: (N,); of one alone, the ends are not known (NaN).
    """
    mean, n_values = float(values.mean()), len(values)
    if n_values < 2:
        return mean, float("nan"), float("nan")
    width = scipy.stats.t.ppf((1 + LEVEL) / 2, n_values - 1) * values.std(ddof=1)
    half_width = float(width / np.sqrt(n_values))
    return mean, mean - half_width, mean + half_width


if __name__ == "__main__":
    main()

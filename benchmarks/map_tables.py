"""What the runs of built-in maps say together: Markdown tables, and slopes over the size."""

from collections.abc import Collection
from typing import Any

import numpy as np

Run = dict[str, Any]
"""What `measure` returns."""
MEASURES = ("seconds", "peak_memory_mb")
COLUMNS = {
    "image AUROC": ("maps", "image_auroc"),
    "pixel AUROC": ("maps", "pixel_auroc"),
    "AUPRO": ("maps", "aupro"),
    "normal with region": ("mebin", "normal_with_region"),
    "defect without": ("mebin", "defective_without_region"),
    "pixel precision": ("mebin", "pixel_precision"),
    "pixel recall": ("mebin", "pixel_recall"),
    "balanced error": ("balanced_error", "mebin"),
    "best threshold's": ("balanced_error", "best_threshold"),
    "seconds": ("seconds", "total"),
    "peak MB": ("peak_memory_mb", "regions"),
}


def print_table(all_results: list[dict[str, Any]]) -> None:
    """One row a set and kind, mean and standard deviation over the seeds."""
    _print_rows(
        ["set", "maps", "seeds", *COLUMNS],
        [
            [results["set"], kind, str(len(runs)), *_cells(list(runs.values()))]
            for results in all_results
            for kind, runs in results["runs"].items()
            if runs
        ],
    )


def _cells(runs: list[Run]) -> list[str]:
    return [_spread([run[group][name] for run in runs]) for group, name in COLUMNS.values()]


def _spread(values: list[float | None]) -> str:
    """Mean and standard deviation, the latter only of several values."""
    if None in values:
        return ""
    digits = 0 if max(values) > 1 else 3
    deviation = f" ± {np.std(values):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def slopes(runs: Collection[Run]) -> dict[str, dict[str, float]]:
    """Slopes over the number of images on log-log axes: 1 is proportional, 0 does not grow.

    Left out are stages that take no measurable time in a run.

    Args:
        runs: Of different sizes; fewer than two have no slope.
    """
    return {what: _slopes(list(runs), what) for what in MEASURES}


def _slopes(runs: list[Run], what: str) -> dict[str, float]:
    if len(runs) < 2:
        return {}
    sizes = np.log([run["n_images"] for run in runs])
    values = {stage: np.array([run[what][stage] for run in runs]) for stage in runs[0][what]}
    return {
        stage: round(float(np.polyfit(sizes, np.log(each), 1)[0]), 2)
        for stage, each in values.items()
        if (each > 0).all()
    }


def print_growth(results: dict[str, Any]) -> None:
    """Seconds and peak memory by stage, a row each size, and their slopes."""
    for kind, by_size in results["runs"].items():
        runs = sorted(by_size.values(), key=lambda run: run["n_images"])
        for what in MEASURES if runs else ():
            stages, slope = list(runs[0][what]), results["slopes"][kind][what]
            rows = [
                [str(run["n_images"]), *(f"{run[what][one]:g}" for one in stages)] for run in runs
            ]
            rows.append(["slope", *(f"{slope[one]:.2f}" if one in slope else "" for one in stages)])
            print(f"\n{kind}, {what}\n")
            _print_rows(["images", *stages], rows)


def _print_rows(header: list[str], rows: list[list[str]]) -> None:
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(row)} |")

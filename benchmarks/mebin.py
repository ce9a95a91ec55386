"""Speed of MEBin and of the published loop on the same maps, with the same counts.

    python benchmarks/mebin.py

The published loop compares a map with each of 64 thresholds in double precision, erodes the result
and labels it. Ours is timed as it is used, with erosion, threshold and mask. `alone`: one thread
for both. `together`: the published loop with the threads of OpenCV, ours with one map for each
processor.
"""

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import MebinConfig
from anomalyncd.regions.mebin import binarise_all
from anomalyncd.regions.score_range import ScoreRange, fit_score_range

CONFIG = MebinConfig()
SIDES = (256, 512, 1024)
N_DEFECTS = (0, 1, 3, 6)
N_RUNS = 3


def made_map(side: int, n_defects: int, seed: int) -> NDArray[np.float32]:
    """Smooth noise with bumps of several heights and sizes."""
    rng = np.random.default_rng(seed)
    scores = np.zeros((side, side))
    for share, height in ((1 / 80, 0.05), (1 / 24, 0.05), (1 / 6, 0.1)):
        noise = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), share * side)
        scores += height * noise / noise.std()
    y, x = np.mgrid[:side, :side] / side
    for _ in range(n_defects):
        row, column = rng.uniform(0.1, 0.9, 2)
        radius, height = rng.uniform(0.02, 0.12), rng.uniform(0.2, 0.6)
        scores += height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * radius**2))
    return scores.astype(np.float32)


def published_counts(anomaly_map: NDArray[np.float32], score_range: ScoreRange) -> list[int]:
    """The published loop, written plainly."""
    scores = anomaly_map.astype(np.float64)
    scaled = (scores - score_range.low) / (score_range.high - score_range.low) * 255
    scaled = np.where(scores < score_range.low, 0, scaled)
    box = np.ones((6, 6), np.uint8)
    counts = []
    for threshold in range(255, 0, -4):
        above = np.where(scaled > threshold, 255, 0).astype(np.uint8)
        eroded = cv2.erode(above, box, iterations=1)
        n_labels, *_ = cv2.connectedComponentsWithStats(eroded, connectivity=8)
        counts.append(n_labels - 1)
    return counts


def timed(work: Callable[[], list[list[int]]]) -> tuple[float, list[list[int]]]:
    """Seconds that `work` takes, and its counts."""
    start = perf_counter()
    counts = work()
    return perf_counter() - start, counts


def compare(
    maps: list[NDArray[np.float32]], score_range: ScoreRange, n_threads: int
) -> list[float]:
    """Milliseconds a map of the published loop and of ours, medians of alternating runs."""
    cv2.setNumThreads(1 if n_threads == 1 else -1)

    def published() -> list[list[int]]:
        return [published_counts(anomaly_map, score_range) for anomaly_map in maps]

    def ours() -> list[list[int]]:
        return [r.counts.tolist() for r in binarise_all(maps, score_range, CONFIG, n_threads)]

    ours()
    runs = [(timed(published), timed(ours)) for _ in range(N_RUNS)]
    assert all(one[1] == other[1] for one, other in runs), "the counts differ"
    return [1000 * median(run[i][0] for run in runs) / len(maps) for i in (0, 1)]


def main() -> None:
    """Prints one row for each size of map, share of foreground and number of threads."""
    n_processors = os.cpu_count() or 1
    print(f"{n_processors} processors, medians of {N_RUNS} runs, as many pixels of each size")
    print(f"{'px':>5} {'range':>8} {'foreground':>11} {'':>9} {'published':>11} {'ours':>9} ratio")
    for side in SIDES:
        n_maps = len(N_DEFECTS) * (max(SIDES) // side) ** 2
        maps = [made_map(side, N_DEFECTS[seed % len(N_DEFECTS)], seed) for seed in range(n_maps)]
        usual = fit_score_range(maps, CONFIG)
        lowest = min(float(anomaly_map.min()) for anomaly_map in maps)
        for name, score_range in (("usual", usual), ("widest", ScoreRange(lowest, usual.high))):
            share = np.mean([(anomaly_map > score_range.low).mean() for anomaly_map in maps])
            for label, n_threads in (("alone", 1), ("together", n_processors)):
                slow, fast = compare(maps, score_range, n_threads)
                print(
                    f"{side:>5} {name:>8} {share:>11.0%} {label:>9} "
                    f"{slow:>8.2f} ms {fast:>6.2f} ms {slow / fast:>5.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

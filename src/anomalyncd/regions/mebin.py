"""MEBin, main element binarisation: from an anomaly map to a mask (AnomalyNCD, section 3.1)."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import MebinConfig
from anomalyncd.regions.components import count_components, quantise
from anomalyncd.regions.score_range import ScoreRange


class MapSequence(Protocol):
    """Any collection of (H, W) maps that are read one at a time; sizes may differ."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class Binarised:
    """The mask of one anomaly map, and the threshold and counts that led to it."""

    mask: NDArray[np.bool_]
    """(H, W), at the size of the map: anomalous pixels, eroded."""
    threshold: float
    """In the unit of the score range; infinite (255 with the `paper` rules) where no region count
    is stable."""
    n_regions: int
    """The stable region count, 0 where there is none; for other binarisations that of the mask."""
    counts: NDArray[np.int64]
    """(n_thresholds,): connected components at each threshold, highest threshold first."""


def select_threshold(counts: NDArray[np.int64], min_interval_length: int) -> tuple[int | None, int]:
    """Finds the threshold at the low end of the longest stable run of one region count.

    Ties between counts go to the one whose first stable run comes first, ties between runs of
    one count to the last of them.

    Args:
        counts: (n_thresholds,), connected components, highest threshold first.
        min_interval_length: Thresholds in a row that make a run stable.

    Returns:
        Index of the threshold and region count; None and 0 where no run is stable (AnomalyNCD,
        section 3.1).
    """
    end, stable = -1, []
    for count, run in groupby(counts.tolist()):
        length = len(list(run))
        end += length
        if count > 0 and length >= min_interval_length:
            stable.append((length, end, count))
    if not stable:
        return None, 0
    longest = max(length for length, _, _ in stable)
    owners = {count for length, _, count in stable if length == longest}
    owner = next(count for _, _, count in stable if count in owners)
    last = max(end for length, end, count in stable if (length, count) == (longest, owner))
    return last, owner


def threshold_at(index: int, score_range: ScoreRange, config: MebinConfig) -> float:
    """Returns a threshold in the unit of the score range.

    Args:
        index: Index of the threshold, counted from the highest.
        score_range: The score range of all maps.
        config: The `paper` rules truncate to an integer.

    Returns:
        The threshold; a pixel is anomalous above it.
    """
    scaled = 255 - 256 * index / config.n_thresholds
    value = scaled * (score_range.high - score_range.low) / 255 + score_range.low
    return float(int(value)) if config.rules == "paper" else value


def otsu_threshold(scores: NDArray[np.float32]) -> float:
    """Finds the threshold that separates the scores of one map into two groups.

    It makes the variance between the groups as large as possible.

    Args:
        scores: (H, W).

    Returns:
        The threshold, one of 256 levels between the lowest and the highest score, in their unit.
        Scores above it are in the upper group. Where all scores are equal it is that score.

    Source: Otsu, "A threshold selection method from gray-level histograms", 1979.
    """
    low, high = float(scores.min()), float(scores.max())
    if high <= low:
        return high
    levels = np.rint((scores - low) * (255 / (high - low))).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # Scores are rounded to levels, so the scores above a level begin half way to the next.
    return low + (float(level) + 0.5) * (high - low) / 255


def binarise(anomaly_map: NDArray[Any], score_range: ScoreRange, config: MebinConfig) -> Binarised:
    """Binarises one anomaly map at the threshold where its region count is most stable.

    Otsu's threshold and the fixed one, which the paper compares with, are followed by the same
    erosion. Erosion commutes with thresholding, so the map is eroded once, in grey levels, and
    every threshold is applied to the eroded map.

    Args:
        anomaly_map: (H, W), any real type, higher is more anomalous.
        score_range: The score range of all maps.
        config: Rules, thresholds and erosion.

    Returns:
        Mask, threshold, region count and count sequence (AnomalyNCD, section 3.1).
    """
    box = np.ones((config.erosion, config.erosion), np.uint8)
    scores = score_range.convert(anomaly_map)
    eroded = cv2.erode(scores, box)
    levels = quantise(eroded, score_range.low, score_range.high, config.n_thresholds)
    counts = count_components(levels, config.n_thresholds)
    if config.binarisation != "mebin":
        halfway = (score_range.low + score_range.high) / 2
        threshold = halfway if config.binarisation == "fixed" else otsu_threshold(scores)
        mask = eroded > threshold
        n_regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
        return Binarised(mask, threshold, n_regions, counts)
    index, n_regions = select_threshold(counts, config.min_interval_length)
    paper = config.rules == "paper"
    if index is None:
        threshold = 255.0 if paper else np.inf
        return Binarised(np.zeros(eroded.shape, bool), threshold, 0, counts)
    threshold = threshold_at(index, score_range, config)
    # The published threshold is an integer, so its mask can hold more than was counted.
    mask = eroded > threshold if paper else levels[1:-1, 1:-1] >= config.n_thresholds - index
    return Binarised(mask, threshold, n_regions, counts)


def binarise_all(
    maps: MapSequence, score_range: ScoreRange, config: MebinConfig, n_threads: int | None = None
) -> Iterator[Binarised]:
    """Binarises many maps in parallel, with about as many of them in memory as there are threads.

    Args:
        maps: Anomaly maps; the threads read them.
        score_range: The score range of all maps.
        config: Rules, thresholds and erosion.
        n_threads: Number of threads; None takes the number of processors.

    Yields:
        The result of each map, in the order of the maps.
    """
    n_threads = n_threads or os.cpu_count() or 1

    def work(index: int) -> Binarised:
        return binarise(maps[index], score_range, config)

    if n_threads == 1:
        yield from map(work, range(len(maps)))
        return
    pool = ThreadPoolExecutor(n_threads)
    pending: deque[Future[Binarised]] = deque()
    try:
        for index in range(len(maps)):
            pending.append(pool.submit(work, index))
            if len(pending) > n_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

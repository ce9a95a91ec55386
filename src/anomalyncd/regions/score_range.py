"""The range of scores, over all anomaly maps, in which MEBin looks for thresholds."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import MebinConfig
from anomalyncd.errors import InputError
from anomalyncd.io.component import Component
from anomalyncd.regions.calibration import (
    Background,
    Calibration,
    background,
    background_peak,
    calibrate,
    typical_background,
)
from anomalyncd.runtime.progress import track

_LEAST_NORMAL_SCORE = 0.02
"""A floor that was learned from normal images may lie above what most of them show."""


@dataclass(frozen=True)
class ScoreRange(Component):
    """Scores up to `low` are background, scores from `high` on are as anomalous as can be.

    All scores but those of `eight_bit_range` are in one unit: that of the maps, calibrated where
    there is a calibration, or 8 bits with the `paper` rules.
    """

    low: float
    """The floor."""
    high: float
    """The largest score of all maps, at least `low`."""
    eight_bit_range: tuple[float, float] | None = None
    """Scores, in map units, that become 0 and 255 before anything else (`paper` rules, maps that
    are not in 8 bits already); None leaves scores as they are."""
    calibration: Calibration | None = None
    """Applied before anything else (`default` rules, maps with a long upper tail); None leaves
    scores as they are."""
    background_peak: float | None = None
    """The highest score that background reaches: an image without a higher score has no region.
    None lets every image have regions."""
    max_normal_level: float | None = None
    """No region with a higher score is taken for normal; None sets no limit."""

    def convert(self, anomaly_map: NDArray[Any]) -> NDArray[np.float32]:
        """Brings a map to the unit of `low` and `high`, (H, W), float32."""
        if self.calibration is not None:
            return self.calibration(anomaly_map)
        scores = np.asarray(anomaly_map, dtype=np.float32)
        if self.eight_bit_range is None:
            return scores
        darkest, brightest = self.eight_bit_range
        if brightest <= darkest:
            return np.zeros_like(scores)
        scaled = (scores - np.float32(darkest)) / np.float32(brightest - darkest) * np.float32(255)
        whole: NDArray[np.float32] = np.trunc(np.clip(scaled, 0, 255))
        return whole

    def is_background(self, anomaly_map: NDArray[Any]) -> bool:
        """Returns whether no score of a map exceeds the background peak."""
        if self.background_peak is None:
            return False
        return float(self.convert(anomaly_map).max()) <= self.background_peak

    @property
    def max_normal_score(self) -> float:
        """`max_normal_level` on the scale where the score range is 0..1; 1 where there is none."""
        if self.max_normal_level is None or self.high <= self.low:
            return 1.0
        share = (self.max_normal_level - self.low) / (self.high - self.low)
        return float(np.clip(share, _LEAST_NORMAL_SCORE, 1))


def rescale(anomaly_map: NDArray[Any], score_range: ScoreRange) -> NDArray[np.float32]:
    """Rescales a map so that the score range becomes 0..1, clipped at both ends.

    Args:
        anomaly_map: (H, W), any real type.
        score_range: The score range of all maps.

    Returns:
        (H, W), float32, 0..1. Where the range is empty, 1 above it and 0 elsewhere.
    """
    scores = score_range.convert(anomaly_map)
    if score_range.high <= score_range.low:
        return (scores > score_range.low).astype(np.float32)
    scaled = (scores - np.float32(score_range.low)) / np.float32(score_range.high - score_range.low)
    clipped: NDArray[np.float32] = np.clip(scaled, 0, 1)
    return clipped


def fit_score_range(
    maps: Iterable[NDArray[Any]],
    config: MebinConfig,
    normal_maps: Iterable[NDArray[Any]] | None = None,
) -> ScoreRange:
    """Fits the score range to all maps, reading each of them once.

    `paper`: from the smallest to the largest of the maxima of the maps, in 8 bits. Maps that do
    not hold whole numbers within 0..255 are brought to 8 bits with one scale for all, as the
    published code saves them (AnomalyNCD, section 3.1).

    `default`: from a floor to the largest maximum, in map units, calibrated where the largest
    maximum is far above the typical one (docs/decisions/calibration.md). The floor is
    `config.floor`; without one it is the median of the maxima of the normal maps; without normal
    maps it is set by `_floor_without_normals`. The background peak is a quantile of the maxima of
    the normal maps, or else of `background_peak` of all maps (our own;
    docs/decisions/score-range.md).

    Args:
        maps: Anomaly maps, (H, W) each; sizes may differ.
        config: Rules, floor and quantiles.
        normal_maps: Maps of normal images, scored as if they were new, since a detector must not
            find an image in its own memory. The `paper` rules do not use them.

    Returns:
        The score range.

    Raises:
        InputError: There is no map.
    """
    if config.rules == "paper":
        return _published_range(maps)
    summary = _summarise(maps, "anomaly map")
    normal = None if normal_maps is None else _summarise(normal_maps, "map of a normal image")
    calibration = calibrate(summary.maxima, (normal or summary).background)

    def unit(score: float) -> float:
        return score if calibration is None else float(calibration(score))

    highest = unit(max(summary.maxima))
    if config.floor is not None:
        floor = unit(config.floor)
    elif normal is not None:
        floor = unit(float(np.median(normal.maxima)))
    else:
        least, level = unit(min(summary.maxima)), unit(summary.background.level)
        floor = _floor_without_normals(level, least, highest, config)
    peaks = summary.background_peaks if normal is None else normal.maxima
    peak = max_normal = None
    if config.floor is None and peaks:
        peak = unit(float(np.quantile(peaks, config.background_quantile)))
        if config.max_normal_quantile < 1:
            max_normal = unit(float(np.quantile(peaks, config.max_normal_quantile)))
    return ScoreRange(floor, max(floor, highest), None, calibration, peak, max_normal)


@dataclass(frozen=True, eq=False)
class _Summary:
    """What the score range depends on, of several maps; in map units."""

    background: Background
    """Level and spread of the typical map."""
    maxima: list[float]
    """Highest score of each map."""
    background_peaks: list[float]
    """See `background_peak`; of the maps that have one."""


def _summarise(maps: Iterable[NDArray[Any]], what: str) -> _Summary:
    backgrounds, maxima, peaks = [], [], []
    n_maps = len(maps) if isinstance(maps, Sized) else None
    for anomaly_map in track(maps, "Finding the score range", n_maps):
        backgrounds.append(background(anomaly_map))
        maxima.append(float(np.max(anomaly_map)))
        peak = background_peak(anomaly_map)
        if peak is not None:
            peaks.append(peak)
    _require_maps(maxima, what)
    return _Summary(typical_background(backgrounds), maxima, peaks)


def _floor_without_normals(
    level: float, least: float, highest: float, config: MebinConfig
) -> float:
    """The smallest maximum, as published, where it may be that of a normal image.

    A maximum below the typical background level belongs to an unusual map. A maximum above the
    level by more than a map must rise to have a region belongs to a defect, which a floor at this
    height would delete.
    """
    least_rise = config.min_interval_length / config.n_thresholds * (highest - level)
    return float(np.clip(least, level, level + least_rise))


def _published_range(maps: Iterable[NDArray[Any]]) -> ScoreRange:
    minima, maxima, in_eight_bits = [], [], True
    for anomaly_map in maps:
        minima.append(float(anomaly_map.min()))
        maxima.append(float(anomaly_map.max()))
        in_eight_bits = in_eight_bits and _holds_eight_bits(anomaly_map)
    _require_maps(maxima, "anomaly map")
    if in_eight_bits:
        return ScoreRange(min(maxima), max(maxima))
    whole = ScoreRange(0, 255, (min(minima), max(maxima)))
    low, high = whole.convert(np.array([min(maxima), max(maxima)]))
    return ScoreRange(float(low), float(high), whole.eight_bit_range)


def _holds_eight_bits(anomaly_map: NDArray[Any]) -> bool:
    if anomaly_map.dtype == np.uint8:
        return True
    within = anomaly_map.min() >= 0 and anomaly_map.max() <= 255
    return bool(within and np.array_equal(anomaly_map, np.trunc(anomaly_map)))


def _require_maps(maxima: list[float], what: str) -> None:
    if not maxima:
        raise InputError(f"no {what} was given; the score range needs at least one")

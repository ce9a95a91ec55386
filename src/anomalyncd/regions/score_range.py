"""The span of scores, over all anomaly maps, within which MEBin looks for thresholds."""

from collections.abc import Iterable
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

_LEAST_SPLIT = 0.02
"""A floor learnt from normal images may lie above what most of them show."""


@dataclass(frozen=True)
class ScoreRange(Component):
    """Scores up to `low` are background, scores from `high` on are as anomalous as can be."""

    low: float
    """The floor; in map units, calibrated, or in 8 bits with the `paper` rules."""
    high: float
    """The largest score of all maps, at least `low`; in the same unit."""
    eight_bits: tuple[float, float] | None = None
    """Scores that become 0 and 255 before anything else (`paper` rules, maps that are not in 8
    bits already); None leaves scores as they are."""
    calibration: Calibration | None = None
    """What bends scores before anything else (`default` rules, maps with a long upper tail); None
    leaves them as they are."""
    sound: float | None = None
    """Score up to which a whole image is sound: with no higher score it has no region; in the unit
    of `low` and `high`. None takes every image for one that may have regions."""
    anomalous: float | None = None
    """The split between normal and anomalous regions is not above it, in the same unit; None leaves
    the split alone."""

    def convert(self, anomaly_map: NDArray[Any]) -> NDArray[np.float32]:
        """The map in the unit of `low` and `high`, (H, W), float32."""
        if self.calibration is not None:
            return self.calibration(anomaly_map)
        scores = np.asarray(anomaly_map, dtype=np.float32)
        if self.eight_bits is None:
            return scores
        darkest, brightest = self.eight_bits
        if brightest <= darkest:
            return np.zeros_like(scores)
        scaled = (scores - np.float32(darkest)) / np.float32(brightest - darkest) * np.float32(255)
        whole: NDArray[np.float32] = np.trunc(np.clip(scaled, 0, 255))
        return whole

    def is_background(self, anomaly_map: NDArray[Any]) -> bool:
        """Whether nothing on a map exceeds what sound surfaces show."""
        return self.sound is not None and float(self.convert(anomaly_map).max()) <= self.sound

    @property
    def max_normal_score(self) -> float:
        """Highest score, 0..1 within the range, that may part normal from anomalous."""
        if self.anomalous is None or self.high <= self.low:
            return 1.0
        share = (self.anomalous - self.low) / (self.high - self.low)
        return float(np.clip(share, _LEAST_SPLIT, 1))


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
    """Derives the score range from all maps, looking at each of them once.

    `paper`: from the smallest to the largest of the maxima of the maps, in 8 bits; maps that do
    not hold whole numbers within 0..255 are brought there together, as the published code saves
    them (AnomalyNCD, section 3.1). `default`: from a floor to the largest maximum, in map units,
    calibrated where the largest maximum dwarfs the typical one (docs/decisions/calibration.md);
    the floor is `config.floor`, or the median of the maxima of the normal maps, or else lies
    where `_floor_without_normals` puts it. A image is sound up to a quantile of the maxima of the
    normal maps, or else of `background_peak` of all maps (our own; docs/decisions/score-range.md).

    Args:
        maps: Anomaly maps, (H, W) each, sizes may differ.
        config: Rules and floor.
        normal_maps: Maps of normal images, scored as if they were new (a detector must not find
            an image in its own memory); the `paper` rules have no use for them.

    Returns:
        The score range.

    Raises:
        InputError: There is no map.
    """
    if config.rules == "paper":
        return _published_range(maps)
    typical, maxima, sound_peaks = _summary(maps, "anomaly map")
    normal_maxima = None
    if normal_maps is not None:
        typical, normal_maxima, _ = _summary(normal_maps, "map of a normal image")
        sound_peaks = normal_maxima
    calibration = calibrate(maxima, typical)

    def unit(score: float) -> float:
        return score if calibration is None else float(calibration(score))

    highest = unit(max(maxima))
    if config.floor is not None:
        floor = unit(config.floor)
    elif normal_maxima is not None:
        floor = unit(float(np.median(normal_maxima)))
    else:
        least, level = unit(min(maxima)), unit(typical.level)
        floor = _floor_without_normals(level, least, highest, config)
    sound = anomalous = None
    if config.floor is None and sound_peaks:
        sound = unit(float(np.quantile(sound_peaks, config.background_quantile)))
        if config.max_normal_quantile < 1:
            anomalous = unit(float(np.quantile(sound_peaks, config.max_normal_quantile)))
    return ScoreRange(floor, max(floor, highest), None, calibration, sound, anomalous)


def _summary(
    maps: Iterable[NDArray[Any]], what: str
) -> tuple[Background, list[float], list[float]]:
    """The typical background of some maps, their maxima, and what sound surfaces on them show."""
    backgrounds, maxima, sound_peaks = [], [], []
    for anomaly_map in maps:
        backgrounds.append(background(anomaly_map))
        maxima.append(float(np.max(anomaly_map)))
        peak = background_peak(anomaly_map)
        if peak is not None:
            sound_peaks.append(peak)
    _require_some(maxima, what)
    return typical_background(backgrounds), maxima, sound_peaks


def _floor_without_normals(
    level: float, least: float, highest: float, config: MebinConfig
) -> float:
    """The smallest maximum, as published, as far as it can be that of a normal image.

    Below the typical background level it is the maximum of some odd map, and says nothing of the
    others. Above the level by more than a map must rise to have a region at all, it belongs to a
    defect, which a floor at its maximum would delete.
    """
    least_rise = config.min_interval_length / config.n_thresholds * (highest - level)
    return float(np.clip(least, level, level + least_rise))


def _published_range(maps: Iterable[NDArray[Any]]) -> ScoreRange:
    minima, maxima, in_eight_bits = [], [], True
    for anomaly_map in maps:
        minima.append(float(anomaly_map.min()))
        maxima.append(float(anomaly_map.max()))
        in_eight_bits = in_eight_bits and _holds_eight_bits(anomaly_map)
    _require_some(maxima, "anomaly map")
    if in_eight_bits:
        return ScoreRange(min(maxima), max(maxima))
    whole = ScoreRange(0, 255, (min(minima), max(maxima)))
    low, high = whole.convert(np.array([min(maxima), max(maxima)]))
    return ScoreRange(float(low), float(high), whole.eight_bits)


def _holds_eight_bits(anomaly_map: NDArray[Any]) -> bool:
    if anomaly_map.dtype == np.uint8:
        return True
    within = anomaly_map.min() >= 0 and anomaly_map.max() <= 255
    return bool(within and np.array_equal(anomaly_map, np.trunc(anomaly_map)))


def _require_some(found: list[float], what: str) -> None:
    if not found:
        raise InputError(f"no {what} was given; the score range needs at least one")

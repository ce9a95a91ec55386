"""Counts of connected components at every threshold, by compiled loops over pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.runtime.compilation import compiled

# Ring bit 0 is the left neighbour; then clockwise, as (row, column) offsets.
_RING = ((0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1))


def _touching(ring: int) -> list[list[int]]:
    """Groups the set bits whose pixels are connected to each other within the ring."""
    groups: list[list[int]] = []
    for bit in (bit for bit in range(8) if ring >> bit & 1):
        row, column = _RING[bit]
        joined = [bit]
        for group in list(groups):
            if any(max(abs(row - _RING[b][0]), abs(column - _RING[b][1])) == 1 for b in group):
                groups.remove(group)
                joined = group + joined
        groups.append(joined)
    return groups


def _ring_tables() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Returns the number of groups of each ring, and members, (group, row/column, ring)."""
    n_groups, members = np.zeros(256, np.uint8), np.zeros((4, 2, 256), np.int32)
    for ring in range(256):
        groups = _touching(ring)
        n_groups[ring] = len(groups)
        for index, group in enumerate(groups):
            members[index, :, ring] = _RING[group[0]]
    return n_groups, members


_N_GROUPS, _MEMBERS = _ring_tables()


@compiled
def _rings(levels: Any) -> Any:
    """Finds for each pixel the bits of the neighbours that entered before it."""
    height, width = levels.shape
    rings = np.zeros((height, width), np.uint8)
    for y in range(1, height - 1):
        up, row, down, out = levels[y - 1], levels[y], levels[y + 1], rings[y]
        for x in range(1, width - 1):
            level = row[x]
            out[x] = (
                np.uint8(row[x - 1] >= level)
                | np.uint8(up[x - 1] >= level) << 1
                | np.uint8(up[x] >= level) << 2
                | np.uint8(up[x + 1] >= level) << 3
                | np.uint8(row[x + 1] > level) << 4
                | np.uint8(down[x + 1] > level) << 5
                | np.uint8(down[x] > level) << 6
                | np.uint8(down[x - 1] > level) << 7
            )
    return rings


@compiled
def _root(parents: Any, pixel: int) -> int:
    while parents[pixel] != pixel:
        parents[pixel] = parents[parents[pixel]]
        pixel = parents[pixel]
    return pixel


@compiled
def _enter(levels: Any, rings: Any, first: Any, births: Any) -> Any:
    """Links every pixel to an earlier one; counts births of components and lists the saddles."""
    parents, saddles = np.empty(levels.size, np.int32), np.empty(levels.size, np.int32)
    n_saddles = 0
    for pixel in range(levels.size):
        if levels[pixel] == 0:
            continue
        ring = rings[pixel]
        earlier = pixel + first[ring]
        # The parent of the earlier pixel, where it is known, saves a step of every later search.
        parents[pixel] = parents[earlier] if earlier < pixel else earlier
        if _N_GROUPS[ring] == 0:
            births[levels[pixel]] += 1
        elif _N_GROUPS[ring] > 1:
            saddles[n_saddles] = pixel
            n_saddles += 1
    return parents, saddles[:n_saddles]


@compiled
def _merge(saddles: Any, rings: Any, others: Any, parents: Any) -> Any:
    """Unites the components that meet at each saddle, and counts the unions at each."""
    unions = np.zeros(saddles.size, np.int64)
    for index, pixel in enumerate(saddles):
        root = _root(parents, pixel)
        for offset in others[rings[pixel]]:
            if offset == 0:
                break
            other = _root(parents, pixel + offset)
            if other != root:
                parents[other] = root
                unions[index] += 1
    return unions


def count_components(levels: NDArray[np.uint8], n_levels: int) -> NDArray[np.int64]:
    """Counts the 8-connected components of `levels >= n_levels`, ..., `levels >= 1`.

    Args:
        levels: (H + 2, W + 2), uint8, 0..`n_levels`; the outermost pixels are 0.
        n_levels: Highest level, at most 255.

    Returns:
        (n_levels,), int64: entry `k` counts the components of `levels >= n_levels - k`.
    """
    width = levels.shape[1]
    first, *others = (row * width + column for row, column in _MEMBERS)
    flat, rings = levels.ravel(), _rings(levels).ravel()
    births = np.zeros(n_levels + 1, np.int64)
    parents, saddles = _enter(flat, rings, first, births)
    # Stable, and a counting sort for 8-bit keys.
    saddles = saddles[np.argsort(n_levels - flat[saddles], kind="stable")]
    # Every union takes one birth back.
    unions = _merge(saddles, rings, np.stack(others, axis=1), parents)
    births -= np.bincount(flat[saddles], unions, n_levels + 1).astype(np.int64)
    counts: NDArray[np.int64] = np.cumsum(births[:0:-1])
    return counts


@compiled
def quantise(scores: Any, low: float, high: float, n_levels: int) -> Any:
    """Counts how many of MEBin's thresholds each score exceeds, and adds a border of zeros.

    The thresholds are `255 - 256 k / n_levels`, k = 0..n_levels - 1, on the scale where `low` is 0
    and `high` is 255 (255, 251, ..., 3 for 64 of them). Where `low` equals `high`, every score
    above exceeds all.

    Args:
        scores: (H, W), float32.
        low: Lower end of the score range, in the unit of the scores.
        high: Upper end, at least `low`.
        n_levels: Number of thresholds.

    Returns:
        (H + 2, W + 2), uint8, 0..`n_levels`.
    """
    height, width = scores.shape
    levels = np.zeros((height + 2, width + 2), np.uint8)
    step, per_step, span = 256 / n_levels, n_levels / 256, high - low
    for y in range(height):
        row, out = scores[y], levels[y + 1]
        for x in range(width):
            if span > 0:
                # The order of operations is that of the published code, so that ties agree.
                scaled = (np.float64(row[x]) - low) / span * 255
                exceeded = np.ceil((scaled - (step - 1)) * per_step)
                out[x + 1] = np.uint8(min(max(exceeded, 0.0), n_levels))
            elif row[x] > low:
                out[x + 1] = n_levels
    return levels

"""Nearest neighbours among regions, exact for few of them and approximate for many."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from anomalyncd.discovery.sampling import MANY, largest

N_NEIGHBOURS = 10
TEMPERATURE = 0.1
"""Of the weights, `exp((cosine - 1) / TEMPERATURE)`."""
N_TREES = 4
LEAF = 256
"""Regions among which neighbours are searched exactly, where there are many."""
FEW = 2048
"""Up to so many regions all are compared with each other."""
N_PROJECTIONS = 64
"""Random directions by whose differences groups are split."""
BLOCK_NUMBERS = 2**25
"""Cosines that are in memory at a time when new regions are compared, 128 MB."""


def neighbour_graph(
    features: NDArray[np.float32], seed: int
) -> tuple[scipy.sparse.csr_matrix, NDArray[np.int64]]:
    """Weights between each region and its nearest neighbours.

    More than 2048 regions are split at medians of random directions until at most 256 are together,
    and neighbours are searched within these groups, four times over. Time and memory grow in
    proportion to R log R.

    Args:
        features: Unit descriptors, (R, D).
        seed: Of the directions.

    Returns:
        graph: (R, R), sparse, symmetric before each row was divided by its sum; empty rows where
            there is only one region.
        order: The region of each row and column, (R,). Those of a group are side by side, so that
            what is multiplied with the graph is read from nearby memory.
    """
    rng, n_regions = np.random.default_rng(seed), len(features)
    groups = [_leaves(features, rng) for _ in range(N_TREES if n_regions > FEW else 1)]
    order = np.concatenate(groups[0])
    place = np.argsort(order)
    weights = scipy.sparse.csr_matrix((n_regions, n_regions), dtype=np.float32)
    for leaves in groups:
        weights = weights.maximum(_weights_within(features, leaves, place))
    weights = weights.maximum(weights.T)
    sums = np.asarray(weights.sum(1)).ravel()
    return scipy.sparse.diags_array(1 / np.maximum(sums, 1e-30)) @ weights, order


def nearest(
    queries: NDArray[np.float32], keys: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines and indices of the nearest keys of each query, in any order.

    Args:
        queries: Unit descriptors, (B, D).
        keys: Unit descriptors, (R, D).
        count: How many; all keys where there are fewer.

    Returns:
        Two arrays, (B, min(count, R)).
    """
    count = min(count, len(keys))
    cosines = np.zeros((len(queries), count), np.float32)
    indices = np.zeros((len(queries), count), np.int64)
    step = max(1, BLOCK_NUMBERS // max(1, len(keys)))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        similarity = queries[rows] @ keys.T
        indices[rows] = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        cosines[rows] = np.take_along_axis(similarity, indices[rows], axis=1)
    return cosines, indices


def weight(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much a neighbour counts, 1 where it is the same and e**-10 at a right angle."""
    weights: NDArray[np.float32] = np.exp((cosines - 1) / TEMPERATURE)
    return weights


def _leaves(features: NDArray[np.float32], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Indices of the regions of each group, all regions once."""
    pending, leaves = [np.arange(len(features))], []
    if len(features) <= FEW:
        return pending
    directions = rng.normal(size=(features.shape[1], N_PROJECTIONS)).astype(np.float32)
    projected = features @ directions
    while pending:
        rows = pending.pop()
        if len(rows) <= LEAF:
            leaves.append(rows)
            continue
        one, other = projected[rng.choice(rows, 2, replace=False)]
        order = np.argsort(projected[rows] @ (one - other), kind="stable")
        pending += np.array_split(rows[order], 2)
    return leaves


def _weights_within(
    features: NDArray[np.float32], leaves: list[NDArray[np.int64]], place: NDArray[np.int64]
) -> scipy.sparse.csr_matrix:
    """Weights of the nearest neighbours within each group, at the places of the regions."""
    entries: list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]] = []
    for rows in leaves:
        members = features[rows]
        similarity = members @ members.T
        np.fill_diagonal(similarity, -np.inf)
        count = min(N_NEIGHBOURS, len(rows) - 1)
        if count < 1:
            continue
        columns = largest(similarity, count, len(features) > MANY)
        cosines = np.take_along_axis(similarity, columns, axis=1)
        at = place[rows]
        entries.append((weight(cosines).ravel(), np.repeat(at, count), at[columns].ravel()))
    shape = (len(features), len(features))
    if not entries:
        return scipy.sparse.csr_matrix(shape, dtype=np.float32)
    values, at, to = (np.concatenate(one) for one in zip(*entries, strict=True))
    return scipy.sparse.csr_matrix((values, (at, to)), shape=shape)

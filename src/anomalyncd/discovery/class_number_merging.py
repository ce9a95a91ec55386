"""The number of clusters by over-clustering and merging."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist


def count_by_merging(labels: NDArray[np.int64], most: int) -> int:
    """Merges regions that many clusterings put together; counts what stays apart longest.

    Args:
        labels: Clusterings of the same regions, some of them finer than needed, (n, R).
        most: Largest number of clusters that is considered.

    Returns:
        Number of clusters, 1 to `most`.

    Source: Fred and Jain, "Combining multiple clusterings using evidence accumulation", 2005:
        average linkage over the share of clusterings that part two regions, cut where the number
        of clusters holds for the longest span of that share.
    """
    parted = pdist(labels.T.astype(np.float64), "hamming")
    heights = np.concatenate([linkage(parted, "average")[:, 2], [1.0]])
    spans = np.diff(heights)[::-1][:most]
    return int(spans.argmax()) + 1

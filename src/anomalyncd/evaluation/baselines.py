"""What a discovery has to beat."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from anomalyncd.data.parts import Parts
from anomalyncd.model.tokens import Reading, TokenReader
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track

_SIDE = 224


def kmeans_on_whole_images(
    vit: VisionTransformer, parts: Parts, n_classes: int, seed: int
) -> NDArray[np.int64]:
    """Clusters the plain CLS tokens of whole images by k-means.

    Args:
        vit: The backbone, untrained.
        parts: The parts; each is squeezed to 224 x 224 px.
        n_classes: Number of clusters.
        seed: Of k-means, which starts ten times.

    Returns:
        Cluster of each part, (N,).
    """
    last = vit.config.depth - 1
    reader = TokenReader(vit, Reading(_SIDE, cls_layers=(last,), square=True))
    indices = track(range(len(parts)), "Reading whole images")
    cls = torch.stack([reader.read(parts, index).cls[0] for index in indices])
    with torch.inference_mode():
        tokens = vit.norm(cls).float().cpu()
    model = KMeans(n_classes, n_init=10, random_state=seed).fit(tokens.numpy())
    return np.asarray(model.labels_, np.int64)

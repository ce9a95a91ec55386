"""What a discovery has to beat."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from anomalyncd.data.parts import Parts
from anomalyncd.model.pixels import normalise, resize, to_tensor
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
    weight = vit.patch_embed.proj.weight
    tokens = []
    with torch.inference_mode():
        for index in track(range(len(parts)), "Reading whole images"):
            pixels = normalise(to_tensor(resize(parts.image(index), _SIDE, _SIDE)[None]))
            tokens.append(vit(pixels.to(weight.device, weight.dtype))[0, 0].float().cpu())
    model = KMeans(n_classes, n_init=10, random_state=seed).fit(torch.stack(tokens).numpy())
    return np.asarray(model.labels_, np.int64)

"""The baseline clusters plain CLS tokens."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from anomalyncd.data.parts import Parts
from anomalyncd.evaluation.baselines import kmeans_on_whole_images
from anomalyncd.model.pixels import normalise, resize, to_tensor
from anomalyncd.model.weights import load_backbone
from conftest import picture


def test_baseline_tells_obvious_classes_apart(tiny: Path) -> None:
    pictures = [np.full((50, 70), level, np.uint8) for level in (10, 10, 10, 240, 240)]
    vit = load_backbone("tiny", tiny)
    clusters = kmeans_on_whole_images(vit, Parts.from_list(pictures), 2, seed=0)
    assert len(set(clusters[:3])) == len(set(clusters[3:])) == 1
    assert clusters[0] != clusters[3]


def test_baseline_takes_plain_cls_tokens_and_reads_them_once(
    tiny: Path, forwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    vit = load_backbone("tiny", tiny)
    parts = Parts.from_list([picture("line", index) for index in range(3)])
    clustered: list[np.ndarray] = []
    fit = KMeans.fit

    def seen(model: KMeans, points: np.ndarray) -> KMeans:
        clustered.append(points)
        return fit(model, points)

    monkeypatch.setattr(KMeans, "fit", seen)
    for _ in range(2):
        kmeans_on_whole_images(vit, parts, 2, seed=0)
    assert len(forwards) == 3
    assert np.array_equal(*clustered)
    images = [normalise(to_tensor(resize(parts.image(i), 224, 224)[None])) for i in range(3)]
    with torch.no_grad():
        plain = vit(torch.cat(images))[:, 0].numpy()
    np.testing.assert_allclose(clustered[0], plain, atol=1e-5)

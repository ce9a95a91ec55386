"""What a discovery starts from, and which head it ends with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from anomalyncd.discovery import discover
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.discover import (
    Discovery,
    classify,
    describe_all,
    describe_start,
    discover_classes,
)
from anomalyncd.embedding.base_regions import BaseRegions
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.region_store import fill_store
from support.quick import QUICK, crops, run_context, scored_regions

COUNT, N_HEADS = 10, 3
SCORES = np.where(np.arange(COUNT) % 3, 0.9, 0.1)
BASE_LABELS = np.arange(COUNT) % 2


class Recorder:
    """Stands in for the training: keeps the start and returns losses of the heads."""

    def __init__(self, *losses: float) -> None:
        self.losses = torch.tensor(losses)

    def __call__(self, model: RegionClassifier, *_: Any) -> torch.Tensor:
        self.start = model.prototypes.prototypes.detach().clone()
        self.model = model
        return self.losses


def _discover(
    encoder: RegionEncoder, folder: Path, with_base: bool = False, **training: Any
) -> tuple[Discovery, BaseRegions]:
    """A discovery whose training is replaced by a `Recorder`."""
    config = replace(
        QUICK, training=replace(QUICK.training, n_heads=N_HEADS, **training)
    ).resolved()
    context = run_context(RegionEncoder(encoder.vit, config.encoder), folder, config)
    tokens = fill_store(context, crops(COUNT), COUNT)
    base = BaseRegions(tokens, BASE_LABELS, 2)
    regions = scored_regions(SCORES)
    return discover_classes(context, regions, tokens, base if with_base else None, 3), base


@pytest.mark.parametrize("best", range(N_HEADS))
def test_the_head_with_the_lowest_loss_is_used(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    losses = [2.0, 3.0, 4.0]
    losses[best] = 1.0
    recorder = Recorder(*losses)
    monkeypatch.setattr(discover, "train", recorder)
    found, _ = _discover(encoder, tmp_path, start="random", head_choice="lowest_loss")
    assert torch.equal(found.classifier.prototypes.prototypes[0], recorder.start[best])


def test_prototypes_of_base_classes_start_at_their_means(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(0.0, 1.0, 2.0)
    monkeypatch.setattr(discover, "train", recorder)
    found, base = _discover(encoder, tmp_path, with_base=True, head_choice="lowest_loss")
    features = torch.from_numpy(describe_all(recorder.model, base.tokens))
    for label in range(2):
        mean = normalize(features[torch.from_numpy(label == BASE_LABELS)].mean(0), dim=0)
        for head in range(N_HEADS):
            torch.testing.assert_close(recorder.start[head, label], mean)
    # Only the novel classes are left.
    assert torch.equal(found.classifier.prototypes.prototypes[0], recorder.start[0, 2:])


def test_the_normal_prototype_starts_among_the_regions_with_low_scores(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(0.0, 1.0, 2.0)
    monkeypatch.setattr(discover, "train", recorder)
    _, base = _discover(encoder, tmp_path, correction="published")
    features = torch.from_numpy(describe_all(recorder.model, base.tokens))
    # A score of 0.1 has the published weight 0.4, so the centre with most of that weight is first.
    weights = torch.from_numpy(np.maximum(0.5 - SCORES, 0))
    nearest = (features @ recorder.start[0].T).argmax(1)
    means = [weights[nearest == label].mean() for label in range(3) if (nearest == label).any()]
    assert means[0] == max(means)


def test_new_regions_are_described_with_their_shapes(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    config = replace(QUICK, training=replace(QUICK.training, epochs=0))
    context = run_context(encoder, tmp_path, config)
    tokens = fill_store(context, crops(COUNT), COUNT)
    shapes = np.stack([np.linspace(-5, -4, COUNT), np.repeat([0.1, 2.0], COUNT // 2)], axis=1)
    regions = replace(scored_regions(np.full(COUNT, 0.9)), shape=shapes)
    found = discover_classes(context, regions, tokens, None, 3)
    assert found.probabilities.argmax(1).min() > 0  # no region is normal
    assert set(np.sign(found.features[: COUNT // 2, -1])) == {-1}
    assert set(np.sign(found.features[COUNT // 2 :, -1])) == {1}
    features, probabilities = classify(found.classifier, found.normality, tokens, regions)
    np.testing.assert_allclose(features, found.features, atol=1e-6)
    np.testing.assert_allclose(probabilities, found.probabilities, atol=1e-5)
    restored = RegionClassifier.from_state(encoder, found.classifier.state())
    np.testing.assert_allclose(describe_all(restored, tokens, regions), features, atol=1e-6)
    training = replace(QUICK.training, epochs=1)
    trained = run_context(encoder, tmp_path, replace(QUICK, training=training))
    assert not describe_start(trained, regions, tokens, None)[0][:, -2:].any()

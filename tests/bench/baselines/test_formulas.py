"""The formulas of the baselines, against values worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from anomalyncd_bench.baselines import uno
from anomalyncd_bench.baselines.anomaly_clustering import (
    distances_to_others,
    nearest,
    on_patches,
    softmax_weights,
    top_mean,
    typical_temperature,
    vectors,
)
from anomalyncd_bench.baselines.clustering import semi_supervised_kmeans
from anomalyncd_bench.baselines.gatcluster import Targets, gaussian_map
from anomalyncd_bench.baselines.iic import mutual_information
from anomalyncd_bench.baselines.scan import neighbour_loss, neighbours, self_label_loss
from anomalyncd_bench.baselines.simgcd import adaptive_margin, neighbourhood_contrast
from anomalyncd_bench.baselines.trained import Schedule, minimise
from anomalyncd_bench.baselines.uno import sinkhorn


def test_weights_of_patches() -> None:
    weights = softmax_weights(torch.tensor([0.0, math.log(2), math.log(5)]), 1.0)
    torch.testing.assert_close(weights, torch.tensor([1 / 8, 2 / 8, 5 / 8]))
    sharper = softmax_weights(torch.tensor([0.0, math.log(2), math.log(5)]), 0.5)
    torch.testing.assert_close(sharper, torch.tensor([1 / 30, 4 / 30, 25 / 30]))


def test_temperature_spreads_weights_over_the_share_asked_for() -> None:
    distances = [torch.tensor([1.0, 0, 0, 0]), torch.tensor([3.0, 2, 2, 2])]
    temperature = typical_temperature(distances, 0.5)
    weights = softmax_weights(distances[0].double(), temperature)
    assert float(torch.exp(-(weights * weights.log()).sum())) == pytest.approx(2, rel=1e-4)
    tenfold = typical_temperature([10 * one for one in distances], 0.5)
    assert tenfold == pytest.approx(10 * temperature, rel=1e-4)


def test_distance_is_the_mean_over_the_other_images() -> None:
    images = [torch.full((1, 1, 1, 2), value) for value in (0.0, 3.0, 9.0)]
    found = distances_to_others(images, seed=0)
    expected = [(3 + 9) / 2, (3 + 6) / 2, (9 + 6) / 2]
    torch.testing.assert_close(torch.stack(found), torch.tensor(expected)[:, None].expand(3, 2))
    torch.testing.assert_close(
        nearest(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [6.0, 8.0]])),
        torch.tensor([5.0]),
    )


def test_tokens_are_averaged_over_the_patches_there_are() -> None:
    patches = torch.arange(9.0).view(1, 1, 3, 3)
    assert vectors(patches)[[0, 4], 0].tolist() == [2.0, 4.0]
    assert vectors(patches.expand(2, 5, 3, 3)).shape == (9, 10)


def test_scores_of_a_map_are_pooled_row_by_row() -> None:
    scores = np.array([[1, 3, 0, 0], [5, 7, 0, 8]], np.float32)
    assert on_patches(scores, torch.zeros(1, 1, 1, 2)).tolist() == [4.0, 2.0]


def test_top_patches_are_a_twentieth() -> None:
    scores = torch.arange(40.0)
    assert top_mean(scores[:, None], scores).item() == 38.5
    assert top_mean(scores[:3, None], scores[:3]).item() == 2


def test_labelled_points_stay_and_may_be_joined() -> None:
    known = np.array([[0.0], [0.2], [5], [5.2]], np.float32)
    novel = np.array([[0.1], [5.1], [9], [9.2], [-9]], np.float32)
    found = semi_supervised_kmeans(novel, known, np.array([0, 0, 1, 1]), 2, seed=0)
    assert found[:2].tolist() == [0, 1]
    assert found[2] == found[3] != found[4]
    assert set(found[2:]) == {2, 3}


def test_semi_supervised_kmeans_keeps_the_best_of_several_starts() -> None:
    # With seed 1 the first start puts two centres into one cluster.
    corners = np.array([[0, 0], [1, 0], [8, 0], [9, 0], [0, 8], [1, 8], [8, 8], [9, 8]])
    clusters = np.repeat(np.arange(8), 10)
    points = corners[clusters] + np.random.default_rng(0).normal(0, 0.1, (80, 2))
    points = points.astype(np.float32)
    found = semi_supervised_kmeans(points, points[:5], np.zeros(5, np.int64), 7, seed=1)
    assert len({*zip(clusters.tolist(), found.tolist(), strict=True)}) == 8


def test_sinkhorn_by_hand() -> None:
    # In the limit rows and columns of [[e, 1], [1, 1]] sum to 1: [[p, 1-p], [1-p, p]] with
    # p^2 / (1-p)^2 = e, since scaling rows and columns leaves that ratio as it is.
    labels = sinkhorn(0.05 * torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    p = math.exp(0.5) / (1 + math.exp(0.5))
    torch.testing.assert_close(labels.sum(1), torch.ones(2))
    torch.testing.assert_close(labels.sum(0), torch.ones(2), atol=5e-3, rtol=0)
    assert labels[0, 0].item() == pytest.approx(p, abs=2e-3)
    assert not labels.requires_grad


def test_each_view_predicts_the_pseudo_label_of_the_other_one() -> None:
    torch.manual_seed(0)
    heads = uno._Heads(width=4, n_classes=2, n_base=0).eval()
    novel = torch.randn(6, 4)
    loss = heads.loss(novel, novel[:0], torch.zeros(0, dtype=torch.long))[0]
    first, second = heads.novel[0](novel).chunk(2)
    pairs = ((first, sinkhorn(second)), (second, sinkhorn(first)))
    expected = [functional.cross_entropy(view / uno.TEMPERATURE, label) for view, label in pairs]
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    assert not torch.allclose(sinkhorn(first), sinkhorn(second))


def test_learning_rates_fall_and_every_image_is_used_once_in_an_epoch() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.SGD([weight], lr=0.5)
    rates: list[float] = []
    batches: list[torch.Tensor] = []

    def loss(rows: torch.Tensor, epoch: int) -> torch.Tensor:
        rates.append(optimiser.param_groups[0]["lr"])
        batches.append(rows)
        return weight.sum()

    minimise(loss, optimiser, Schedule(10, 2, 4), torch.Generator().manual_seed(0))
    assert rates == pytest.approx([0.5] * 3 + [0.25] * 3)
    assert [len(rows) for rows in batches] == [4, 3, 3] * 2
    for epoch in (batches[:3], batches[3:]):
        assert torch.cat(epoch).sort().values.tolist() == list(range(10))
    assert weight.item() == pytest.approx(1 - 3 * 0.5 - 3 * 0.25)


def test_mutual_information_by_hand() -> None:
    sure = torch.eye(2).repeat(2, 1)
    assert mutual_information(sure, sure).item() == pytest.approx(math.log(2))
    assert mutual_information(sure, sure.flip(0)).item() == pytest.approx(math.log(2))
    even = torch.full((4, 2), 0.5)
    assert mutual_information(sure, even).item() == pytest.approx(0, abs=1e-6)
    first = torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    second = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
    # Mean outer product [[.22, .38], [.08, .32]], made symmetric [[.22, .23], [.23, .32]].
    by_hand = sum(
        p * math.log(p / (r * c))
        for p, r, c in [
            (0.22, 0.45, 0.45),
            (0.23, 0.45, 0.55),
            (0.23, 0.55, 0.45),
            (0.32, 0.55, 0.55),
        ]
    )
    assert mutual_information(first, second).item() == pytest.approx(by_hand, rel=1e-4)


def test_neighbours_leave_the_image_itself_out() -> None:
    near = neighbours(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [-1, 0]]), 1)
    assert near[:, 0].tolist() == [1, 0, 1, 2]


def test_neighbour_loss_by_hand() -> None:
    anchors = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    agreement = math.log(0.75 * 0.5 + 0.25 * 0.5)
    loss = neighbour_loss(anchors, torch.full((2, 2), 0.5))
    assert loss.item() == pytest.approx(-agreement - 5 * math.log(2))


def test_only_confident_images_teach_and_rare_classes_as_much() -> None:
    strong = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0], [9.0, -9.0]])
    weak = torch.tensor([[0.995, 0.005], [0.995, 0.005], [0.002, 0.998], [0.6, 0.4]])
    loss = self_label_loss(strong, weak)
    assert loss is not None
    frequent = [math.log(1 + math.exp(-2)), math.log(2)]
    rare = math.log(1 + math.exp(-1))
    assert loss.item() == pytest.approx((sum(frequent) / 2 + rare) / 2, rel=1e-5)
    assert self_label_loss(strong, torch.full((4, 2), 0.5)) is None


def test_neighbourhood_contrast_by_hand() -> None:
    # Two images; the only neighbour of each is the other one, whose neighbour is the image itself.
    bank = torch.eye(2)
    projections = torch.eye(2).repeat(2, 1)
    positives = [1.0, 0.0, 1.0]  # the other view, the neighbour, the neighbour's neighbour
    negatives = [0.0, 0.0]  # both views of the other image
    total = math.log(sum(math.exp(one) for one in positives + negatives))
    weights = [1.0, 1.0, 0.1]
    by_hand = sum(w * (total - p) for w, p in zip(weights, positives, strict=True)) / sum(weights)
    loss = neighbourhood_contrast(projections, torch.tensor([0, 1]), bank)
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_margin_asks_most_of_the_nearest_prototypes() -> None:
    # Cosines 0, -1 and 0: squared distances 2, 4 and 2, on average 8 / 3.
    prototypes = torch.tensor([[2.0, 0], [0, 1], [-1, 0]])
    assert adaptive_margin(prototypes).item() == pytest.approx(2 * (8 / 3 - 2) / 3)


def test_attention_peaks_at_its_window() -> None:
    places = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    attention = gaussian_map(torch.tensor([[1.0, 0, 0.5]]), places)[0]
    expected = [math.exp(-1 / 0.05), math.exp(-2 / 0.05), 1.0, math.exp(-1 / 0.05)]
    torch.testing.assert_close(attention, torch.tensor(expected), rtol=1e-2, atol=1e-12)


def test_targets_use_all_classes_alike() -> None:
    probabilities = torch.tensor([[0.8, 0.2], [0.6, 0.4]])
    targets = Targets.of(probabilities, seed=0)
    balanced = [(0.8 / 1.4) / (0.8 / 1.4 + 0.2 / 0.6), (0.6 / 1.4) / (0.6 / 1.4 + 0.4 / 0.6)]
    torch.testing.assert_close(targets.balanced[:, 0], torch.tensor(balanced), atol=1e-4, rtol=0)
    assert targets.sharpened[0, 0] > targets.balanced[0, 0]
    assert targets.clusters[0] != targets.clusters[1]

"""Studies on the regions of a few tiny images, with the tiny backbone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config.overrides import with_overrides
from anomalyncd.evaluation.metrics import cluster_scores, match_classes
from anomalyncd.pipeline import Pipeline
from anomalyncd_bench.data_sets import BenchSet, Folders, open_set
from anomalyncd_bench.entries import SetEntry, SourceEntry
from anomalyncd_bench.map_sources import open_source
from anomalyncd_bench.studies import unseen
from anomalyncd_bench.studies.class_number import EstimatedClassNumber
from anomalyncd_bench.studies.oracle import Oracle, Supervised
from anomalyncd_bench.studies.unseen import Unseen, calibration_error
from anomalyncd_bench.token_sharing import discover, read_regions
from support.quick import UNTRAINED, damage, picture, use_tiny

N_PER_KIND = 8


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path
) -> Iterator[tuple[Pipeline, BenchSet]]:
    """Good plates, lines and spots with true masks, whose regions have been read."""
    folder = tmp_path_factory.mktemp("studies")
    for group, kind in enumerate(("good", "line", "spot")):
        for index in range(N_PER_KIND):
            seed, name = 20 * group + index, f"{kind}/{index}"
            _save(folder / "plates" / "test" / f"{name}.png", picture(kind, seed))
            if kind != "good":
                mask = damage(kind, seed)
                _save(folder / "plates" / "ground_truth" / f"{name}_mask.png", mask)
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch, folder / "cache")
        entry = SetEntry(folder="plates", name="plates", group="plates", category=None)
        folders = Folders(folder, folder / "out", folder / "maps")
        bench_set = open_set(entry, folders, base=None, with_normals=False)
        inputs = open_source(bench_set, SourceEntry(name="masks", kind="masks"), folder)
        vit = load_backbone("tiny", tiny_weights)
        config = UNTRAINED.resolved()
        yield read_regions(vit, inputs, config, 0, folder / "work"), bench_set


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_oracle_that_knows_nothing_is_the_default(
    shared: tuple[Pipeline, BenchSet], seed: int
) -> None:
    pipeline, bench_set = shared
    expected = discover(pipeline, pipeline.context.config, 3, seed)
    found = Oracle().run(pipeline, bench_set, seed)
    np.testing.assert_array_equal(found == 0, expected == 0)
    # Starts vote by default, and one of them numbers the classes.
    assert adjusted_rand_score(found, expected) == 1


def test_seeds_of_a_discovery_are_used(shared: tuple[Pipeline, BenchSet]) -> None:
    pipeline, _ = shared
    config = with_overrides(pipeline.context.config, {"training.start": "random"})
    classes = [discover(pipeline, config, 5, seed) for seed in (0, 1)]
    assert (classes[0] != classes[1]).any()
    expected = pipeline.reuse(config, 1, 5).predictions.images["class"]
    np.testing.assert_array_equal(classes[1], expected)


def test_an_oracle_knows_the_true_classes(shared: tuple[Pipeline, BenchSet]) -> None:
    pipeline, bench_set = shared
    true = np.repeat([0, 1, 2], N_PER_KIND)
    # No discovery finds classes whose labels are shuffled.
    order = np.random.default_rng(0).permutation(len(true))
    shuffled = replace(bench_set, labels=bench_set.labels[order])
    normal = Oracle(normal=True).run(pipeline, shuffled, 0)
    np.testing.assert_array_equal(normal == 0, shuffled.labels == "good")
    assert (Oracle(centres=True).run(pipeline, shuffled, 0) != true[order]).any()
    both = Oracle(normal=True, centres=True).run(pipeline, bench_set, 0)
    np.testing.assert_array_equal(both, true)


def test_a_classifier_learns_the_labels_of_other_images(
    shared: tuple[Pipeline, BenchSet],
) -> None:
    pipeline, bench_set = shared
    predicted = Supervised().run(pipeline, bench_set, 0)
    assert (predicted == np.repeat([0, 1, 2], N_PER_KIND)).mean() > 0.9


def test_class_number(shared: tuple[Pipeline, BenchSet]) -> None:
    pipeline, bench_set = shared
    study = EstimatedClassNumber()
    result = study.run(pipeline, bench_set, 0)
    estimated = pipeline.reuse(pipeline.context.config, 0, None).class_number
    assert estimated is not None
    assert result == {
        "true": 3,
        "estimate": estimated.estimate,
        "low": estimated.low,
        "high": estimated.high,
        "votes": estimated.votes,
    }
    interval = f"{estimated.estimate} ({estimated.low} to {estimated.high})"
    assert study.row(result)["estimate"] == interval


def test_kinds_that_were_left_out_are_recognised(shared: tuple[Pipeline, BenchSet]) -> None:
    pipeline, bench_set = shared
    study = Unseen(n_folds=2)
    result = study.run(pipeline, bench_set, 0)
    assert set(result["scores"]) == {"largest probability", "nearest region", "default"}
    for kinds in result["scores"].values():
        assert set(kinds) == {"line", "spot", "mean"}
        mean = np.mean([kinds[kind]["auroc"] for kind in ("line", "spot")])
        assert kinds["mean"]["auroc"] == pytest.approx(mean, abs=1e-3)
    default = result["scores"]["default"]["mean"]
    assert default["auroc"] > 0.9
    assert study.row(result)["default"] == f"{default['auroc']:.3f}".removeprefix("0")
    assert result["rejected_when_known"] < 0.5


def test_what_is_scored_took_no_part_in_the_discovery(
    shared: tuple[Pipeline, BenchSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, bench_set = shared
    outlier_scores = unseen._outlier_scores
    kinds: list[str] = []

    def checked(whole: Pipeline, part: Pipeline, new: np.ndarray) -> dict[str, np.ndarray]:
        seen, scored = set(part.regions.image), set(whole.regions.image[new])
        assert not seen & scored
        left_out = set(bench_set.labels) - {bench_set.labels[image] for image in seen}
        assert len(left_out) == 1
        kinds.extend(left_out)
        return outlier_scores(whole, part, new)

    monkeypatch.setattr(unseen, "_outlier_scores", checked)
    Unseen(n_folds=2).run(pipeline, bench_set, 0)
    assert kinds == ["line", "line", "spot", "spot"]


def test_measures_of_outlier_scores_by_hand() -> None:
    truth, scores = np.array([False, False, True, True]), np.array([0.1, 0.6, 0.5, 0.9])
    auroc, aupr, fpr95 = unseen._measures(truth, scores)
    assert (auroc, fpr95) == (0.75, 0.5)
    assert aupr == pytest.approx((1 + 2 / 3) / 2)


def test_confidence_is_that_of_the_predictions(shared: tuple[Pipeline, BenchSet]) -> None:
    pipeline, bench_set = shared
    result = Unseen(n_folds=2).run(pipeline, bench_set, 0)
    images = pipeline.reuse(pipeline.context.config, 0, 3).predictions.images
    assert result["mean_confidence"] == pytest.approx(images["confidence"].mean(), abs=1e-3)
    scores = cluster_scores(bench_set.labels, images["class"])
    assert result["right"] == pytest.approx(scores.f1, abs=1e-3)
    matched = match_classes(bench_set.labels, images["class"])
    right = np.array([matched[one] for one in images["class"]]) == bench_set.labels
    expected = calibration_error(images["confidence"].to_numpy(), right)
    assert result["calibration_error"] == pytest.approx(expected, abs=1e-3)


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.65])
    right = np.array([True, True, False, True])
    # The bin of .9 has a gap of 2.85 - 2, that of .6 one of 1 - .65.
    assert calibration_error(confidence, right) == pytest.approx((0.85 + 0.35) / 4, abs=1e-3)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0

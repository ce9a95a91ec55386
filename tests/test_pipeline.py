"""The order of the stages, and what of them is shared, resumed and left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd.config import Config
from anomalyncd.detection.frequent_kinds import FrequentKinds
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.mean_store import MeanStore
from anomalyncd.errors import InputError
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.pipeline import STAGES, Pipeline
from support.quick import QUICK, SIZE, UNTRAINED, damage, picture, run_context

TRAINED = QUICK.resolved()


@pytest.fixture
def pipeline(encoder: RegionEncoder, images_folder: Path, tmp_path: Path) -> Pipeline:
    context = run_context(RegionEncoder(encoder.vit, TRAINED.encoder), tmp_path / "work", TRAINED)
    return Pipeline(context, check_inputs(images_folder), n_classes=3)


def test_a_result_runs_the_stages_above_it_once_and_no_others(
    pipeline: Pipeline, forwards: list[int]
) -> None:
    assert pipeline.regions is pipeline.regions
    assert [name for name in STAGES if name in pipeline.results] == [
        *("foreground", "foreground_masks", "detector", "maps", "normal_maps"),
        *("score_range", "regions"),
    ]
    count = len(forwards)
    assert pipeline.maps is not None
    assert len(forwards) == count


def test_discoveries_that_share_tokens_do_not_learn_from_each_other(
    pipeline: Pipeline,
) -> None:
    assert TRAINED.training.epochs > 0
    shared = [pipeline.reuse(TRAINED, 0, 3).discovery.probabilities for _ in range(2)]
    alone = pipeline.discovery.probabilities
    np.testing.assert_array_equal(shared[0], alone)
    np.testing.assert_array_equal(shared[1], alone)


def test_means_are_not_trained_by_another_config(
    encoder: RegionEncoder, images_folder: Path, tmp_path: Path
) -> None:
    context = run_context(encoder, tmp_path / "work", UNTRAINED.resolved())
    read = Pipeline(context, check_inputs(images_folder), 3)
    assert isinstance(read.tokens, MeanStore)
    with pytest.raises(ValueError, match="means over rotations are not trained"):
        _ = read.reuse(QUICK, 0, 3).discovery
    assert read.reuse(UNTRAINED, 0, 3).discovery.probabilities.shape == (len(read.regions), 3)


def test_a_frequent_kind_is_told_with_the_predictions(pipeline: Pipeline) -> None:
    assert isinstance(pipeline.detector, MutualScoring)
    kinds = FrequentKinds(0.1, 9, 40)
    pipeline.results["detector"] = replace(pipeline.detector, frequent_kinds=kinds)
    assert str(kinds) in pipeline.predictions.warnings
    assert pipeline.model().detector is pipeline.detector


@pytest.mark.parametrize("what", ["ignored", "ignored_on_normals"])
def test_ignored_areas_count_on_no_map(
    encoder: RegionEncoder, images_folder: Path, tmp_path: Path, what: str
) -> None:
    """Everything but the left edge is ignored, so no score is left elsewhere."""
    ignore = np.full(SIZE, 255, np.uint8)
    ignore[:, :8] = 0
    Image.fromarray(ignore).save(tmp_path / "ignore.png")
    normals = [picture("good", seed) for seed in range(80, 84)]
    inputs = check_inputs(images_folder, normals=normals, ignore=tmp_path / "ignore.png")
    pipeline = Pipeline(run_context(encoder, tmp_path / "work"), inputs, 3)
    maps = pipeline.maps if what == "ignored" else pipeline.normal_maps
    assert maps is not None
    assert all(scores[:, 16:].max() == scores.min() for scores in maps)


def test_scores_of_normal_images_lie_on_the_scale_of_the_images(
    encoder: RegionEncoder, images_folder: Path, tmp_path: Path
) -> None:
    normals = [picture("good", seed) for seed in range(80, 84)]
    inputs = check_inputs(images_folder, normals=normals)
    pipeline = Pipeline(run_context(encoder, tmp_path), inputs, 3)
    limits, maps = pipeline.score_range, pipeline.normal_maps
    assert limits is not None
    assert maps is not None
    highest = np.array([scores.max() for scores in maps])
    expected = ((highest - limits.low) / (limits.high - limits.low)).clip(0, 1)
    assert expected.max() < 1
    np.testing.assert_allclose(pipeline.normal_scores(), expected, atol=1e-5)


def test_a_single_normal_image_does_not_make_everything_normal(
    encoder: RegionEncoder, images_folder: Path, tmp_path: Path
) -> None:
    inputs = check_inputs(images_folder, normals=[picture("good", 80)])
    pipeline = Pipeline(run_context(encoder, tmp_path), inputs, 3)
    assert pipeline.normal_maps is None
    assert pipeline.regions.found.any()


def test_an_interrupted_run_goes_on_only_from_its_own_tokens(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    images = [picture("spot", seed) for seed in range(12)]
    maps = [damage("spot", seed).astype(np.float32) for seed in range(12)]

    def tokens(config: Config, forgotten: bool = False) -> np.ndarray:
        context = replace(run_context(encoder, tmp_path / "run", config), resumable=True)
        pipeline = Pipeline(context, check_inputs(images, maps=maps), 3)
        assert (pipeline._resumed is None) == forgotten
        return pipeline.tokens.read(encoder).numpy()

    first = tokens(UNTRAINED, forgotten=True)
    np.testing.assert_array_equal(tokens(UNTRAINED), first)
    other = replace(UNTRAINED, crops=replace(UNTRAINED.crops, size=24))
    tokens(other, forgotten=True)
    encoder.vit.blocks[0].mlp.fc1.weight.data += 0.1
    tokens(other, forgotten=True)


@pytest.mark.parametrize(
    ("place", "stage", "remedy"),
    [
        ("anomalyncd.pipeline.fit_detector", "detector", "lower `detector.resolution`"),
        ("anomalyncd.pipeline.write_anomaly_maps", "maps", "lower `detector.resolution`"),
        ("anomalyncd.embedding.encoder.RegionEncoder.frozen_features", "tokens", "`crops.size`"),
        ("anomalyncd.discovery.training.batch_loss", "discovery", "`training.batch_size`"),
        ("anomalyncd.embedding.token_store.TokenStore.attend", "attention", "end other programs"),
    ],
)
def test_full_memory_names_the_stage_and_the_remedy(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, place: str, stage: str, remedy: str
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    monkeypatch.setattr(place, full)
    with pytest.raises(InputError, match=f"full in the stage {stage}; .*{remedy}.* device cpu"):
        _ = pipeline.predictions


def test_other_errors_of_a_stage_stay_what_they_are(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("anomalyncd.pipeline.fit_detector", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        _ = pipeline.maps

"""Scores of images lean towards those of images that look alike as a whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anomalyncd.detection import maps as anomaly_maps
from anomalyncd.detection.fitting import fit_detector
from anomalyncd.detection.maps import write_anomaly_maps
from anomalyncd.detection.reranking import reranked
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from support.quick import QUICK, picture

PARTS = ImageSet.from_list([picture(("good", "spot")[i % 2], i) for i in range(7)])
SETTINGS = replace(QUICK.detector, rerank=(1, 2, 3))


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape, np.float32)


def test_scores_are_means_over_the_likest_as_published() -> None:
    scores, cls = random(20), torch.from_numpy(random(20, 6) - 0.2)
    cosines = torch.nn.functional.cosine_similarity(cls[:, None], cls[None], dim=2).numpy()
    scaled = (scores - scores.min()) / np.ptp(scores)
    means = []
    for count in (1, 2, 3):
        kept = np.where(cosines >= np.sort(cosines)[:, [-count]], cosines, 0)
        means.append(kept / kept.sum(1, keepdims=True) @ scaled)
    expected = np.mean(means, 0) * np.ptp(scores) + scores.min()
    np.testing.assert_allclose(reranked(scores, cls, (1, 2, 3)), expected, atol=1e-5)


@pytest.mark.parametrize(("count", "nearest"), [(1, (1, 2, 3)), (6, (1,))])
def test_nothing_changes_alone(count: int, nearest: tuple[int, ...]) -> None:
    scores = random(count)
    cls = torch.from_numpy(random(count, 4))
    np.testing.assert_allclose(reranked(scores, cls, nearest), scores, rtol=1e-6)


def written(encoder: RegionEncoder, folder: Path, rerank: tuple[int, ...]) -> list[np.ndarray]:
    config = replace(SETTINGS, rerank=rerank)
    detector = fit_detector(encoder.vit, PARTS, None, config, 0)
    return list(write_anomaly_maps(encoder.vit, PARTS, detector, config, folder))


def test_maps_keep_their_shape_and_reach_the_new_score(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    plain = written(encoder, tmp_path / "plain", ())
    new = written(encoder, tmp_path / "new", (1, 2, 3))
    factors = [one.max() / old.max() for one, old in zip(new, plain, strict=True)]
    for one, old, factor in zip(new, plain, factors, strict=True):
        np.testing.assert_allclose(one, factor * old, rtol=3e-3)
    assert max(factors) > 1.01
    assert min(factors) < 0.99
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"made_from.json", *(f"{name}.npy" for name in PARTS.names)}


def test_interrupted_run_reranks_once(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops while scoring, then while writing the last maps."""
    whole = written(encoder, tmp_path / "whole", (1, 2, 3))
    write = anomaly_maps.write_map
    for n_written in (4, 5):
        left = [n_written]

        def limited(path: Path, scores: np.ndarray, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            write(path, scores)

        monkeypatch.setattr(anomaly_maps, "write_map", limited)
        with pytest.raises(KeyboardInterrupt):
            written(encoder, tmp_path / "stopped", (1, 2, 3))
    assert len(list((tmp_path / "stopped").glob("*.npy"))) == 2
    monkeypatch.setattr(anomaly_maps, "write_map", write)
    resumed = written(encoder, tmp_path / "stopped", (1, 2, 3))
    for one, other in zip(resumed, whole, strict=True):
        assert np.array_equal(one, other)
    again = written(encoder, tmp_path / "stopped", (1, 2, 3))
    assert all(map(np.array_equal, again, whole))


def test_maps_that_wait_for_other_settings_are_not_used(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> np.ndarray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(anomaly_maps, "reranked", stop)
        with pytest.raises(KeyboardInterrupt):
            written(encoder, tmp_path, (1, 2, 3))
    assert (tmp_path / ".not_reranked").is_dir()
    written(encoder, tmp_path, ())
    assert not (tmp_path / ".not_reranked").exists()

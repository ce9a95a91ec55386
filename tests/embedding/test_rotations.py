"""What is not trained is read in several rotations, by a run and by a model that was saved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.config import Config, EncoderConfig
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import fill_token_store
from support.quick import (
    QUICK,
    UNTRAINED,
    crops,
    picture,
    run_context,
    scored_regions,
    write_base_set,
)

NEW = [picture(kind, 40 + i) for i, kind in enumerate(("good", "line", "spot", "spot"))]


def _with_rotations(config: Config, n_rotations: int) -> Config:
    return replace(config, encoder=replace(config.encoder, n_rotations=n_rotations))


def _model(tiny: Path, config: Config = UNTRAINED) -> AnomalyNCD:
    return AnomalyNCD(3, backbone="tiny", weights=tiny, preset=config)


def test_rotations_tell_something(tiny: Path, images_folder: Path) -> None:
    read = [
        _model(tiny, _with_rotations(UNTRAINED, n_rotations))
        .fit(images_folder)
        .predictions_.features
        for n_rotations in (1, 4, 8)
    ]
    assert not np.allclose(read[0], read[1], atol=1e-3)
    assert not np.allclose(read[1], read[2], atol=1e-3)


@pytest.mark.parametrize("config", [UNTRAINED, _with_rotations(UNTRAINED, 8), QUICK])
@pytest.mark.parametrize("with_base", [False, True])
def test_models_read_new_parts_as_they_read_those_of_fit(
    tiny: Path, images_folder: Path, tmp_path: Path, config: Config, with_base: bool
) -> None:
    write_base_set(tmp_path / "base")
    base = {"base": tmp_path / "base"} if with_base else {}
    model = _model(tiny, config).fit(images_folder, **base)
    same = model.classify(images_folder).features
    np.testing.assert_allclose(same, model.predictions_.features, atol=1e-5)
    model.save(tmp_path / "model")
    loaded = AnomalyNCD.load(tmp_path / "model")
    assert loaded.preset == config
    expected = model.classify(NEW)
    assert np.array_equal(loaded.classify(NEW).features, expected.features)
    again = loaded.fit(images_folder, **base).classify(NEW)
    np.testing.assert_allclose(again.features, expected.features, atol=1e-5)


def test_base_sets_are_kept_in_all_rotations(
    tiny: Path, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_base_set(tmp_path / "base")
    first = _model(tiny).fit(images_folder, base=tmp_path / "base").predictions_
    monkeypatch.delattr("anomalyncd.embedding.base_regions.fill_token_store")
    again = _model(tiny).fit(images_folder, base=tmp_path / "base").predictions_
    assert np.array_equal(first.probabilities, again.probabilities)


def test_mean_over_rotations_is_not_trained(encoder: RegionEncoder, tmp_path: Path) -> None:
    context = run_context(encoder, tmp_path)
    tokens = fill_token_store(context, crops(4), 4)
    assert tokens.means is not None
    with pytest.raises(ValueError, match="n_rotations=1"):
        discover_classes(context, scored_regions(np.full(4, 0.5)), tokens, None, 2)


@pytest.mark.parametrize("epochs", [0, 2])
def test_epochs_decide_what_is_read(epochs: int) -> None:
    resolved = replace(QUICK, training=replace(QUICK.training, epochs=epochs)).resolved()
    assert resolved.crops.n_views == (QUICK.crops.n_views if epochs else 0)
    assert resolved.encoder.n_rotations == (1 if epochs else 4)


def test_other_numbers_of_rotations_are_refused() -> None:
    with pytest.raises(InputError, match="n_rotations=3 cannot be used; use one of 1, 4, 8"):
        EncoderConfig(n_rotations=3)

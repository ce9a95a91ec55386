"""What is not trained is read in several rotations, by a run and by a model that was saved."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.config import Config, EncoderConfig
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.mean_store import MeanStore
from anomalyncd.embedding.region_store import BATCH, fill_store, fill_token_store
from anomalyncd.io.tensor_files import save_checked
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
    monkeypatch.delattr("anomalyncd.embedding.base_regions.fill_store")
    again = _model(tiny).fit(images_folder, base=tmp_path / "base").predictions_
    assert np.array_equal(first.probabilities, again.probabilities)


def test_tokens_of_a_base_set_where_means_suffice_are_read_again(
    tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    """As an earlier version has cached them."""
    write_base_set(tmp_path / "base")
    first = _model(tiny).fit(images_folder, base=tmp_path / "base").predictions_
    (cached,) = (tmp_path / "cache" / "base").iterdir()
    kept = load_file(cached)
    assert kept.keys() == {"means", "attention"}
    save_checked(kept | {"tokens": torch.zeros(len(kept["means"]), 1, 17, 16)}, cached)
    again = _model(tiny).fit(images_folder, base=tmp_path / "base").predictions_
    assert np.array_equal(first.probabilities, again.probabilities)
    assert load_file(cached).keys() == kept.keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("guidance", ["soft", "learned", "none"])
def test_attention_is_that_of_the_tokens_that_are_not_kept(
    encoder: RegionEncoder,
    tmp_path: Path,
    dtype: torch.dtype,
    guidance: Literal["soft", "learned", "none"],
) -> None:
    config = replace(UNTRAINED, encoder=replace(UNTRAINED.encoder, guidance=guidance)).resolved()
    encoder = RegionEncoder(encoder.vit, config.encoder).set_frozen_precision(dtype)
    context = run_context(encoder, tmp_path, config)
    kept = fill_store(context, crops(BATCH), BATCH)
    tokens = fill_token_store(context, crops(BATCH), BATCH)
    assert isinstance(kept, MeanStore)
    assert sum(one.nbytes for one in kept.tensors.values()) < tokens.tokens.nbytes
    expected = tokens.attend(encoder)
    if guidance == "none":
        assert kept.attend(encoder) is None
        assert expected is None
    else:
        assert expected is not None
        assert expected.shape == (BATCH, 2, 4, 4)
        np.testing.assert_array_equal(kept.attend(encoder), expected)


def test_mean_over_rotations_is_not_trained(encoder: RegionEncoder, tmp_path: Path) -> None:
    context = run_context(encoder, tmp_path)
    tokens = fill_store(context, crops(4), 4)
    assert isinstance(tokens, MeanStore)
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

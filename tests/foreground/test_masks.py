"""The product in each picture: kept between runs, guarded, and told in a few numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anomalyncd import (
    ForegroundConfig,
    ImageSet,
    InputError,
)
from anomalyncd.backbone.features import TokenReader, Tokens
from anomalyncd.config import Config
from anomalyncd.foreground import foreground as foreground_module
from anomalyncd.foreground import masks as object_masks
from anomalyncd.foreground.foreground import Foreground, fit_foreground
from anomalyncd.foreground.masks import summarise, write_foreground_masks
from anomalyncd.foreground.principal_component import PrincipalComponent
from anomalyncd.inputs.masks import Masks
from support.quick import QUICK
from support.token_maps import GRID, SIZE, block, texture, tokens_of

DRAWN = [block(5 + i, 20 - 2 * i, 14, 10) for i in range(6)]
ASKED = replace(QUICK, foreground=ForegroundConfig())
PICTURES = ImageSet.from_list([np.full((*SIZE, 3), i, np.uint8) for i in range(6)])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Tokens of the six pictures, which stand in for those of the backbone."""
    tokens = [tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]

    def read(reader: TokenReader, images: ImageSet, index: int) -> Tokens:
        return Tokens([tokens[int(images.image(index).max())]], [], SIZE)

    monkeypatch.setattr(TokenReader, "read", read)
    return tokens


@pytest.fixture
def vit(encoder):
    return encoder.vit


def covered(mask: np.ndarray) -> np.ndarray:
    """A mask of patches at the size of those on disk, 512 x 512."""
    return np.kron(mask, np.ones((64, 64), bool))[::5, ::5]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_product_is_found_in_every_picture(shown, vit, tmp_path: Path) -> None:
    prior = fit_foreground(vit, PICTURES, ASKED, 0)
    assert prior.source == "backbone"
    masks = write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path)
    assert masks is not None
    for found, mask in zip(masks, DRAWN, strict=True):
        assert found.shape == (512, 512)
        assert overlap(found, covered(mask)) > 0.8
    summary = summarise(prior, masks)
    assert summary.n_whole == 0
    assert summary.shares == pytest.approx((140 / 1600,) * 3, abs=0.02)
    assert str(summary).startswith("backbone (plain background found); ")
    assert f"median {100 * summary.shares[1]:.0f} %" in str(summary)


def test_two_products_and_a_speck(shown, vit, tmp_path: Path) -> None:
    prior = fit_foreground(vit, PICTURES, ASKED, 0)
    both = block(5, 4, 14, 10) | block(22, 24, 10, 10)
    shown[1] = tokens_of(both | block(35, 3, 2, 2))
    for most, expected in ((5, both), (1, block(5, 4, 14, 10))):
        config = replace(ASKED, foreground=ForegroundConfig(max_objects=most))
        masks = write_foreground_masks(vit, PICTURES, prior, None, config, tmp_path)
        assert masks is not None
        assert overlap(masks[1], covered(expected)) > 0.8


def test_pictures_without_the_product_count_as_a_whole(shown, vit, tmp_path: Path) -> None:
    prior = fit_foreground(vit, PICTURES, ASKED, 0)
    shown[1], shown[2] = tokens_of(np.zeros(GRID, bool)), tokens_of(block(3, 3, 5, 5))
    masks = write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path)
    assert masks is not None
    assert [bool(mask.all()) for mask in masks] == [False, True, True, False, False, False]
    summary = summarise(prior, masks)
    assert (summary.n_whole, summary.n_pictures) == (2, 6)
    assert "2 of 6 pictures count as a whole" in str(summary)


def test_textures_count_as_a_whole_and_say_so(shown, vit, tmp_path: Path) -> None:
    shown[:] = [texture(seed) for seed in range(6)]
    prior = fit_foreground(vit, PICTURES, ASKED, 0)
    assert (prior.source, prior.reason) == ("none", "texture: no plain background found")
    assert write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    insisted = replace(QUICK, foreground=ForegroundConfig(source="backbone"))
    with pytest.raises(InputError, match="no plain background"):
        fit_foreground(vit, PICTURES, insisted, 0)


def test_masks_are_kept_until_something_changes(
    shown, vit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior = fit_foreground(vit, PICTURES, ASKED, 0)
    write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path)
    made: list[int] = []
    smooth = PrincipalComponent.smooth_mask
    monkeypatch.setattr(
        PrincipalComponent, "smooth_mask", lambda *given: (made.append(1), smooth(*given))[1]
    )
    write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path)
    assert made == []
    (tmp_path / "003.png").unlink()
    write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path)
    assert len(made) == 1
    less = replace(ASKED, foreground=ForegroundConfig(least_share=0.5))
    masks = write_foreground_masks(vit, PICTURES, prior, None, less, tmp_path)
    assert len(made) == 7
    assert masks is not None
    assert all(mask.all() for mask in masks)
    other = Foreground("backbone", prior.reason, replace(prior.component, threshold=1e9))
    write_foreground_masks(vit, PICTURES, other, None, less, tmp_path)
    assert len(made) == 13


def test_given_masks_go_first_however_small(shown, vit, tmp_path: Path) -> None:
    boxes = np.array([[10.0, 20, 170, 120]])
    given = Masks(PICTURES, (boxes, None, boxes[:, :] * 0.05, boxes, boxes, boxes))
    prior = Foreground("given", "masks were given")
    masks = write_foreground_masks(vit, PICTURES, prior, given, ASKED, tmp_path)
    assert masks is not None
    assert masks[0].mean() == pytest.approx(160 * 100 / (320 * 320), abs=0.01)
    assert [bool(mask.all()) for mask in masks] == [False, True, False, False, False, False]


def test_strange_masks_are_left_alone(shown, vit, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"x")
    prior = fit_foreground(vit, PICTURES, ASKED, 0)
    with pytest.raises(InputError, match=r"mine\.png' was not made here"):
        write_foreground_masks(vit, PICTURES, prior, None, ASKED, tmp_path)
    assert (tmp_path / "mine.png").is_file()


def test_words_reach_the_models(vit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Fake:
        def __init__(self, config: ForegroundConfig, device: torch.device) -> None:
            assert device == vit.cls_token.device

        def find(self, image: np.ndarray, prompt: str) -> np.ndarray:
            asked.append(prompt)
            return np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) < 30_000

    monkeypatch.setattr(object_masks, "GroundedSam", Fake)
    monkeypatch.setattr(foreground_module, "require_transformers", lambda: None)
    words = ForegroundConfig(source="grounded-sam", prompt="Bolt")
    config: Config = replace(QUICK, foreground=words)
    prior = fit_foreground(vit, PICTURES, config, 0)
    assert (prior.source, prior.prompt) == ("grounded-sam", "bolt.")
    masks = write_foreground_masks(vit, PICTURES, prior, None, config, tmp_path)
    assert asked == ["bolt."] * 6
    assert masks is not None
    assert masks[5].mean() == pytest.approx(0.293, abs=0.01)

"""Masks of the foreground are written for each image, used again, and summarised."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anomalyncd.backbone.features import TokenReader, Tokens
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import Config, ForegroundConfig
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.foreground import foreground as foreground_module
from anomalyncd.foreground import masks as masks_module
from anomalyncd.foreground.foreground import Foreground, fit_foreground
from anomalyncd.foreground.masks import summarise, write_foreground_masks
from anomalyncd.foreground.principal_component import PrincipalComponent
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.inputs import check_inputs
from anomalyncd.inputs.masks import Masks
from support.quick import QUICK
from support.token_maps import GRID, SIZE, block, texture, tokens_of

DRAWN = [block(5 + i, 20 - 2 * i, 14, 10) for i in range(6)]
CONFIG = replace(QUICK, foreground=ForegroundConfig())
IMAGES = ImageSet.from_list([np.full((*SIZE, 3), i, np.uint8) for i in range(6)])
INPUTS = check_inputs(IMAGES)


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Tokens of the six images, which replace those of the backbone."""
    of_images = [tokens_of(mask, seed) for seed, mask in enumerate(DRAWN)]

    def read(reader: TokenReader, images: ImageSet, index: int) -> Tokens:
        return Tokens([of_images[int(images.image(index).max())]], [], SIZE)

    monkeypatch.setattr(TokenReader, "read", read)
    return of_images


@pytest.fixture
def vit(encoder: RegionEncoder) -> VisionTransformer:
    return encoder.vit


def at_size_on_disk(mask: np.ndarray) -> np.ndarray:
    """A mask of patches at the size of the files, 512 x 512."""
    return np.kron(mask, np.ones((64, 64), bool))[::5, ::5]


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_the_foreground_of_every_image_is_found(tokens, vit, tmp_path: Path) -> None:
    foreground = fit_foreground(vit, IMAGES, CONFIG, 0)
    assert foreground.source == "backbone"
    masks = write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path)
    assert masks is not None
    for written, mask in zip(masks, DRAWN, strict=True):
        assert written.shape == (512, 512)
        assert overlap(written, at_size_on_disk(mask)) > 0.8
    summary = summarise(foreground, masks)
    assert summary.n_whole == 0
    assert summary.shares == pytest.approx((140 / 1600,) * 3, abs=0.02)
    assert str(summary).startswith("backbone (plain background found); ")
    assert f"median {100 * summary.shares[1]:.0f} %" in str(summary)


def test_several_objects_are_found_but_no_specks(tokens, vit, tmp_path: Path) -> None:
    foreground = fit_foreground(vit, IMAGES, CONFIG, 0)
    both = block(5, 4, 14, 10) | block(22, 24, 10, 10)
    tokens[1] = tokens_of(both | block(35, 3, 2, 2))
    for max_objects, expected in ((5, both), (1, block(5, 4, 14, 10))):
        config = replace(CONFIG, foreground=ForegroundConfig(max_objects=max_objects))
        masks = write_foreground_masks(vit, INPUTS, foreground, config, tmp_path)
        assert masks is not None
        assert overlap(masks[1], at_size_on_disk(expected)) > 0.8


def test_images_without_the_product_count_entirely(tokens, vit, tmp_path: Path) -> None:
    foreground = fit_foreground(vit, IMAGES, CONFIG, 0)
    tokens[1], tokens[2] = tokens_of(np.zeros(GRID, bool)), tokens_of(block(3, 3, 5, 5))
    masks = write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path)
    assert masks is not None
    assert [bool(mask.all()) for mask in masks] == [False, True, True, False, False, False]
    summary = summarise(foreground, masks)
    assert (summary.n_whole, summary.n_images) == (2, 6)
    assert "2 of 6 images count as foreground entirely" in str(summary)


def test_textures_have_no_masks(tokens, vit, tmp_path: Path) -> None:
    tokens[:] = [texture(seed) for seed in range(6)]
    foreground = fit_foreground(vit, IMAGES, CONFIG, 0)
    assert (foreground.source, foreground.reason) == ("none", "texture: no plain background found")
    assert write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    backbone = replace(QUICK, foreground=ForegroundConfig(source="backbone"))
    with pytest.raises(InputError, match=r"no plain background .* product as `foreground`"):
        fit_foreground(vit, IMAGES, backbone, 0)


def test_masks_are_used_until_something_changes(
    tokens, vit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreground = fit_foreground(vit, IMAGES, CONFIG, 0)
    write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path)
    made: list[int] = []
    smooth = PrincipalComponent.smooth_mask
    monkeypatch.setattr(
        PrincipalComponent,
        "smooth_mask",
        lambda *args: (made.append(1), smooth(*args))[1],
    )
    write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path)
    assert made == []
    (tmp_path / "003.png").unlink()
    write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path)
    assert len(made) == 1
    less = replace(CONFIG, foreground=ForegroundConfig(least_share=0.5))
    masks = write_foreground_masks(vit, INPUTS, foreground, less, tmp_path)
    assert len(made) == 7
    assert masks is not None
    assert all(mask.all() for mask in masks)
    other = Foreground("backbone", foreground.reason, replace(foreground.component, threshold=1e9))
    write_foreground_masks(vit, INPUTS, other, less, tmp_path)
    assert len(made) == 13


def test_drawn_masks_are_used_however_small(tokens, vit, tmp_path: Path) -> None:
    boxes = np.array([[10.0, 20, 170, 120]])
    drawn = Masks(IMAGES, (boxes, None, boxes[:, :] * 0.05, boxes, boxes, boxes))
    foreground = Foreground("given", "masks were given")
    masks = write_foreground_masks(
        vit, replace(INPUTS, foreground=drawn), foreground, CONFIG, tmp_path
    )
    assert masks is not None
    assert masks[0].mean() == pytest.approx(160 * 100 / (320 * 320), abs=0.01)
    assert [bool(mask.all()) for mask in masks] == [False, True, False, False, False, False]
    smaller = Masks(IMAGES, (boxes / 2, *drawn.sources[1:]))
    masks = write_foreground_masks(
        vit, replace(INPUTS, foreground=smaller), foreground, CONFIG, tmp_path
    )
    assert masks is not None
    assert masks[0].mean() == pytest.approx(80 * 50 / (320 * 320), abs=0.01)


def test_masks_that_were_not_made_here_are_refused(tokens, vit, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"x")
    foreground = fit_foreground(vit, IMAGES, CONFIG, 0)
    with pytest.raises(InputError, match=r"mine\.png' was not made by this command"):
        write_foreground_masks(vit, INPUTS, foreground, CONFIG, tmp_path)
    assert (tmp_path / "mine.png").is_file()


def test_the_prompt_reaches_the_models(
    vit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []

    class Fake:
        def __init__(self, config: ForegroundConfig, device: torch.device) -> None:
            assert device == vit.cls_token.device

        def find(self, image: np.ndarray, prompt: str) -> np.ndarray:
            prompts.append(prompt)
            return np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) < 30_000

    monkeypatch.setattr(masks_module, "GroundedSam", Fake)
    monkeypatch.setattr(foreground_module, "require_transformers", lambda: None)
    settings = ForegroundConfig(source="grounded-sam", prompt="Bolt")
    config: Config = replace(QUICK, foreground=settings)
    foreground = fit_foreground(vit, IMAGES, config, 0)
    assert (foreground.source, foreground.prompt) == ("grounded-sam", "bolt.")
    masks = write_foreground_masks(vit, INPUTS, foreground, config, tmp_path)
    assert prompts == ["bolt."] * 6
    assert masks is not None
    assert masks[5].mean() == pytest.approx(0.293, abs=0.01)

"""Tokens are read once, and again when anything that they depend on changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anomalyncd.backbone.features import (
    Reading,
    TokenReader,
    Tokens,
)
from anomalyncd.backbone.pixels import (
    normalise,
    resize,
    to_tensor,
)
from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.backbone.vit import VisionTransformer, VitConfig
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.cache import (
    LIMIT_VARIABLE,
    TOKENS,
    cache_folder,
)
from support.quick import SIZE, picture

READING = Reading(96, patch_layers=(0, 1), cls_layers=(1, 3))


@pytest.fixture
def photo(images_folder: Path, tmp_path: Path) -> Path:
    """An image file that may be changed."""
    path = tmp_path / "photo.png"
    path.write_bytes((images_folder / "spot" / "000.png").read_bytes())
    return path


def read(vit: VisionTransformer, image: Path | np.ndarray, reading: Reading = READING) -> Tokens:
    return TokenReader(vit, reading).read(ImageSet.from_list([image]), 0)


def stored() -> list[Path]:
    return sorted(path for path in (cache_folder() / TOKENS).iterdir() if path.is_file())


def same(first: Tokens, second: Tokens) -> bool:
    pairs = zip(first.patches + first.cls, second.patches + second.cls, strict=True)
    equal = all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)
    return equal and first.size == second.size


@torch.no_grad()
def test_tokens_are_those_after_the_blocks(encoder: RegionEncoder, photo: Path) -> None:
    vit = encoder.vit
    tokens = read(vit, photo)
    height, width = 80, 112  # of 72 x 96 px, the area of 96 x 96 px in whole patches of 8 px
    images = normalise(to_tensor(resize(ImageSet.from_list([photo]).image(0), height, width)[None]))
    after = [vit.embed(images)]
    for block in vit.blocks:
        after.append(block(after[-1]))
    assert [patches.shape for patches in tokens.patches] == [(16, height // 8, width // 8)] * 2
    for patches, layer in zip(tokens.patches, (0, 1), strict=True):
        torch.testing.assert_close(patches.flatten(1).T, after[layer + 1][0, 1:])
    for cls, layer in zip(tokens.cls, (1, 3), strict=True):
        torch.testing.assert_close(cls, after[layer + 1][0, 0])
    assert tokens.size == SIZE


@torch.no_grad()
def test_registers_are_no_patches(tiny: Path, photo: Path) -> None:
    config = VitConfig(patch_size=8, width=16, depth=1, n_heads=2, grid=4, n_registers=2)
    vit = VisionTransformer(config)
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    (patches,) = read(vit, photo, Reading(96, patch_layers=(0,))).patches
    images = normalise(to_tensor(resize(ImageSet.from_list([photo]).image(0), 80, 112)[None]))
    expected = vit.blocks[0](vit.embed(images))[0, 3:]
    torch.testing.assert_close(patches.flatten(1).T, expected)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("in_memory", [False, True])
def test_an_image_is_read_once(
    encoder: RegionEncoder,
    photo: Path,
    forwards: list[int],
    precision: torch.dtype,
    in_memory: bool,
) -> None:
    vit = encoder.set_frozen_precision(precision).vit
    image = picture("line", 1) if in_memory else photo
    first = read(vit, image)
    assert first.patches[0].dtype == precision
    again = read(vit, image.copy() if isinstance(image, np.ndarray) else image)
    assert len(forwards) == 1
    assert same(first, again)


def test_the_same_content_under_another_name_is_not_read_again(
    encoder: RegionEncoder, photo: Path, forwards: list[int]
) -> None:
    read(encoder.vit, photo)
    read(encoder.vit, photo.rename(photo.with_name("other.png")))
    assert len(forwards) == 1


def test_tokens_are_read_again_when_anything_changes(
    encoder: RegionEncoder, photo: Path, forwards: list[int]
) -> None:
    vit = encoder.vit

    def assert_read_again(image: Path | np.ndarray = photo, reading: Reading = READING) -> None:
        before = len(forwards)
        read(vit, image, reading)
        assert len(forwards) == before + 1
        read(vit, image, reading)
        assert len(forwards) == before + 1

    assert_read_again()
    pixels = ImageSet.from_list([photo]).image(0).copy()
    pixels[3, 5] += 1
    assert_read_again(pixels)
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert_read_again()
    for reading in (
        replace(READING, resolution=104),
        replace(READING, square=True),
        replace(READING, patch_layers=(1,)),
        replace(READING, cls_layers=(2, 3)),
    ):
        assert_read_again(reading=reading)
    with torch.no_grad():
        vit.blocks[3].mlp.fc1.weight[0, 0] += 1
    assert_read_again()
    vit.to(torch.bfloat16)
    assert_read_again()


def test_tokens_depend_on_the_region_of_interest(
    encoder: RegionEncoder, photo: Path, forwards: list[int]
) -> None:
    reader, images = TokenReader(encoder.vit, READING), ImageSet.from_list([photo])
    roi = RegionOfInterest((40.0, 30.0), (24, 48), 0.3)
    of_roi = reader.read(images, 0, roi)
    assert of_roi.size == (24, 48)
    assert same(of_roi, read(encoder.vit, roi.cut(images.image(0))))
    assert same(of_roi, reader.read(images, 0, replace(roi)))
    assert len(forwards) == 2
    for other in (None, replace(roi, centre=(41.0, 30.0)), replace(roi, angle=0.31)):
        assert not same(of_roi, reader.read(images, 0, other))
    assert len(forwards) == 5


def test_tokens_do_not_depend_on_later_blocks(
    encoder: RegionEncoder, photo: Path, forwards: list[int]
) -> None:
    """Training changes their weights."""
    reading = Reading(96, patch_layers=(0, 1))
    read(encoder.vit, photo, reading)
    with torch.no_grad():
        encoder.vit.blocks[3].mlp.fc1.weight.zero_()
        encoder.vit.norm.weight.zero_()
    read(encoder.vit, photo, reading)
    assert len(forwards) == 1


@pytest.mark.parametrize("damage", [b"", b"\0" * 500, None])
def test_a_damaged_file_is_replaced(
    encoder: RegionEncoder, photo: Path, forwards: list[int], damage: bytes | None
) -> None:
    first = read(encoder.vit, photo)
    (path,) = stored()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if damage is None else damage)
    assert same(read(encoder.vit, photo), first)
    assert len(forwards) == 2
    assert path.read_bytes() == whole


def test_a_limit_of_zero_switches_the_cache_off(
    encoder: RegionEncoder, photo: Path, forwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(encoder.vit, photo)
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    read(encoder.vit, photo)
    read(encoder.vit, picture("line", 1))
    assert len(forwards) == 3
    assert len(stored()) == 1


def test_a_block_that_the_backbone_lacks_is_refused(encoder: RegionEncoder) -> None:
    with pytest.raises(InputError, match=r"block 4 cannot be read; the backbone has 4"):
        TokenReader(encoder.vit, Reading(96, patch_layers=(1, 4)))


def test_a_missing_image_is_named(encoder: RegionEncoder, photo: Path) -> None:
    images = ImageSet.from_list([photo])
    photo.unlink()
    with pytest.raises(InputError, match=r"photo\.png' does not exist"):
        TokenReader(encoder.vit, READING).read(images, 0)

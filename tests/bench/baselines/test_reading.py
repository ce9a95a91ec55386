"""Whole images are read as `BaselineInputs` describes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from anomalyncd.backbone.pixels import (
    normalise,
    resize,
    to_tensor,
)
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.inputs.masks import Masks
from anomalyncd_bench.baselines.clustering import KMeansOnCls
from anomalyncd_bench.baselines.inputs import BaselineInputs
from anomalyncd_bench.baselines.reading import (
    read_base_images,
    read_images,
    read_views,
)
from support.quick import QUICK, TINY, picture


def _images(count: int = 3) -> ImageSet:
    return ImageSet.from_list([picture("line", index) for index in range(count)])


def test_cls_tokens_are_plain_and_read_once(tiny: Path, forwards: list[int]) -> None:
    vit, image_set = load_backbone("tiny", tiny), _images()
    first, second = (read_images(vit, image_set) for _ in range(2))
    assert len(forwards) == 3
    np.testing.assert_array_equal(first.cls, second.cls)
    images = [normalise(to_tensor(resize(image_set.image(i), 224, 224)[None])) for i in range(3)]
    with torch.no_grad():
        tokens = vit.tokens_after(torch.cat(images), [2])[2]  # Two thirds of four blocks.
        plain = vit.norm(tokens)[:, 0].numpy()
    np.testing.assert_allclose(first.cls, plain, atol=1e-5)


def test_patches_keep_the_aspect_ratio_and_are_read_when_used(
    tiny: Path, forwards: list[int]
) -> None:
    vit, image_set = load_backbone("tiny", tiny), _images()
    read = read_images(vit, image_set, patch_blocks=(0, 2))
    del forwards[:]
    tokens = read.patches[1]
    assert len(forwards) == 1
    assert len(read.patches) == 3
    assert tokens.shape == (2, TINY.width, 36, 48)  # the area of 336 x 336 px as 3 to 4
    torch.testing.assert_close(tokens.mean(1), torch.zeros(2, 36, 48), atol=1e-5, rtol=0)


def test_obvious_classes_are_separated(tiny: Path) -> None:
    pictures = [np.full((50, 70), level, np.uint8) for level in (10, 10, 10, 240, 240)]
    vit = load_backbone("tiny", tiny)
    images = read_images(vit, ImageSet.from_list(pictures))
    clusters = KMeansOnCls().fit_predict(BaselineInputs(2, 0, images))
    assert len(set(clusters[:3])) == len(set(clusters[3:])) == 1
    assert clusters[0] != clusters[3]


@pytest.fixture
def base() -> BaseSet:
    image_set = _images(2)
    return BaseSet(image_set, Masks(image_set, (None, None)), np.array([1, 0]), ("dent", "scratch"))


def test_views_are_of_whole_images_without_guidance(
    tiny: Path, base: BaseSet, tmp_path: Path
) -> None:
    vit, image_set = load_backbone("tiny", tiny), _images()
    views = read_views(vit, image_set, base, QUICK.crops, tmp_path)
    assert views.tokens.tokens.shape[:2] == (3, 1 + QUICK.crops.n_views)
    assert not views.tokens.shares[:, :, 0].any()
    squeezed = resize(image_set.image(0), QUICK.crops.load_size, QUICK.crops.load_size)
    margin = (QUICK.crops.load_size - QUICK.crops.size) // 2
    window = squeezed[margin:-margin, margin:-margin]
    with torch.no_grad():
        plain = vit(normalise(to_tensor(window[None])))[:, 0]
        read = views.encoder.read(next(views.tokens.central(torch.device("cpu"))))[:1]
    assert functional.cosine_similarity(plain, read).item() > 0.999
    assert views.base is not None
    np.testing.assert_array_equal(views.base.labels, [1, 0])
    assert len(views.base.tokens) == 2


def test_labels_of_base_images_come_along(tiny: Path, base: BaseSet) -> None:
    read = read_base_images(load_backbone("tiny", tiny), base)
    assert read.n_classes == 2
    np.testing.assert_array_equal(read.labels, base.labels)
    assert len(read.cls) == 2

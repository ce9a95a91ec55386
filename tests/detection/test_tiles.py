"""Large and elongated images are looked at in tiles; their scores make one map without seams."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import fit_detector, tile_side_of
from anomalyncd.detection.maps import write_anomaly_maps
from anomalyncd.detection.memory_bank import MemoryBank, extend_memory_bank
from anomalyncd.detection.stitching import Stitched
from anomalyncd.detection.tiles import TiledImages, are_own, chosen_tile_side, tiled, tiles_of
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.images.image_set import ImageSet

CONFIG = DetectorConfig(resolution=56, layers=(0,), tile=40, map_size=20)


def strips(count: int, at: tuple[int, int] | None = (20, 95)) -> ImageSet:
    """Strips of 50 x 200 px of noise; the first has a bright spot."""
    rng = np.random.default_rng(0)
    images = [rng.integers(90, 110, (50, 200, 3)).astype(np.uint8) for _ in range(count)]
    if at is not None:
        cv2.circle(images[0], at[::-1], 8, (255, 255, 255), -1)
    return ImageSet.from_list(images)


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ((1024, 1024), None),
        ((2048, 2048), None),
        ((2048, 3072), None),
        ((3000, 4000), 448),
        ((16384, 2048), 448),
        ((256, 4096), 256),
        ((105, 400), None),
        ((500, 1240), None),
    ],
)
def test_only_large_and_elongated_images_are_tiled(size: tuple[int, int], side: int | None) -> None:
    assert chosen_tile_side(np.array([size] * 3), DetectorConfig()) == side
    assert chosen_tile_side(np.array([size, size, (9, 9)]), DetectorConfig()) == side
    assert chosen_tile_side(np.array([size]), DetectorConfig(tile=0)) is None
    assert chosen_tile_side(np.array([size]), DetectorConfig(tile=300)) == 300


@pytest.mark.parametrize("size", [(16384, 2048), (256, 4096), (449, 448), (100, 1000), (448, 448)])
def test_tiles_have_one_size_and_cover_the_image(size: tuple[int, int]) -> None:
    tiles = tiles_of(size, 448)
    assert len({(tile.height, tile.width) for tile in tiles}) == 1
    covered = np.zeros(size, np.uint8)
    for tile in tiles:
        tile.cut(covered)[:] = 1
    assert covered.all()
    for starts, length in ({t.top for t in tiles}, size[0]), ({t.left for t in tiles}, size[1]):
        gaps = np.diff(sorted(starts))
        assert (gaps <= 448 * 7 / 8).all()
        assert len(gaps) == 0 or np.ptp(gaps) <= 1
        assert max(starts) + min(448, length) == length


@pytest.mark.parametrize("scale", [1.0, 256 / 448, 0.3])
@pytest.mark.parametrize("size", [(1000, 448), (777, 1234), (448, 448)])
def test_a_linear_function_is_stitched_exactly(size: tuple[int, int], scale: float) -> None:
    stitched = Stitched(size, scale, 448)
    for tile in tiles_of(size, 448):
        y = tile.top + (np.arange(24) + 0.5) * tile.height / 24
        x = tile.left + (np.arange(24) + 0.5) * tile.width / 24
        stitched.add((2 * y[:, None] - 3 * x + 7).astype(np.float32), tile)
    scores = stitched.scores()
    assert scores.shape == (round(size[0] * scale), round(size[1] * scale))
    y = (np.arange(scores.shape[0]) + 0.5) * size[0] / scores.shape[0]
    x = (np.arange(scores.shape[1]) + 0.5) * size[1] / scores.shape[1]
    half = 448 / 24 / 2  # Nothing is known beyond the centres of the outermost patches.
    y, x = np.clip(y, half, size[0] - half), np.clip(x, half, size[1] - half)
    np.testing.assert_allclose(scores, 2 * y[:, None] - 3 * x + 7, atol=0.05)


def test_the_tiles_of_files_are_parts_of_them(tmp_path: Path) -> None:
    for number, image in enumerate(strips(3).sources):
        Image.fromarray(np.asarray(image)).save(tmp_path / f"{number}.png")
    images = ImageSet.from_folder(tmp_path)
    tiles = tiled(images, 40)
    assert isinstance(tiles, TiledImages)
    assert len(tiles) == len(set(tiles.names)) == 3 * len(tiles_of((50, 200), 40))
    for index in (0, 5, len(tiles) - 1):
        number, tile = tiles.image_index[index], tiles.tiles[index]
        assert np.array_equal(tiles.image(index), tile.cut(images.image(number)))
    chosen = tiles.select([7, 30])
    assert np.array_equal(chosen.image(1), tiles.image(30))
    assert chosen.digest(0) == tiles.digest(7) != tiles.digest(8)
    assert tiled(images, None) is images


def test_a_tile_is_not_compared_with_its_own_image() -> None:
    assert are_own(["a//0", "a//1", "b//0"], "a//7") == [True, True, False]
    assert are_own(["a//0", "a//1"], "a//1") == [False, True]
    assert are_own(["a", "b", "b"], "b") == [False, True, True]
    assert are_own(["a//0", "b//0"], "new//0") == [False, False]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("with_normals", [False, True])
def test_the_map_of_tiles_is_highest_at_the_defect(
    encoder: RegionEncoder, tmp_path: Path, count: int, with_normals: bool
) -> None:
    images, normals = strips(count), strips(2, None) if with_normals else None
    side = tile_side_of(encoder.vit, images, np.array([(50, 200)] * count), CONFIG)
    given = None if normals is None else tiled(normals, side)
    detector = fit_detector(encoder.vit, tiled(images, side), given, CONFIG, 0)
    assert detector.extractor.tile_side == 40
    maps = write_anomaly_maps(encoder.vit, images, detector, CONFIG, tmp_path)
    scores = maps[0]
    assert scores.shape == (25, 100)
    y, x = np.unravel_index(scores.argmax(), scores.shape)
    assert abs(2 * y - 20) <= 12
    assert abs(2 * x - 95) <= 12
    if isinstance(detector, MemoryBank) and normals is not None:
        again = extend_memory_bank(encoder.vit, detector, normals, CONFIG, 0)
        assert set(again.names) <= set(detector.names)


def test_a_single_tile_is_the_whole_image(encoder: RegionEncoder, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = ImageSet.from_list([rng.integers(0, 255, (42, 42, 3), np.uint8) for _ in range(4)])
    maps = []
    for tile in (0, 60):
        config = replace(CONFIG, tile=tile, roi="image")
        detector = fit_detector(encoder.vit, tiled(images, tile or None), None, config, 0)
        folder = tmp_path / str(tile)
        maps.append(write_anomaly_maps(encoder.vit, images, detector, config, folder))
    whole, of_tiles = maps[0][0], maps[1][0]
    assert whole.shape == (20, 20)
    resized = cv2.resize(of_tiles, (20, 20), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resized, whole, atol=0.1)

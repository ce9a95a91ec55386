"""Both built-in detectors score patches by what they are compared with."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import fit_detector
from anomalyncd.detection.feature_space import FeatureSpace
from anomalyncd.detection.maps import anomaly_map, write_anomaly_maps
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchExtractor, PatchReader
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io.cache import LIMIT_VARIABLE
from support.quick import QUICK, damage, picture

NORMALS = ImageSet.from_list([picture("good", 70 + index) for index in range(4)])
VIEW = PatchExtractor(96, None, FeatureSpace((), (), (1,)))


def unit(*shape: int) -> torch.Tensor:
    tokens = torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))
    return torch.nn.functional.normalize(tokens, dim=-1)


def test_memory_bank_takes_the_nearest_normal_patch() -> None:
    bank, tokens = unit(7, 16), unit(6, 16)
    scores = MemoryBank(VIEW, (bank,), ("a",) * 7).patch_scores([tokens.T.view(16, 2, 3)], "b")
    expected = torch.cdist(tokens, bank).amin(1).view(2, 3)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


def test_memory_bank_leaves_the_image_itself_out() -> None:
    bank = unit(8, 16)
    names = ("a",) * 4 + ("b",) * 4
    features = [bank[:4].T.reshape(16, 2, 2)]
    own = MemoryBank(VIEW, (bank,), names).patch_scores(features, "a")
    assert own.min() > 0.1
    assert MemoryBank(VIEW, (bank,), names).patch_scores(features, "c").max() < 1e-3
    # An image that is all there is has nothing else to be compared with.
    assert MemoryBank(VIEW, (bank[:4],), ("a",) * 4).patch_scores(features, "a").isfinite().all()


def test_mutual_scoring_is_the_mean_over_the_closest_references() -> None:
    references, tokens = unit(12, 16), unit(4, 16)
    scoring = MutualScoring(VIEW, (references,), (4, 4, 4), ("a", "b", "c"), (0, 0.67))
    scores = scoring.patch_scores([tokens.T.view(16, 2, 2)], "d")
    nearest = torch.cdist(tokens, references).view(4, 3, 4).amin(2)
    expected = nearest.sort(1).values[:, :2].mean(1).view(2, 2)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


def test_another_picture_of_a_damaged_part_does_not_vouch_for_it() -> None:
    normal = unit(1, 16).repeat(4, 1)
    damaged = normal.clone()
    damaged[2] = -normal[2]
    references = torch.cat([*[normal] * 20, damaged])
    names = tuple(f"{index}" for index in range(21))

    def scores(first: float, last: float) -> torch.Tensor:
        scoring = MutualScoring(VIEW, (references,), (4,) * 21, names, (first, last))
        return scoring.patch_scores([damaged.T.view(16, 2, 2)], "new").flatten()

    torch.testing.assert_close(scores(0, 0.05), torch.zeros(4), atol=1e-2, rtol=0)
    assert scores(0, 0.2)[2] < 1.6
    torch.testing.assert_close(scores(0.05, 0.2), torch.tensor([0, 0, 2.0, 0]), atol=1e-2, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("closest", [(0, 0.01), (0.99, 1)])
def test_some_reference_is_always_left(closest: tuple[float, float], count: int) -> None:
    references, tokens = unit(count, 16), unit(4, 16)
    names = tuple(f"{index}" for index in range(count))
    scoring = MutualScoring(VIEW, (references,), (1,) * count, names, closest)
    scores = scoring.patch_scores([tokens.T.view(16, 2, 2)], "new").flatten()
    ordered = torch.cdist(tokens, references).sort(1).values
    expected = ordered[:, 0 if closest[0] == 0 else -1]
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("normals", [NORMALS, None])
def test_damage_scores_above_the_rest(encoder: RegionEncoder, normals: ImageSet | None) -> None:
    images = ImageSet.from_list(
        [picture("good", index) for index in range(6)] + [picture("spot", 6)]
    )
    detector = fit_detector(encoder.vit, images, normals, QUICK.detector, 0)
    seen = PatchReader(encoder.vit, detector.extractor, QUICK.detector).read(images, 6)
    scores = anomaly_map(seen, detector, QUICK.detector, images.names[6])
    marked = damage("spot", 6)
    rows, columns = marked.nonzero()
    y = int(rows.mean() * scores.shape[0] / marked.shape[0])
    x = int(columns.mean() * scores.shape[1] / marked.shape[1])
    assert scores[y, x] > 1.5 * np.median(scores)


def test_bank_has_the_size_that_was_asked_for(encoder: RegionEncoder) -> None:
    few = DetectorConfig(resolution=96, layers=(0, 1), map_size=64, bank_size=10, n_candidates=50)
    detector = fit_detector(encoder.vit, NORMALS, NORMALS, few, 0)
    assert [one.shape for one in detector.vectors] == [torch.Size([10, 17])] * 2
    assert len(detector.names) == 10


def test_one_normal_image_is_enough(encoder: RegionEncoder, tmp_path: Path) -> None:
    one = ImageSet.from_list([picture("good", 1)])
    detector = fit_detector(encoder.vit, one, one, QUICK.detector, 0)
    maps = write_anomaly_maps(encoder.vit, one, detector, QUICK.detector, tmp_path)
    assert np.isfinite(maps[0]).all()


def test_one_part_without_normal_images_is_refused(encoder: RegionEncoder) -> None:
    with pytest.raises(InputError, match="give two or more"):
        fit_detector(encoder.vit, NORMALS.select([0]), None, QUICK.detector, 0)


@pytest.mark.parametrize("with_normals", [False, True])
def test_maps_are_equal_with_and_without_the_cache(
    encoder: RegionEncoder,
    forwards: list[int],
    tmp_path: Path,
    with_normals: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vit = encoder.set_frozen_precision(torch.bfloat16).vit
    images = ImageSet.from_list([picture("good", index) for index in range(4)])
    normals = ImageSet.from_list([picture("good", 9)], ["n"]) if with_normals else None
    n_images = 5 if with_normals else 4

    def maps(name: str) -> list[bytes]:
        detector = fit_detector(vit, images, normals, QUICK.detector, 0)
        written = write_anomaly_maps(vit, images, detector, QUICK.detector, tmp_path / name)
        return [one.tobytes() for one in written]

    first, n_first = maps("first"), len(forwards)
    second, n_second = maps("second"), len(forwards)
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    assert first == second == maps("without")
    assert n_first == n_second == n_images

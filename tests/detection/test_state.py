"""A detector that was saved scores as before, whatever it looks at."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from anomalyncd.detection.detector import Detector
from anomalyncd.detection.feature_space import FeatureSpace, SamePlace
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchExtractor
from anomalyncd.detection.roi_locator import RoiLocator
from anomalyncd.detection.state import (
    described,
    restored,
    tensors_of,
)
from anomalyncd.foreground.principal_component import PrincipalComponent
from support.token_maps import SIZE, club, tokens_of


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def unit(*shape: int) -> Tensor:
    return torch.nn.functional.normalize(random(*shape), dim=1)


FRAMING = RoiLocator(PrincipalComponent(random(8), random(8), 0.25), (0.3, 0.7), True)
# More kinds of features than ten, whose order by name would be another.
N_KINDS = 12


def detectors() -> list[Detector]:
    made: list[Detector] = []
    for framing in (None, FRAMING):
        means = tuple(random(4, index + 1).mean(1) for index in range(N_KINDS))
        constants = tuple(0.1 + index / 3 for index in range(N_KINDS))
        view = PatchExtractor(280, framing, FeatureSpace(means, constants, (1, 3)))
        compared = tuple(unit(6, 5, 1 + i)[..., 0].to(torch.bfloat16) for i in range(N_KINDS))
        for place in (None, SamePlace(random(6, 2).abs() / 2, 0.1)):
            made.append(MemoryBank(view, compared, tuple("aabbcc"), place))
            made.append(MutualScoring(view, compared, (2, 2, 2), tuple("abc"), (0.05, 0.2), place))
        masked = replace(view, product=PrincipalComponent(random(9), random(9), 0.5))
        allowed = tuple(random(6).abs() for _ in range(N_KINDS))
        made.append(MemoryBank(masked, compared, tuple("aabbcc"), None, 3, allowed))
    return made


@pytest.mark.parametrize("detector", detectors())
def test_nothing_is_lost_through_json(detector: Detector) -> None:
    description = json.loads(json.dumps(described(detector)))
    again = restored(tensors_of(detector), description)
    assert type(again) is type(detector)
    assert described(again) == described(detector)
    tensors, kept = tensors_of(detector), tensors_of(again)
    assert tensors.keys() == kept.keys()
    assert all(torch.equal(tensors[name], kept[name]) for name in tensors)
    features = [unit(1, 5, 3, 2 + index)[0, ..., :2] for index in range(N_KINDS)]
    for name in ("a", "new"):
        scores = detector.patch_scores(features, name)
        assert torch.equal(again.patch_scores(features, name), scores)
    assert (again.same_place is None) == (detector.same_place is None)
    if detector.view.product is not None:
        assert again.view.product is not None
        patches = random(9, 4, 5)
        assert np.array_equal(again.view.product.mask(patches), detector.view.product.mask(patches))
    if detector.view.framing is not None:
        assert again.view.framing is not None
        patches = tokens_of(club(0.8))
        assert again.view.framing.frame(patches, SIZE) == FRAMING.frame(patches, SIZE)


def test_every_difference_is_described() -> None:
    """Maps are made again where it is."""
    descriptions = [json.dumps(described(one)) for one in detectors()]
    assert len(set(descriptions)) == len(descriptions)


@pytest.mark.parametrize("detector", detectors())
def test_what_does_not_belong_together_is_refused(detector: Detector) -> None:
    description = json.loads(json.dumps(described(detector)))
    tensors = tensors_of(detector)
    with pytest.raises(ValueError, match="no detector is called 'magic'"):
        restored(tensors, description | {"kind": "magic"})
    for name in ("resolution", "constants", "framing", "names"):
        with pytest.raises(KeyError):
            restored(tensors, {key: one for key, one in description.items() if key != name})
    with pytest.raises(KeyError):
        restored({name: one for name, one in tensors.items() if name != "mean.3"}, description)
    if detector.view.framing is not None:
        with pytest.raises(KeyError):
            restored({k: v for k, v in tensors.items() if k != "product.mean"}, description)
    if detector.same_place is not None:
        with pytest.raises(KeyError):
            restored({k: v for k, v in tensors.items() if k != "positions"}, description)


def test_order_survives_ten_and_more() -> None:
    (detector, *_) = detectors()
    tensors = dict(sorted(tensors_of(detector).items()))
    again = restored(tensors, described(detector))
    for one, other in zip(again.tensors, detector.tensors, strict=True):
        assert np.array_equal(one.float().numpy(), other.float().numpy())

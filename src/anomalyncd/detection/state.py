"""Detectors and object priors as tensors and plain values, to be saved and told from others."""

from typing import Any

from torch import Tensor

from anomalyncd.detection.detector import Detector
from anomalyncd.detection.feature_space import FeatureSpace, SamePlace
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.detection.patches import PatchExtractor
from anomalyncd.detection.roi_locator import RoiLocator
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.foreground.principal_component import PrincipalComponent

_COMPARED, _MEAN = "compared.", "mean."
_FRAMED, _UNMASKED = "product.", "unmasked."
_ALLOWED, _POSITIONS = "allowed.", "positions"
_NOT_PLAIN = ("view", "tensors", "same_place", "allowances", "_relatives")
"""Attributes of detectors that are no plain values."""


def tensors_of(detector: Detector) -> dict[str, Tensor]:
    """All tensors of a detector by name."""
    view = detector.view
    tensors = _numbered(_COMPARED, detector.tensors) | _numbered(_MEAN, view.space.means)
    tensors |= _numbered(_ALLOWED, detector.discounts)
    if view.framing is not None:
        tensors |= _of_product(_FRAMED, view.framing.product)
    if view.product is not None:
        tensors |= _of_product(_UNMASKED, view.product)
    if detector.same_place is not None:
        tensors[_POSITIONS] = detector.same_place.positions
    return tensors


def described(detector: Detector) -> dict[str, Any]:
    """All else that a detector holds, as JSON can say it."""
    view, place = detector.view, detector.same_place
    description = {
        "kind": detector.kind,
        "resolution": view.resolution,
        "constants": view.space.constants,
        "neighbourhoods": view.space.neighbourhoods,
        "framing": None,
        "unmasked": None if view.product is None else view.product.threshold,
        "same_place": None if place is None else place.within,
        **{name: one for name, one in vars(detector).items() if name not in _NOT_PLAIN},
    }
    if view.framing is not None:
        description["framing"] = {
            "threshold": view.framing.product.threshold,
            "size": view.framing.size,
            "turned": view.framing.turned,
        }
    return description


def restored(tensors: dict[str, Tensor], description: dict[str, Any]) -> Detector:
    """The detector that was saved.

    Args:
        tensors: See `tensors_of`.
        description: See `described`.

    Raises:
        KeyError, TypeError, ValueError: They do not belong together.
    """
    view = _view(tensors, description)
    compared, allowed = _in_order(_COMPARED, tensors), _in_order(_ALLOWED, tensors)
    kind, names = description["kind"], tuple(description["names"])
    within = description["same_place"]
    place = None if within is None else SamePlace(tensors[_POSITIONS], float(within))
    if kind == MemoryBank.kind:
        reweight = int(description["reweight"])
        return MemoryBank(view, compared, names, place, reweight, allowed)
    if kind == MutualScoring.kind:
        first, last = description["closest"]
        lengths = tuple(description["lengths"])
        return MutualScoring(view, compared, lengths, names, (first, last), place, allowed)
    raise ValueError(f"no detector is called {kind!r}")


def _view(tensors: dict[str, Tensor], description: dict[str, Any]) -> PatchExtractor:
    space = FeatureSpace(
        _in_order(_MEAN, tensors),
        tuple(float(one) for one in description["constants"]),
        tuple(description["neighbourhoods"]),
    )
    framing, unmasked = description["framing"], description["unmasked"]
    if framing is not None:
        height, width = framing["size"]
        product = _product(_FRAMED, tensors, framing["threshold"])
        framing = RoiLocator(product, (float(height), float(width)), bool(framing["turned"]))
    if unmasked is not None:
        unmasked = _product(_UNMASKED, tensors, unmasked)
    return PatchExtractor(int(description["resolution"]), framing, space, unmasked)


def _of_product(prefix: str, product: PrincipalComponent) -> dict[str, Tensor]:
    return {f"{prefix}mean": product.mean, f"{prefix}direction": product.direction}


def _product(prefix: str, tensors: dict[str, Tensor], threshold: float) -> PrincipalComponent:
    return PrincipalComponent(
        tensors[f"{prefix}mean"], tensors[f"{prefix}direction"], float(threshold)
    )


def tensors_of_prior(prior: Foreground) -> dict[str, Tensor]:
    """All tensors of an object prior by name."""
    product = prior.product
    return {} if product is None else {"mean": product.mean, "direction": product.direction}


def described_prior(prior: Foreground) -> dict[str, Any]:
    """All else that an object prior holds, as JSON can say it."""
    threshold = None if prior.product is None else prior.product.threshold
    return {
        "source": prior.source,
        "reason": prior.reason,
        "prompt": prior.prompt,
        "threshold": threshold,
    }


def restored_prior(tensors: dict[str, Tensor], description: dict[str, Any]) -> Foreground:
    """The object prior that was saved.

    Args:
        tensors: See `tensors_of_prior`.
        description: See `described_prior`.

    Raises:
        KeyError, TypeError, ValueError: They do not belong together.
    """
    said = dict(description)
    threshold, product = said.pop("threshold"), None
    if threshold is not None:
        product = PrincipalComponent(tensors["mean"], tensors["direction"], float(threshold))
    if (product is not None) != (said["source"] == "backbone"):
        raise ValueError("an object prior without what it has learnt")
    return Foreground(product=product, **said)


def _numbered(prefix: str, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {f"{prefix}{index}": one for index, one in enumerate(tensors)}


def _in_order(prefix: str, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
    count = sum(name.startswith(prefix) for name in tensors)
    return tuple(tensors[f"{prefix}{index}"] for index in range(count))

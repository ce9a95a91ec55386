"""Detectors and object priors as tensors and plain values, to be saved and told from others."""

from typing import Any

from torch import Tensor

from anomalyncd.detect.detector import Detector
from anomalyncd.detect.features import FeatureSpace
from anomalyncd.detect.framing import Framing
from anomalyncd.detect.memory_bank import MemoryBank
from anomalyncd.detect.mutual_scoring import MutualScoring
from anomalyncd.detect.object_prior import ObjectPrior
from anomalyncd.detect.product import Product
from anomalyncd.detect.view import View

_COMPARED, _MEAN = "compared.", "mean."
_PRODUCT_MEAN, _PRODUCT_DIRECTION = "product.mean", "product.direction"


def tensors_of(detector: Detector) -> dict[str, Tensor]:
    """All tensors of a detector by name."""
    view = detector.view
    tensors = _numbered(_COMPARED, detector.tensors) | _numbered(_MEAN, view.space.means)
    if view.framing is not None:
        product = view.framing.product
        tensors |= {_PRODUCT_MEAN: product.mean, _PRODUCT_DIRECTION: product.direction}
    return tensors


def described(detector: Detector) -> dict[str, Any]:
    """All else that a detector holds, as JSON can say it."""
    space, framing = detector.view.space, detector.view.framing
    description = {
        "kind": detector.kind,
        "resolution": detector.view.resolution,
        "constants": space.constants,
        "neighbourhoods": space.neighbourhoods,
        "framing": None,
        **{name: one for name, one in vars(detector).items() if name not in ("view", "tensors")},
    }
    if framing is not None:
        description["framing"] = {
            "threshold": framing.product.threshold,
            "size": framing.size,
            "turned": framing.turned,
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
    said = dict(description)
    framing = said.pop("framing")
    space = FeatureSpace(
        _in_order(_MEAN, tensors),
        tuple(float(one) for one in said.pop("constants")),
        tuple(said.pop("neighbourhoods")),
    )
    if framing is not None:
        height, width = framing["size"]
        product = Product(
            tensors[_PRODUCT_MEAN], tensors[_PRODUCT_DIRECTION], float(framing["threshold"])
        )
        framing = Framing(product, (float(height), float(width)), bool(framing["turned"]))
    view = View(int(said.pop("resolution")), framing, space)
    compared = _in_order(_COMPARED, tensors)
    kind, names = said["kind"], tuple(said["names"])
    if kind == MemoryBank.kind:
        return MemoryBank(view, compared, names)
    if kind == MutualScoring.kind:
        first, last = said["closest"]
        return MutualScoring(view, compared, tuple(said["lengths"]), names, (first, last))
    raise ValueError(f"no detector is called {kind!r}")


def tensors_of_prior(prior: ObjectPrior) -> dict[str, Tensor]:
    """All tensors of an object prior by name."""
    product = prior.product
    return {} if product is None else {"mean": product.mean, "direction": product.direction}


def described_prior(prior: ObjectPrior) -> dict[str, Any]:
    """All else that an object prior holds, as JSON can say it."""
    threshold = None if prior.product is None else prior.product.threshold
    return {
        "source": prior.source,
        "reason": prior.reason,
        "prompt": prior.prompt,
        "threshold": threshold,
    }


def restored_prior(tensors: dict[str, Tensor], description: dict[str, Any]) -> ObjectPrior:
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
        product = Product(tensors["mean"], tensors["direction"], float(threshold))
    if (product is not None) != (said["source"] == "backbone"):
        raise ValueError("an object prior without what it has learnt")
    return ObjectPrior(product=product, **said)


def _numbered(prefix: str, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {f"{prefix}{index}": one for index, one in enumerate(tensors)}


def _in_order(prefix: str, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
    count = sum(name.startswith(prefix) for name in tensors)
    return tuple(tensors[f"{prefix}{index}"] for index in range(count))

"""Discovers the kinds of defects in photographs of one product, without a label."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomalyncd.data.base_set import BaseSet as BaseSet
    from anomalyncd.data.made_parts import made_part as made_part
    from anomalyncd.data.made_parts import make_parts as make_parts
    from anomalyncd.data.maps import Maps as Maps
    from anomalyncd.data.masks import Masks as Masks
    from anomalyncd.data.parts import Parts as Parts
    from anomalyncd.discovery import AnomalyNCD as AnomalyNCD
    from anomalyncd.discovery import ProtoAnomalyNCD as ProtoAnomalyNCD
    from anomalyncd.errors import InputError as InputError
    from anomalyncd.result import Verdicts as Verdicts
    from anomalyncd.settings import PROTO_PRESETS as PROTO_PRESETS
    from anomalyncd.training.class_number import ClassNumber as ClassNumber
    from anomalyncd.training.rejection import UNSEEN as UNSEEN
    from anomalyncd.training.rejection import UNSURE as UNSURE

_STAGES = (
    *("Detector", "Mebin", "Region", "Object", "Encoder", "View"),
    *("Training", "Merging", "Rejection", "ClassNumber", ""),
)
_HOMES = {f"{stage}Settings": "settings" for stage in _STAGES} | {
    "PRESETS": "settings",
    "PROTO_PRESETS": "settings",
    "UNSEEN": "training.rejection",
    "UNSURE": "training.rejection",
    "AnomalyNCD": "discovery",
    "BaseSet": "data.base_set",
    "ClassNumber": "training.class_number",
    "InputError": "errors",
    "Maps": "data.maps",
    "Masks": "data.masks",
    "Parts": "data.parts",
    "ProtoAnomalyNCD": "discovery",
    "Verdicts": "result",
    "made_part": "data.made_parts",
    "make_parts": "data.made_parts",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that the command line starts at once."""
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

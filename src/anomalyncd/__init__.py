"""Discovers the kinds of defects in photographs of one product, without a label."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomalyncd.config import PRESETS as PRESETS
    from anomalyncd.config import PROTO_PRESETS as PROTO_PRESETS
    from anomalyncd.config import Config as Config
    from anomalyncd.discovery.class_number import ClassNumber as ClassNumber
    from anomalyncd.discovery.reliability import UNSEEN as UNSEEN
    from anomalyncd.discovery.reliability import UNSURE as UNSURE
    from anomalyncd.errors import InputError as InputError
    from anomalyncd.estimator import AnomalyNCD as AnomalyNCD
    from anomalyncd.estimator import ProtoAnomalyNCD as ProtoAnomalyNCD
    from anomalyncd.exchange.detections import to_detections as to_detections
    from anomalyncd.exchange.run_labels import export_labels as export_labels
    from anomalyncd.exchange.run_labels import import_labels as import_labels
    from anomalyncd.exchange.run_labels import labelled_run as labelled_run
    from anomalyncd.export.writing import export_model as export_model
    from anomalyncd.images.image_set import ImageSet as ImageSet
    from anomalyncd.inputs.anomaly_maps import AnomalyMaps as AnomalyMaps
    from anomalyncd.inputs.base_set import BaseSet as BaseSet
    from anomalyncd.inputs.masks import Masks as Masks
    from anomalyncd.labels.book import LabelBook as LabelBook
    from anomalyncd.labels.state import LabelClass as LabelClass
    from anomalyncd.line.predictor import Predictor as Predictor
    from anomalyncd.line.verdict import ClassShare as ClassShare
    from anomalyncd.line.verdict import RegionVerdict as RegionVerdict
    from anomalyncd.line.verdict import RunLength as RunLength
    from anomalyncd.line.verdict import Verdict as Verdict
    from anomalyncd.results.predictions import Predictions as Predictions
    from anomalyncd.results.run_folder import Run as Run
    from anomalyncd.results.run_folder import read_run as read_run
    from anomalyncd.revision import correct_run as correct_run
    from anomalyncd.runner.runner import Runner as Runner
    from anomalyncd.synthetic.generate import make_synthetic_images as make_synthetic_images
    from anomalyncd.synthetic.generate import synthetic_image as synthetic_image

# Threads of torch that wait would spin, and slow down every other program. Torch reads this once,
# when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_STAGES = (
    *("Detector", "Mebin", "Region", "Foreground", "Encoder", "Crop"),
    *("Training", "Aggregation", "Reliability", "ClassNumber", ""),
)
_MODULES = {f"{stage}Config": "config" for stage in _STAGES} | {
    "PRESETS": "config",
    "PROTO_PRESETS": "config",
    "UNSEEN": "discovery.reliability",
    "UNSURE": "discovery.reliability",
    "AnomalyMaps": "inputs.anomaly_maps",
    "AnomalyNCD": "estimator",
    "BaseSet": "inputs.base_set",
    "ClassNumber": "discovery.class_number",
    "ClassShare": "line.verdict",
    "ImageSet": "images.image_set",
    "InputError": "errors",
    "LabelBook": "labels.book",
    "LabelClass": "labels.state",
    "Masks": "inputs.masks",
    "Predictions": "results.predictions",
    "Predictor": "line.predictor",
    "ProtoAnomalyNCD": "estimator",
    "RegionVerdict": "line.verdict",
    "Runner": "runner.runner",
    "export_model": "export.writing",
    "Run": "results.run_folder",
    "RunLength": "line.verdict",
    "Verdict": "line.verdict",
    "correct_run": "revision",
    "export_labels": "exchange.run_labels",
    "import_labels": "exchange.run_labels",
    "labelled_run": "exchange.run_labels",
    "make_synthetic_images": "synthetic.generate",
    "read_run": "results.run_folder",
    "synthetic_image": "synthetic.generate",
    "to_detections": "exchange.detections",
}
__all__ = [*_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that the command line starts at once."""
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

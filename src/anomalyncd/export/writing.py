"""Writes a fitted model as graphs and arrays that are run without PyTorch."""

import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.catalogue import WEIGHTS_FILE
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config.overrides import with_overrides
from anomalyncd.detection.memory_bank import MemoryBank
from anomalyncd.detection.mutual_scoring import MutualScoring
from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.export.graphs import ClassGraph, PatchGraph, RegionGraph
from anomalyncd.io.component import Component
from anomalyncd.io.writing import replace_folder
from anomalyncd.line.predictor import operation_of
from anomalyncd.results.model_file import FittedModel, StoredModel, read_model
from anomalyncd.results.model_folder import locate_model
from anomalyncd.runner.folder import (
    DESCRIPTION,
    GRAPHS,
    ExportedModel,
    graph_file,
    write_exported,
)
from anomalyncd.runtime.versions import refuse_old

KINDS = ("onnx", "openvino")
"""Formats of graphs that can be written."""
_COMPONENTS = (
    *("levels", "fixed_masks", "score_range", "normality", "reliability"),
    *("corrections", "operation", "fit_counts"),
)


def export_model(
    model: str | Path, kind: str, out: str | Path, weights: str | Path | None = None
) -> None:
    """Writes a model as graphs and arrays, for `Runner`.

    Args:
        model: Folder of a finished run, or of a model.
        kind: Format of the graphs, one of `KINDS`.
        out: A new or empty folder, or an exported one, which is replaced.
        weights: File of the backbone's weights, where it is another than for the discovery.

    Raises:
        InputError: There is no such format, a package is missing, the folder holds something else,
            or the model is unusable or needs what a runner cannot do.
    """
    if kind not in KINDS:
        raise InputError(f"format {kind!r} is unknown; use {' or '.join(KINDS)}")
    _refuse_other_content(Path(out))
    _require_packages(kind)
    folder = locate_model(model)
    stored = read_model(folder)
    fitted = _restored(folder, stored, weights)
    detector = _runnable_detector(fitted, folder)
    with replace_folder(Path(out).expanduser().absolute()) as new, torch.no_grad():
        _write_graphs(new, kind, stored, fitted)
        write_exported(new, _described(Path(model), kind, stored, fitted, detector))


def _restored(folder: Path, stored: StoredModel, weights: str | Path | None) -> FittedModel:
    """The model in float32 on the CPU, whatever it was made in."""
    carried = folder / WEIGHTS_FILE
    named = weights or (carried if carried.is_file() else stored.parameters["weights"])
    vit = load_backbone(stored.parameters["backbone"], Path(named) if named else None)
    config = with_overrides(stored.config, {"encoder.n_rotations": stored.n_rotations})
    fitted = stored.restore(RegionEncoder(vit, config.encoder))
    fitted.classifier.requires_grad_(False)
    return fitted


def _runnable_detector(model: FittedModel, folder: Path) -> MutualScoring | MemoryBank:
    """The detector, of a model that needs nothing that a runner cannot do."""
    needed = None
    if model.detector is None:
        needed = "maps or masks that were given for each image"
    elif model.foreground is not None:
        needed = "the foreground of each image"
    elif isinstance(model.detector, MutualScoring) and model.detector.frequent_kinds is not None:
        needed = "frequent kinds of defects, which the detector found"
    if needed is not None:
        raise InputError(
            f"model '{folder}' cannot be exported, since it uses {needed}; predict with the model "
            "itself, or discover without that"
        )
    assert isinstance(model.detector, MutualScoring | MemoryBank)
    return model.detector


def _write_graphs(folder: Path, kind: str, stored: StoredModel, model: FittedModel) -> None:
    encoder, detector = model.classifier.encoder, model.detector
    assert detector is not None
    vit, side = encoder.vit, stored.config.crops.size
    patches = PatchGraph(vit, detector.extractor, stored.config.detector.layers)
    rows, columns, unit = 6, 5, vit.config.patch_size
    width = vit.config.width
    sides, batch = {2: "height", 3: "width"}, {0: "regions"}
    crops = {"images": torch.zeros(2, 3, side, side), "masks": torch.zeros(2, 1, side, side)}
    if encoder.config.guided_by == "map":
        crops["maps"] = torch.zeros(2, 1, side, side)
    described = {"pieces": torch.zeros(2, sum(encoder.widths)), "shapes": torch.zeros(2, 2)}
    pixels = torch.zeros(1, 3, rows * unit, columns * unit)
    positions = torch.zeros(1, rows * columns, width)
    inputs: dict[str, tuple[torch.nn.Module, dict[str, Tensor], list[dict[int, str]]]] = {
        "patches": (patches, {"pixels": pixels, "positions": positions}, [sides, {1: "patches"}]),
        "regions": (RegionGraph(encoder), crops, [batch] * len(crops)),
        "classes": (ClassGraph(model.classifier), described, [batch, batch]),
    }
    for name in GRAPHS:
        module, example, dynamic = inputs[name]
        path = folder / graph_file(name, "onnx")
        _write_onnx(module, example, dynamic, path)
        if kind == "openvino":
            openvino = importlib.import_module("openvino")
            converted = openvino.convert_model(str(path))
            openvino.save_model(converted, folder / graph_file(name, kind), compress_to_fp16=False)
            del converted
            path.unlink()


def _write_onnx(
    module: torch.nn.Module,
    example: dict[str, Tensor],
    dynamic: list[dict[int, str]],
    path: Path,
) -> None:
    shapes = tuple(dict.fromkeys(one, torch.export.Dim.DYNAMIC) for one in dynamic)
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        torch.onnx.export(
            module.eval(),
            tuple(example.values()),
            str(path),
            dynamo=True,
            input_names=list(example),
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    finally:
        exporter.setLevel(level)


def _described(
    run: Path,
    kind: str,
    stored: StoredModel,
    model: FittedModel,
    detector: MutualScoring | MemoryBank,
) -> ExportedModel:
    vit, extractor = model.classifier.encoder.vit, detector.extractor
    locator = extractor.roi_locator
    arrays = arrays_of_detector(detector)
    positions = vit.pos_embed[0, -(vit.config.grid**2) :]
    arrays["positions"] = positions.detach().numpy()
    values: dict[str, dict[str, Any] | None] = {}
    components = {name: getattr(model, name) for name in _COMPONENTS}
    components["operation"] = model.operation or operation_of(run, model)
    for name, component in components.items():
        values[name] = _add(arrays, name, component)
    facts = {
        "patch_size": vit.config.patch_size,
        "antialias": vit.config.n_registers > 0,
        "resolution": extractor.resolution,
        "tile_side": extractor.tile_side,
        "roi": None
        if locator is None
        else {
            "threshold": locator.foreground.threshold,
            "size": locator.size,
            "rotated": locator.rotated,
        },
        "detector": detector.kind,
        "names": detector.names,
        "lengths": getattr(detector, "lengths", ()),
        "closest": getattr(detector, "closest", ()),
        "temperature": STUDENT_TEMPERATURE,
        "n_classes": stored.n_classes,
    }
    return ExportedModel(kind, stored.config.central_views_only(), facts, values, arrays)


def _add(
    arrays: dict[str, NDArray[Any]], name: str, component: Component | None
) -> dict[str, Any] | None:
    """Adds the arrays of a component; returns its plain values."""
    if component is None:
        return None
    state = component.state()
    arrays |= {f"{name}.{field}": one.numpy() for field, one in state.tensors.items()}
    return state.values


def arrays_of_detector(detector: MutualScoring | MemoryBank) -> dict[str, NDArray[Any]]:
    """Vectors as the bits of bfloat16, which NumPy does not have, and discounts."""
    arrays: dict[str, NDArray[Any]] = {}
    for index, vectors in enumerate(detector.vectors):
        bits = vectors.cpu().contiguous().view(torch.int16).numpy().view(np.uint16)
        arrays[f"detector.vectors.{index}"] = bits
    for index, discounts in enumerate(detector.discounts):
        arrays[f"detector.discounts.{index}"] = discounts.cpu().numpy()
    return arrays


def _require_packages(kind: str) -> None:
    for package in ("onnxscript", *(["openvino"] if kind == "openvino" else [])):
        refuse_old(package)
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise InputError(
                f"this needs {package}, which is not installed; pip install 'anomalyncd[export]'"
            ) from error


def _refuse_other_content(out: Path) -> None:
    out = out.expanduser()
    if out.is_file():
        raise InputError(f"'{out}' is a file; export the model into a new folder")
    if out.is_dir() and any(out.iterdir()) and not (out / DESCRIPTION).is_file():
        raise InputError(f"'{out}' holds something else; export the model into a new folder")

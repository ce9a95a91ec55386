"""The engines that run the graphs of an exported model."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.runner.folder import GRAPHS, graph_file
from anomalyncd.runtime.versions import refuse_old

BACKENDS = ("onnx", "openvino", "openvino-bf16")
"""Names of the engines: ONNX Runtime, OpenVINO in float32, and in bfloat16."""
_EXACT = "classes"
"""This graph is small, and always runs in float32."""
_PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}


class Graphs(Protocol):
    """Runs the graphs of one model; several threads may do so at once."""

    def run(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Computes the outputs of one graph.

        Args:
            name: One of `GRAPHS`.
            inputs: Arrays by the names of the inputs.
        """


def load_graphs(folder: Path, kind: str, backend: str | None, threads: int | None) -> Graphs:
    """Loads the graphs of an exported model into an engine.

    Args:
        folder: The exported folder.
        kind: Format of its graphs, "onnx" or "openvino".
        backend: One of `BACKENDS`; None takes the one of the graphs.
        threads: Processor cores to compute on; None takes all.

    Raises:
        InputError: There is no such engine, its package is not installed, or it does not read
            these graphs.
    """
    chosen = backend or kind
    if chosen not in BACKENDS:
        raise InputError(f"backend {chosen!r} is unknown; use {', '.join(BACKENDS)}")
    if chosen == "onnx" and kind != "onnx":
        raise InputError(
            f"exported model '{folder}' holds graphs of OpenVINO, which ONNX Runtime does not "
            "read; use the backend openvino, or export it to onnx"
        )
    if chosen == "onnx":
        return _OnnxGraphs(folder, threads)
    return _OpenVinoGraphs(folder, kind, threads, "bf16" if chosen == "openvino-bf16" else "f32")


class _OnnxGraphs:
    def __init__(self, folder: Path, threads: int | None) -> None:
        runtime = _needed("onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        # Threads that spin between images would take cores from everything else.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._sessions = {
            name: runtime.InferenceSession(
                str(folder / graph_file(name, "onnx")), options, providers=["CPUExecutionProvider"]
            )
            for name in GRAPHS
        }

    def run(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self._sessions[name].run(None, dict(inputs))
        return outputs


class _OpenVinoGraphs:
    def __init__(self, folder: Path, kind: str, threads: int | None, precision: str) -> None:
        core = _needed("openvino").Core()
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._models = {
            name: core.compile_model(
                str(folder / graph_file(name, kind)),
                "CPU",
                settings | {"INFERENCE_PRECISION_HINT": "f32" if name == _EXACT else precision},
            )
            for name in GRAPHS
        }

    def run(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        model = self._models[name]
        # A request of its own, since threads cannot share one.
        results = model.create_infer_request().infer(dict(inputs))
        return [np.array(results[output], np.float32) for output in model.outputs]


def _needed(backend: str) -> ModuleType:
    package = _PACKAGES[backend]
    refuse_old(package)
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        extra = "runtime" if backend == "onnx" else backend
        raise InputError(
            f"this needs {package}, which is not installed; pip install 'anomalyncd[{extra}]'"
        ) from error

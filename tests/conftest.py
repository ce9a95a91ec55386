"""Fixtures of all tests: a backbone small enough for whole runs, and a folder of images."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.embedding.encoder import RegionEncoder
from support.quick import QUICK, picture, use_tiny, write_tiny_weights


@pytest.fixture(scope="session")
def images_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images in the folders good, line and spot; nobody writes into it."""
    folder = tmp_path_factory.mktemp("data") / "plates"
    for group, kind in enumerate(("good", "line", "spot")):
        (folder / kind).mkdir(parents=True)
        for index in range(4):
            pixels = picture(kind, 10 * group + index)
            Image.fromarray(pixels).save(folder / kind / f"{index:03}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the tiny backbone."""
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def tiny(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes "tiny" a backbone and the default preset quick; returns the weights."""
    use_tiny(monkeypatch, tmp_path / "cache")
    return tiny_weights


@pytest.fixture
def encoder(tiny: Path) -> RegionEncoder:
    """The tiny backbone with the quick settings, float32."""
    return RegionEncoder(load_backbone("tiny", tiny), QUICK.encoder)


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every image that goes through the backbone."""
    seen: list[int] = []
    embed = VisionTransformer.embed

    def counted(vit: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
        seen.extend(range(len(images)))
        return embed(vit, images)

    monkeypatch.setattr(VisionTransformer, "embed", counted)
    return seen


@pytest.fixture
def options(tiny: Path) -> list[str]:
    """Options that make a command use the tiny backbone."""
    return ["--backbone", "tiny", "--weights", str(tiny)]

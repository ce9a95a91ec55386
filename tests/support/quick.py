"""A backbone small enough for whole runs, and a handful of images with two kinds of defects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer import Typer
from typer.testing import CliRunner, Result

from anomalyncd.backbone.catalogue import BACKBONES, WEIGHTS_VARIABLE, VitConfig
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.cli.main import app
from anomalyncd.config import (
    PRESETS,
    PROTO_PRESETS,
    Config,
    CropConfig,
    DetectorConfig,
    EncoderConfig,
    TrainingConfig,
)
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.io.cache import CACHE_VARIABLE, LIMIT_VARIABLE
from anomalyncd.regions.crops import Crop
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.measurement import Stages

TINY = VitConfig(patch_size=8, width=16, depth=4, n_heads=2, grid=4)
QUICK = Config(
    detector=DetectorConfig(resolution=96, layers=(0, 1), map_size=64),
    encoder=EncoderConfig(n_guided=3, readout=3, extra_cls=(2,), region_means=(1,)),
    crops=CropConfig(load_size=40, size=32, n_views=2),
    training=TrainingConfig(epochs=2, batch_size=8),
)
UNTRAINED = replace(QUICK, training=replace(QUICK.training, epochs=0))
QUICK_PROTO = replace(
    QUICK,
    foreground=PROTO_PRESETS["default"].foreground,
    training=replace(QUICK.training, head_choice="consensus"),
)
SIZE = (72, 96)


def picture(kind: str, seed: int) -> np.ndarray:
    """A noisy grey plate, RGB; "spot" has a bright square, "line" a dark bar."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(120, 4, (*SIZE, 3))
    top, left = rng.integers(5, 40, 2)
    if kind == "spot":
        pixels[top : top + 16, left : left + 16] = 250
    if kind == "line":
        pixels[top : top + 4, left : left + 40] = 10
    return pixels.clip(0, 255).astype(np.uint8)


def damage(kind: str, seed: int) -> np.ndarray:
    """Where `picture` differs from a normal part of the same seed, bool."""
    return (picture(kind, seed) != picture("good", seed)).any(-1)


def write_base_set(folder: Path) -> None:
    """Four lines and four spots with their masks."""
    for index in range(4):
        for kind in ("line", "spot"):
            image = folder / "test" / kind / f"{index}.png"
            mask = folder / "ground_truth" / kind / f"{index}_mask.png"
            for path, pixels in (
                (image, picture(kind, 90 + index)),
                (mask, damage(kind, 90 + index)),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)


def crops(count: int) -> list[Crop]:
    """Whole crops around a spot or a line, by turns, of the side that `QUICK` loads."""
    side, cut = QUICK.crops.load_size, []
    for seed in range(count):
        kind = ("spot", "line")[seed % 2]
        marked = damage(kind, seed)
        top, left = (min(int(one.min()), 32) for one in marked.nonzero())
        window = slice(top, top + side), slice(left, left + side)
        cut.append(Crop(picture(kind, seed)[window], marked[window].astype(np.float32)))
    return cut


def write_tiny_weights(path: Path) -> Path:
    """Writes random weights of the tiny backbone, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = VisionTransformer(TINY)
        torch.nn.init.normal_(vit.cls_token)
        torch.nn.init.normal_(vit.pos_embed, std=0.1)
        save_file(vit.state_dict(), path)
    return path


def use_tiny(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """See `tiny`, for fixtures that live longer than a test."""
    monkeypatch.setitem(BACKBONES, "tiny", TINY)
    monkeypatch.setitem(PRESETS, "default", QUICK)
    monkeypatch.setitem(PROTO_PRESETS, "default", QUICK_PROTO)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)


def call(*arguments: object, app: Typer = app) -> Result:
    """What a command says and returns; errors that are no exit are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*arguments: object, app: Typer = app) -> str:
    """What a command prints that has to succeed."""
    result = call(*arguments, app=app)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_context(
    encoder: RegionEncoder, folder: Path, config: Config = QUICK, seed: int = 0
) -> RunContext:
    """The context of a run that takes no measurements."""
    return RunContext(encoder, config, seed, folder, Stages())


def scored_regions(scores: np.ndarray, max_normal_score: float = 1.0) -> Regions:
    """One region an image, alike but for their scores."""
    count = len(scores)
    boxes = np.tile([0.0, 0, 20, 20], (count, 1))
    found, area = np.ones(count, np.bool_), np.full(count, 400)
    scores = np.asarray(scores, np.float32)
    regions = Regions(np.arange(count), boxes, area, scores, found)
    return replace(regions, max_normal_score=max_normal_score)

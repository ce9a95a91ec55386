"""Grounding DINO and SAM are loaded and combined; tiny random models stand for both."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd import ForegroundConfig, InputError
from anomalyncd.foreground import grounded_sam
from anomalyncd.foreground.grounded_sam import (
    FALLBACK_PROMPT,
    GroundedSam,
    prompt_for,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "object", "product", "metal", "nut"]
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ForegroundConfig:
    """Config with the folders of both models, by which every box passes."""
    transformers = pytest.importorskip("transformers", reason="the extra grounded-sam is missing")
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    _save_boxes(transformers, folder / "boxes")
    _save_masks(transformers, folder / "masks")
    return ForegroundConfig(
        source="grounded-sam",
        box_model=str(folder / "boxes"),
        mask_model=str(folder / "masks"),
        box_threshold=0.0,
        text_threshold=0.0,
    )


def _save_boxes(transformers: Any, folder: Path) -> None:
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    text = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "intermediate_size": 16, "model_type": "bert"}
    backbone = transformers.SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        d_model=32,
        num_queries=6,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_text_len=16,
    )
    model = transformers.GroundingDinoForObjectDetection(config)
    # With the weights of the constructor, the similarities to words would be 0 or 1.
    torch.nn.init.constant_(model.model.decoder.layer_norm.weight, 0.1)
    model.save_pretrained(folder)
    images = _image_processor(transformers, "GroundingDinoImageProcessor")
    images = images(size={"shortest_edge": 64, "longest_edge": 128})
    transformers.GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)


def _save_masks(transformers: Any, folder: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = small | {"image_size": 64, "patch_size": 16, "output_channels": 16, "mlp_dim": 16}
    config = transformers.SamConfig(
        vision_config=vision | {"num_pos_feats": 8, "global_attn_indexes": [0]},
        prompt_encoder_config={
            "hidden_size": 16,
            "image_size": 64,
            "patch_size": 16,
            "mask_input_channels": 4,
        },
        mask_decoder_config=small | {"mlp_dim": 16, "iou_head_hidden_dim": 16},
    )
    transformers.SamModel(config).save_pretrained(folder)
    images = _image_processor(transformers, "SamImageProcessor")
    side = {"height": 64, "width": 64}
    images = images(size={"longest_edge": 64}, pad_size=side)
    transformers.SamProcessor(images).save_pretrained(folder)


def _image_processor(transformers: Any, name: str) -> Any:
    """The image processor, or the one without torchvision if that is not installed."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        name += "Pil"
    return getattr(transformers, name)


@pytest.fixture
def cpu() -> torch.device:
    return torch.device("cpu")


def test_all_objects_are_joined_in_one_mask(models: ForegroundConfig, cpu: torch.device) -> None:
    model = GroundedSam(models, cpu)
    boxes = model._boxes(Image.fromarray(IMAGE), "metal nut.")
    assert len(boxes) == models.max_objects
    assert (boxes >= 0).all()
    assert (boxes <= [80, 60, 80, 60]).all()
    masks = model._masks(Image.fromarray(IMAGE), boxes)
    assert masks.shape == (models.max_objects, *IMAGE.shape[:2])
    foreground = model.find(IMAGE, "metal nut.")
    assert np.array_equal(foreground, masks.any(0))
    assert foreground.any()


def test_the_boxes_with_the_highest_scores_are_used(
    models: ForegroundConfig, cpu: torch.device
) -> None:
    image = Image.fromarray(IMAGE)
    two = GroundedSam(replace(models, max_objects=2), cpu)._boxes(image, "metal nut.")
    assert np.array_equal(two, GroundedSam(models, cpu)._boxes(image, "metal nut.")[:2])


def test_thresholds_are_applied(models: ForegroundConfig, cpu: torch.device) -> None:
    everywhere = GroundedSam(replace(models, mask_threshold=-1e6), cpu)
    assert everywhere.find(IMAGE, "metal nut.").all()
    for threshold in ({"box_threshold": 0.999}, {"text_threshold": 0.999}):
        model = GroundedSam(replace(models, mask_threshold=-1e6, **threshold), cpu)
        assert not model.find(IMAGE, "metal nut.").any()


def test_any_object_is_looked_for_if_the_prompt_finds_nothing(
    models: ForegroundConfig, cpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = []
    boxes = GroundedSam._boxes

    def only_fallback(model: GroundedSam, image: Image.Image, prompt: str) -> np.ndarray:
        prompts.append(prompt)
        detected = boxes(model, image, prompt)
        return detected if prompt == FALLBACK_PROMPT else detected[:0]

    monkeypatch.setattr(GroundedSam, "_boxes", only_fallback)
    assert GroundedSam(models, cpu).find(IMAGE, "metal nut.").any()
    assert prompts == ["metal nut.", FALLBACK_PROMPT]


def test_cached_models_of_the_hub_are_found_by_name(
    models: ForegroundConfig, cpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("boxes", "masks"):
        cached = tmp_path / f"models--somebody--{name}"
        shutil.copytree(Path(models.box_model).parent / name, cached / "snapshots" / ("0" * 40))
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    named = replace(models, box_model="somebody/boxes", mask_model="somebody/masks")
    here, there = GroundedSam(models, cpu), GroundedSam(named, cpu)
    assert np.array_equal(here.find(IMAGE, "nut."), there.find(IMAGE, "nut."))


def test_models_that_cannot_be_loaded_are_named(
    models: ForegroundConfig, cpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"'somebody/boxes' is not a folder, and .* be reached"):
        GroundedSam(replace(models, box_model="somebody/boxes"), cpu)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty' cannot be loaded as GroundingDinoProcessor"):
        GroundedSam(replace(models, box_model=str(tmp_path / "empty")), cpu)
    with pytest.raises(InputError, match=r"is of the type 'sam2'; give one of the type 'sam'"):
        GroundedSam(replace(models, mask_model=str(_other_type(models, tmp_path))), cpu)


def _other_type(models: ForegroundConfig, folder: Path) -> Path:
    other = shutil.copytree(models.mask_model, folder / "other")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps(config | {"model_type": "sam2"}))
    return other


def test_a_missing_extra_is_named(cpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounded_sam, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'anomalyncd\[grounded-sam\]'"):
        GroundedSam(ForegroundConfig(), cpu)


@pytest.mark.parametrize(
    ("root", "prompt", "words"),
    [
        ("mvtec_ad/metal_nut/test", None, "metal nut."),
        ("mvtec_ad/Bottle", None, "bottle."),
        ("photos", None, FALLBACK_PROMPT),
        ("plant/photos/test", None, FALLBACK_PROMPT),
        (None, None, FALLBACK_PROMPT),
        ("mvtec_ad/pill", "Tablet. white  capsule", "tablet. white capsule."),
    ],
)
def test_prompts_come_from_the_config_or_the_folder(
    root: str | None, prompt: str | None, words: str
) -> None:
    config = ForegroundConfig(prompt=prompt)
    assert prompt_for(config, None if root is None else Path(root)) == words

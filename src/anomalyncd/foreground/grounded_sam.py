"""The foreground from a prompt: Grounding DINO finds boxes, SAM segments what is inside them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from anomalyncd.backbone.weights import hub_answers
from anomalyncd.config import ForegroundConfig
from anomalyncd.errors import InputError
from anomalyncd.runtime.versions import refuse_old

FALLBACK_PROMPT = "object. product."
_GENERIC_NAMES = frozenset(
    {"data", "dataset", "images", "imgs", "new", "novel", "photos", "pictures", "test"}
)


def prompt_for(config: ForegroundConfig, root: Path | None) -> str:
    """Returns the words that describe the product.

    Args:
        config: Its prompt is used, if it has one.
        root: The folder of the images, or the folder `test/` inside it. Its name is taken for the
            name of the product.

    Returns:
        Lower case, with a full stop after each object, as Grounding DINO expects it; "object.
        product." if no name is known.
    """
    words = config.prompt
    if words is None:
        names = () if root is None else (root.name, root.parent.name)[: 1 + (root.name == "test")]
        specific = [name for name in names if name.lower() not in _GENERIC_NAMES]
        words = specific[0] if specific else FALLBACK_PROMPT
    letters = "".join(char if char.isalnum() or char in ".-'" else " " for char in words.lower())
    phrases = [" ".join(phrase.split()) for phrase in letters.split(".")]
    return " ".join(f"{phrase}." for phrase in phrases if phrase)


def require_transformers() -> None:
    """Checks that the extra is installed.

    Raises:
        InputError: It is not, or it is too old; the message names the command that installs it.
    """
    if find_spec("transformers") is None:
        raise InputError(
            "the foreground source 'grounded-sam' needs transformers; install it by pip install "
            "'anomalyncd[grounded-sam]', or set foreground.source to 'auto'"
        )
    refuse_old("transformers")


class GroundedSam:
    """Grounding DINO and SAM, from transformers.

    Args:
        config: Names or folders of the models, and thresholds.
        device: Device on which they run, in float32.

    Raises:
        InputError: The extra is not installed, or a model can neither be found nor downloaded.

    Source: Grounding DINO (Liu et al., ECCV 2024), Segment Anything (Kirillov et al., ICCV 2023),
    Grounded SAM (Ren et al., 2024).
    """

    def __init__(self, config: ForegroundConfig, device: torch.device) -> None:
        require_transformers()
        from transformers import (
            GroundingDinoForObjectDetection,
            GroundingDinoProcessor,
            SamModel,
            SamProcessor,
        )

        self._config, self._device = config, device
        boxes, masks = config.box_model, config.mask_model
        self._box_processor = _loaded(GroundingDinoProcessor, boxes)
        self._box_model = _model(GroundingDinoForObjectDetection, boxes, device)
        self._mask_processor = _loaded(SamProcessor, masks)
        self._mask_model = _model(SamModel, masks, device)

    def find(self, image: NDArray[np.uint8], prompt: str) -> NDArray[np.bool_]:
        """Finds the product in an image, by the fallback "object. product." if the prompt fails.

        Args:
            image: (H, W, 3), RGB.
            prompt: See `prompt_for`.

        Returns:
            (H, W), bool: all objects together; all False if there are none.
        """
        rgb = Image.fromarray(image)
        boxes = self._boxes(rgb, prompt)
        if not len(boxes) and prompt != FALLBACK_PROMPT:
            boxes = self._boxes(rgb, FALLBACK_PROMPT)
        if not len(boxes):
            return np.zeros(image.shape[:2], bool)
        return np.asarray(self._masks(rgb, boxes).any(0))

    def _boxes(self, image: Image.Image, prompt: str) -> NDArray[np.float64]:
        """Left, top, right and bottom of the boxes with the highest scores, (n, 4), px."""
        config = self._config
        inputs = self._box_processor(images=image, text=prompt, return_tensors="pt")
        inputs = inputs.to(self._device)
        with torch.inference_mode():
            outputs = self._box_model(**inputs)
        detected = self._box_processor.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"],
            threshold=config.box_threshold,
            text_threshold=config.text_threshold,
            target_sizes=[(image.height, image.width)],
        )[0]
        scores, boxes = detected["scores"].cpu(), detected["boxes"].cpu()
        # Even without a box there is one label, which is empty.
        labelled = [bool(words) for words in detected["text_labels"][: len(scores)]]
        scores, boxes = scores[labelled], boxes[labelled]
        highest = scores.argsort(descending=True)[: config.max_objects]
        inside: Tensor = boxes[highest].clamp(min=0)
        inside = inside.minimum(torch.tensor([image.width, image.height] * 2))
        return np.asarray(inside.double().numpy())

    def _masks(self, image: Image.Image, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Masks of the objects inside the boxes, (n, H, W)."""
        inputs = self._mask_processor(
            images=image, input_boxes=[boxes.tolist()], return_tensors="pt"
        )
        sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
        inputs["input_boxes"] = inputs["input_boxes"].float()
        with torch.inference_mode():
            outputs = self._mask_model(**inputs.to(self._device), multimask_output=False)
        threshold = self._config.mask_threshold
        masks = self._mask_processor.image_processor.post_process_masks(
            outputs.pred_masks.cpu(), *sizes, mask_threshold=threshold
        )[0]
        return np.asarray(masks[:, 0].numpy())


def _model(kind: Any, source: str, device: torch.device) -> Any:
    model = _loaded(kind, source, use_safetensors=True)
    # From another type, transformers would load the weights that fit and draw the others.
    expected, actual = kind.config_class.model_type, model.config.model_type
    if actual != expected:
        raise InputError(
            f"model '{source}' is of the type '{actual}'; give one of the type '{expected}'"
        )
    return model.to(device).eval().requires_grad_(False)


def _loaded(kind: Any, source: str, **options: Any) -> Any:
    """Loads a model or its processor from a folder, the cache of the hub, or the hub."""
    from huggingface_hub import try_to_load_from_cache

    folder = Path(source).expanduser()
    try:
        if folder.is_dir():
            return kind.from_pretrained(folder, **options)
        cached = isinstance(try_to_load_from_cache(source, "config.json"), str)
        if not cached and not hub_answers():
            raise InputError(
                f"model '{source}' is not a folder, and the Hugging Face hub cannot be reached; "
                "download its repository elsewhere and set the model to the folder"
            )
        return kind.from_pretrained(source, local_files_only=cached, **options)
    except InputError:
        raise
    # The exception for a missing or damaged file depends on the file.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"model '{source}' cannot be loaded as {kind.__name__} ({first}); give the folder or "
            "the name of another"
        ) from error

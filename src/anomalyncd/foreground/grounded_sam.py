"""The product in a picture, found by words: Grounding DINO draws boxes, SAM fills them."""

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

FALLBACK_PROMPT = "object. product."
_SAYS_NOTHING = frozenset(
    {"data", "dataset", "images", "imgs", "new", "novel", "photos", "pictures", "test"}
)


def prompt_for(config: ForegroundConfig, root: Path | None) -> str:
    """The words that the product is looked for with.

    Args:
        config: Their own prompt, if they have one, is taken.
        root: The folder of the images, or `test/` in it; its name is taken for the product's.

    Returns:
        Lower case, each thing followed by a full stop, as Grounding DINO expects it; "object.
        product." where no name is known.
    """
    words = config.prompt
    if words is None:
        names = () if root is None else (root.name, root.parent.name)[: 1 + (root.name == "test")]
        said = [name for name in names if name.lower() not in _SAYS_NOTHING]
        words = said[0] if said else FALLBACK_PROMPT
    plain = "".join(one if one.isalnum() or one in ".-'" else " " for one in words.lower())
    things = [" ".join(one.split()) for one in plain.split(".")]
    return " ".join(f"{one}." for one in things if one)


def require_transformers() -> None:
    """Raises unless the extra is installed.

    Raises:
        InputError: Says how to install it.
    """
    if find_spec("transformers") is None:
        raise InputError(
            "objects by 'grounded-sam' need transformers; pip install 'anomalyncd[grounded-sam]', "
            "or choose the source 'auto'"
        )


class GroundedSam:
    """Grounding DINO and SAM, by the classes of transformers.

    Args:
        config: Names or folders of the models, and thresholds.
        device: Where they run, in float32.

    Raises:
        InputError: The extra is missing, or a model can neither be found nor fetched.

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

        self._settings, self._device = config, device
        boxes, masks = config.box_model, config.mask_model
        self._box_processor = _loaded(GroundingDinoProcessor, boxes)
        self._box_model = _model(GroundingDinoForObjectDetection, boxes, device)
        self._mask_processor = _loaded(SamProcessor, masks)
        self._mask_model = _model(SamModel, masks, device)

    def find(self, image: NDArray[np.uint8], prompt: str) -> NDArray[np.bool_]:
        """Where the product is; where its words find nothing, "object. product." is asked for.

        Args:
            image: (H, W, 3), RGB.
            prompt: See `prompt_for`.

        Returns:
            (H, W), bool: all objects together; nowhere where there is none.
        """
        picture = Image.fromarray(image)
        boxes = self._boxes(picture, prompt)
        if not len(boxes) and prompt != FALLBACK_PROMPT:
            boxes = self._boxes(picture, FALLBACK_PROMPT)
        if not len(boxes):
            return np.zeros(image.shape[:2], bool)
        return np.asarray(self._masks(picture, boxes).any(0))

    def _boxes(self, picture: Image.Image, prompt: str) -> NDArray[np.float64]:
        """Left, top, right and bottom of the surest boxes, (n, 4), px."""
        config = self._settings
        inputs = self._box_processor(images=picture, text=prompt, return_tensors="pt")
        inputs = inputs.to(self._device)
        with torch.inference_mode():
            outputs = self._box_model(**inputs)
        found = self._box_processor.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"],
            threshold=config.box_threshold,
            text_threshold=config.text_threshold,
            target_sizes=[(picture.height, picture.width)],
        )[0]
        scores, boxes = found["scores"].cpu(), found["boxes"].cpu()
        # Without a box there is one label nevertheless, an empty one.
        named = [bool(words) for words in found["text_labels"][: len(scores)]]
        scores, boxes = scores[named], boxes[named]
        surest = scores.argsort(descending=True)[: config.max_objects]
        inside: Tensor = boxes[surest].clamp(min=0)
        inside = inside.minimum(torch.tensor([picture.width, picture.height] * 2))
        return np.asarray(inside.double().numpy())

    def _masks(self, picture: Image.Image, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """What each box is drawn around, (n, H, W)."""
        inputs = self._mask_processor(
            images=picture, input_boxes=[boxes.tolist()], return_tensors="pt"
        )
        sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
        inputs["input_boxes"] = inputs["input_boxes"].float()
        with torch.inference_mode():
            outputs = self._mask_model(**inputs.to(self._device), multimask_output=False)
        threshold = self._settings.mask_threshold
        masks = self._mask_processor.image_processor.post_process_masks(
            outputs.pred_masks.cpu(), *sizes, mask_threshold=threshold
        )[0]
        return np.asarray(masks[:, 0].numpy())


def _model(kind: Any, source: str, device: torch.device) -> Any:
    model = _loaded(kind, source, use_safetensors=True)
    # Of another model, transformers would load what fits and draw the rest at random.
    wanted, found = kind.config_class.model_type, model.config.model_type
    if found != wanted:
        raise InputError(
            f"model '{source}' is of the type '{found}'; give one of the type '{wanted}'"
        )
    return model.to(device).eval().requires_grad_(False)


def _loaded(kind: Any, source: str, **options: Any) -> Any:
    """A model or what prepares its inputs, from a folder, the hub's cache, or the hub."""
    from huggingface_hub import try_to_load_from_cache

    folder = Path(source).expanduser()
    try:
        if folder.is_dir():
            return kind.from_pretrained(folder, **options)
        kept = isinstance(try_to_load_from_cache(source, "config.json"), str)
        if not kept and not hub_answers():
            raise InputError(
                f"model '{source}' is no folder, and the Hugging Face hub cannot be reached; "
                "download its repository elsewhere and name the folder in ForegroundConfig"
            )
        return kind.from_pretrained(source, local_files_only=kept, **options)
    except InputError:
        raise
    # What transformers raises for files that are missing or damaged depends on the file.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"model '{source}' cannot be loaded as {kind.__name__} ({first}); give the folder or "
            "the name of another"
        ) from error

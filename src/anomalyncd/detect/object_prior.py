"""How the product is told from the background, chosen and learnt once for all pictures."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from anomalyncd.data.parts import Parts
from anomalyncd.detect.grounded_sam import prompt_for, require_transformers
from anomalyncd.detect.product import Product, find_product
from anomalyncd.detect.viewer import whole_reader
from anomalyncd.errors import InputError
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.progress import track
from anomalyncd.settings import Settings

_N_LEARNT_FROM = 40


@dataclass(frozen=True, eq=False)
class ObjectPrior:
    """How the product is told from the background; saved with a model."""

    source: Literal["given", "backbone", "grounded-sam", "none"]
    """What tells them apart; `none` takes whole pictures."""
    reason: str
    """Why this one was taken."""
    product: Product | None = None
    """What the backbone has learnt (`backbone`)."""
    prompt: str | None = None
    """Words that the product is looked for with (`grounded-sam`)."""


def fit_object_prior(
    vit: VisionTransformer, parts: Parts, settings: Settings, seed: int
) -> ObjectPrior:
    """Chooses what tells the product from the background, and learns it where it is learnt.

    Args:
        vit: The backbone, on its device and in its precision.
        parts: The pictures; up to 40 of them are learnt from.
        settings: The source, and how the detector reads pictures.
        seed: Of the pictures that are learnt from.

    Raises:
        InputError: `backbone` is asked for and finds no background, or an extra is missing.
    """
    wanted = settings.objects.source
    if wanted == "grounded-sam":
        require_transformers()
        prompt = prompt_for(settings.objects, parts.root)
        return ObjectPrior("grounded-sam", f"asked for '{prompt}'", prompt=prompt)
    reader = whole_reader(vit, settings.detector)
    count = min(_N_LEARNT_FROM, len(parts))
    chosen = np.sort(np.random.default_rng(seed).choice(len(parts), count, replace=False))
    pictures = track(chosen.tolist(), "Looking for the product")
    product = find_product([reader.read(parts, index).patches[-1] for index in pictures])
    if product is not None:
        return ObjectPrior("backbone", "plain background found", product)
    if wanted == "backbone":
        raise InputError(
            "the backbone finds no plain background in these pictures; give masks of the product "
            "as objects (on the command line --objects), or choose the source 'auto' or "
            "'grounded-sam'"
        )
    return ObjectPrior("none", "texture: no plain background found")

"""How the product is told from the background, chosen and learnt once for all pictures."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from anomalyncd.backbone.features import whole_reader
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import Config
from anomalyncd.errors import InputError
from anomalyncd.foreground.grounded_sam import prompt_for, require_transformers
from anomalyncd.foreground.principal_component import PrincipalComponent, fit_principal_component
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io.component import Component
from anomalyncd.runtime.progress import track

_N_LEARNT_FROM = 40


@dataclass(frozen=True, eq=False)
class Foreground(Component):
    """How the product is told from the background; saved with a model."""

    source: Literal["given", "backbone", "grounded-sam", "none"]
    """What tells them apart; `none` takes whole pictures."""
    reason: str
    """Why this one was taken."""
    component: PrincipalComponent | None = None
    """What the backbone has learnt (`backbone`)."""
    prompt: str | None = None
    """Words that the product is looked for with (`grounded-sam`)."""


def fit_foreground(
    vit: VisionTransformer, images: ImageSet, config: Config, seed: int
) -> Foreground:
    """Chooses what tells the product from the background, and learns it where it is learnt.

    Args:
        vit: The backbone, on its device and in its precision.
        images: The pictures; up to 40 of them are learnt from.
        config: The source, and how the detector reads pictures.
        seed: Of the pictures that are learnt from.

    Raises:
        InputError: `backbone` is asked for and finds no background, or an extra is missing.
    """
    wanted = config.foreground.source
    if wanted == "grounded-sam":
        require_transformers()
        prompt = prompt_for(config.foreground, images.root)
        return Foreground("grounded-sam", f"asked for '{prompt}'", prompt=prompt)
    reader = whole_reader(vit, config.detector)
    count = min(_N_LEARNT_FROM, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))
    pictures = track(chosen.tolist(), "Looking for the product")
    component = fit_principal_component(
        [reader.read(images, index).patches[-1] for index in pictures]
    )
    if component is not None:
        return Foreground("backbone", "plain background found", component)
    if wanted == "backbone":
        raise InputError(
            "the backbone finds no plain background in these pictures; give masks of the product "
            "as objects (on the command line --objects), or choose the source 'auto' or "
            "'grounded-sam'"
        )
    return Foreground("none", "texture: no plain background found")

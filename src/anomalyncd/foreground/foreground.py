"""The method that separates the foreground from the background, chosen once for all images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from anomalyncd.backbone.features import whole_reader
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import Config
from anomalyncd.errors import InputError
from anomalyncd.foreground.grounded_sam import prompt_for, require_transformers
from anomalyncd.foreground.principal_component import PrincipalComponent, fit_principal_component
from anomalyncd.images.image_set import ImageSet
from anomalyncd.io.component import Component
from anomalyncd.runtime.progress import track

_N_FITTED = 40


@dataclass(frozen=True, eq=False)
class Foreground(Component):
    """How the foreground of an image is found; `write_foreground_masks` applies it."""

    source: Literal["given", "backbone", "grounded-sam", "none"]
    """The method; `none` takes the whole image for foreground."""
    reason: str
    """Why this method was chosen."""
    component: PrincipalComponent | None = None
    """The fitted principal component (`backbone`)."""
    prompt: str | None = None
    """Words that describe the product (`grounded-sam`)."""


def fit_foreground(
    vit: VisionTransformer, images: ImageSet, config: Config, seed: int
) -> Foreground:
    """Chooses the method that finds the foreground, and fits it.

    Args:
        vit: The backbone, on its device and in its precision.
        images: The images; up to 40 of them are used for the fit.
        config: The method, and how the detector reads images.
        seed: Seed of the draw of these images.

    Raises:
        InputError: The method `backbone` is chosen and the images have no plain background, or
            `grounded-sam` is chosen and its extra is not installed.
    """
    source = config.foreground.source
    if source == "grounded-sam":
        require_transformers()
        prompt = prompt_for(config.foreground, images.root)
        return Foreground("grounded-sam", f"asked for '{prompt}'", prompt=prompt)
    reader = whole_reader(vit, config.detector)
    count = min(_N_FITTED, len(images))
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))
    indices = track(chosen.tolist(), "Looking for the foreground")
    component = fit_principal_component(
        [reader.read(images, index).patches[-1] for index in indices]
    )
    if component is not None:
        return Foreground("backbone", "plain background found", component)
    if source == "backbone":
        raise InputError(
            "the backbone finds no plain background in these images; give masks of the product as "
            "`foreground`, or set foreground.source to 'auto' or 'grounded-sam'"
        )
    return Foreground("none", "texture: no plain background found")

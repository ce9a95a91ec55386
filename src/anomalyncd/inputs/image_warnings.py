"""Warnings about images that can be read: blank images, copies, and grey among coloured ones.

Our own. Photographs of an aligned product, or of an even surface, are alike. Two images count as
one photograph only where small grey copies of them agree to half a grey level and the fine grain in
the middle of them is the same. No two photographs of MVTec AD bottle and pill, MTD and the made
products come closer than 0.7 grey levels.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.inputs.findings import Findings
from anomalyncd.runtime.wording import counted

_LEAST_CONTRAST = 4
"""Grey levels between the darkest and the brightest place that noise alone reaches."""
_SMALL = 8
_NEARLY_SAME = 0.5
"""Grey levels by which two pixels of the small copies of one photograph differ at most."""
_GRAIN = 64
"""Side in px of the middle part whose grain is compared."""
_SAME_GRAIN = 0.7
"""Least correlation of the grain of one photograph that was saved twice."""
_FREQUENT = 0.1
"""Share of the images."""


@dataclass(frozen=True, eq=False)
class ImageLook:
    """What is kept of one image to compare it with the others."""

    digest: bytes
    """Of its size and pixels; equal only for equal images."""
    small: NDArray[np.float32]
    """(64,): grey levels of 8 x 8 places, 0..255."""
    grain: NDArray[np.float16]
    """(G,): unit vector of the fine differences in the middle; zero where there are none."""
    contrast: int
    """Grey levels between its darkest and brightest place, single pixels left out."""
    grey: bool
    """Whether it has no colour."""


def look_at_image(pixels: NDArray[np.unsignedinteger[Any]]) -> ImageLook:
    """Looks at one image.

    Args:
        pixels: (H, W, 1), (H, W, 3) or (H, W, 4), red first. More than 8 bits are read up to the
            brightest value of the image, since the levels of the set are not known yet.
    """
    grey = _grey(pixels)
    # Two steps, since the levels of the first one are rounded.
    medium = cv2.resize(grey, (8 * _SMALL, 8 * _SMALL), interpolation=cv2.INTER_AREA)
    small = medium.reshape(_SMALL, 8, _SMALL, 8).mean((1, 3), dtype=np.float32)
    calm = cv2.medianBlur(grey, 3)  # A hot pixel is no contrast.
    whole = blake2b(repr(pixels.shape).encode(), digest_size=16)
    whole.update(np.ascontiguousarray(pixels).data)
    red, green, blue = (pixels[..., min(channel, pixels.shape[2] - 1)] for channel in range(3))
    return ImageLook(
        whole.digest(),
        small.ravel(),
        _grain(grey),
        int(calm.max()) - int(calm.min()),
        np.array_equal(red, green) and np.array_equal(green, blue),
    )


def _grey(pixels: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.uint8]:
    if pixels.dtype != np.uint8:
        calm = cv2.medianBlur(np.ascontiguousarray(pixels), 3)
        brightest = max(int(calm.max()), 255)
        pixels = np.minimum(pixels * np.float32(255 / brightest), 255).astype(np.uint8)
    if pixels.shape[2] == 1:
        return np.ascontiguousarray(pixels[..., 0])
    grey: NDArray[np.uint8] = cv2.cvtColor(
        np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY
    )
    return grey


def _grain(grey: NDArray[np.uint8]) -> NDArray[np.float16]:
    top, left = (max(0, (side - _GRAIN) // 2) for side in grey.shape)
    middle = grey[top : top + _GRAIN, left : left + _GRAIN].astype(np.float32)
    fine = (middle - cv2.blur(middle, (3, 3))).ravel()
    unit: NDArray[np.float16] = (fine / max(float(np.linalg.norm(fine)), 1e-9)).astype(np.float16)
    return unit


def warn_about_images(
    looks: dict[str, ImageLook], findings: Findings, what: str = "images"
) -> None:
    """Adds warnings about blank images, copies and mixed colours.

    Args:
        looks: The images that can be read, by name.
        findings: Where the warnings go.
        what: What the images are: "images", "normal images".
    """
    blank = [name for name, look in looks.items() if look.contrast < _LEAST_CONTRAST]
    if blank:
        findings.warn(
            f"{counted(len(blank), 'image is', 'images are')} blank{_among(what)}, '{blank[0]}' "
            f"first: no two places differ by {_LEAST_CONTRAST} of 255 grey levels. A class that "
            "is found among blank images means nothing. Check the exposure and the bit depth, or "
            "remove them."
        )
    filled = {name: look for name, look in looks.items() if name not in set(blank)}
    _warn_of_copies(filled, findings, what)
    n_grey = sum(look.grey for look in filled.values())
    fewest = min(n_grey, len(filled) - n_grey)
    if fewest > max(1, _FREQUENT * len(filled)):
        findings.warn(
            f"{n_grey:,} of {counted(len(filled), 'image is', 'images are')} grey{_among(what)}, "
            "the others have colour. Classes may follow the colour instead of the defects. "
            "Photograph all images in one way, or make all of them grey."
        )


def _warn_of_copies(looks: dict[str, ImageLook], findings: Findings, what: str) -> None:
    first: dict[bytes, str] = {}
    copies = [(first.setdefault(look.digest, name), name) for name, look in looks.items()]
    copies = [pair for pair in copies if pair[0] != pair[1]]
    if copies:
        findings.warn(
            f"{counted(len(copies), 'image is a copy', 'images are copies')} of another, pixel "
            f"for pixel{_among(what)}: '{copies[0][1]}' of '{copies[0][0]}'. Each copy counts as "
            "one more image, so that classes and their numbers are distorted. Remove the copies."
        )
    alike = _nearly_same({name: looks[name] for name in first.values()})
    if alike:
        findings.warn(
            f"{counted(len(alike), 'image is', 'images are')} nearly the same as "
            f"another{_among(what)}: '{alike[0][1]}' as '{alike[0][0]}'. If one photograph was "
            "saved several times, remove all but one, since each counts as one more image."
        )


def _nearly_same(looks: dict[str, ImageLook]) -> list[tuple[str, str]]:
    """Pairs of one image and another that shows the same photograph, saved in another way."""
    names = sorted(looks, key=lambda name: float(looks[name].small.mean()))
    small = np.array([looks[name].small for name in names]).reshape(len(names), _SMALL**2)
    brightness, alike = small.mean(1), []
    for index, name in enumerate(names):
        end = int(np.searchsorted(brightness, brightness[index] + _NEARLY_SAME))
        apart = np.abs(small[index + 1 : end] - small[index]).max(1, initial=0)
        close = index + 1 + np.flatnonzero(apart < _NEARLY_SAME)
        others = [names[other] for other in close if _same_grain(looks[name], looks[names[other]])]
        alike += [(min(name, other), max(name, other)) for other in others[:1]]
    return sorted(alike)


def _same_grain(one: ImageLook, other: ImageLook) -> bool:
    if one.grain.shape != other.grain.shape:
        return False
    return float(one.grain.astype(np.float32) @ other.grain.astype(np.float32)) > _SAME_GRAIN


def _among(what: str) -> str:
    return "" if what == "images" else f" (among the {what})"

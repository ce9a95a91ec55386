"""A printed label on a moulded part: paper, print with a serial number, and the light on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from anomalyncd.synthetic.scenes import Rendering, Scene, develop, lamp_light, shine
from anomalyncd.synthetic.shapes import Field, rounded_rectangle, smooth_noise
from anomalyncd.synthetic.surfaces import Surface, planes

_OVERSAMPLING = 2
_PRINTING = 1  # second word of the seed
_AMBIENT = 0.6
_HALF = (0.42, 0.40)
"""Half width and half height of the label, divided by those of the image."""
_BARS = 30


@dataclass(frozen=True)
class Label(Surface):
    """A label and the part around it, upright, at twice the resolution; all lengths in px of it."""

    ink: Field
    """The share of each pixel that ink covers, 0 to 1."""
    ink_colour: npt.NDArray[np.float32]
    """Reflectance of the ink, 3 (red, green, blue) x H x W."""
    rim: Field
    """Signed distance to the edge of the label, negative on it."""


def lay_label(scene: Scene) -> Label:
    """Makes the normal label of a scene; the seed also draws number, density and dust."""
    rng = np.random.default_rng([scene.seed, _PRINTING])
    size = scene.size[0] * _OVERSAMPLING, scene.size[1] * _OVERSAMPLING
    unit = scene.unit * _OVERSAMPLING
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    across, down = x - (size[1] - 1) / 2, y - (size[0] - 1) / 2
    half = _HALF[0] * size[1], _HALF[1] * size[0]
    rim = rounded_rectangle(across, down, half, 9 * unit)
    on_label = np.clip(0.5 - rim, 0, 1)
    moulded = smooth_noise(rng, size, 1.6 * unit) + 0.5 * smooth_noise(rng, size, 3 * unit)
    fibres = smooth_noise(rng, size, 1.3 * unit)
    paper = planes([0.66, 0.655, 0.63]) * (1 + 0.006 * smooth_noise(rng, size, 30 * unit))
    part = planes([0.075, 0.085, 0.09]) * (1 + 0.05 * smooth_noise(rng, size, 50 * unit))
    ink = _print(size, half, rng)
    uneven = 0.94 + 0.03 * smooth_noise(rng, size, 40 * unit) + 0.02 * fibres
    blue = (down < -0.42 * half[1]).astype(np.float32)
    return Label(
        height=(
            on_label * (unit + 0.02 * unit * fibres) + (1 - on_label) * 0.16 * unit * moulded
        ).astype(np.float32),
        colour=part + on_label * (paper - part),
        gloss=(rng.uniform(0.04, 0.07) * on_label + 0.02).astype(np.float32),
        unit=unit,
        ink=np.clip(ink * uneven, 0, 1).astype(np.float32),
        ink_colour=planes([0.03, 0.03, 0.035]) + blue * planes([0.0, 0.06, 0.19]),
        rim=rim,
    )


def photograph_label(label: Label, scene: Scene) -> Rendering:
    """Renders a label as the camera sees it, turned and shifted with its part."""
    relief = cv2.GaussianBlur(label.height, (0, 0), 0.5 * label.unit)
    lit, mirrored = shine(relief, _AMBIENT, scene)
    sheen = label.gloss * mirrored**30
    printed = label.ink * np.clip(0.5 - label.rim, 0, 1)
    turned = cv2.getRotationMatrix2D((label.size[1] / 2, label.size[0] / 2), scene.rotation, 1)
    turned[:, 2] += _OVERSAMPLING * np.array(scene.shift)
    lamp, channels = lamp_light(scene), []
    for colour, ink in zip(label.colour, label.ink_colour, strict=True):
        seen = (colour + printed * (ink - colour)) * lit + sheen
        flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT}
        seen = cv2.warpAffine(seen.astype(np.float32), turned, label.size[::-1], **flags)
        channels.append(cv2.resize(seen, scene.size[::-1], interpolation=cv2.INTER_AREA) * lamp)
    return develop(channels, scene)


def _print(size: tuple[int, int], half: tuple[float, float], rng: np.random.Generator) -> Field:
    """Prints frame, logo, text, serial number and bar code, from 0 to 1."""
    sharp = 2
    canvas = np.zeros((size[0] * sharp, size[1] * sharp), np.uint8)
    middle = np.array([size[1], size[0]]) * sharp / 2

    def at(x: float, y: float) -> tuple[int, int]:
        """Turns a place on the label, from -1 to 1 in x and y, into one on the canvas."""
        place = middle + np.array([x, y]) * np.array(half) * sharp
        return round(place[0]), round(place[1])

    def write(text: str, start: tuple[float, float], width: float, weight: float) -> None:
        """Writes upwards from a place, as wide as given, with strokes relative to the height."""
        font, wanted = cv2.FONT_HERSHEY_DUPLEX, width * half[0] * sharp
        (normal, height), _ = cv2.getTextSize(text, font, 1, 1)
        scale = wanted / normal
        thickness = max(1, round(weight * height * scale))
        cv2.putText(canvas, text, at(*start), font, scale, 255, thickness, cv2.LINE_AA)

    line = max(1, round(0.012 * half[1] * sharp))
    cv2.rectangle(canvas, at(-0.94, -0.91), at(0.94, 0.91), 255, 2 * line, cv2.LINE_AA)
    cv2.rectangle(canvas, at(-0.94, -0.45), at(0.94, -0.43), 255, -1)
    _logo(canvas, [at(-0.76, -0.68), at(-0.76, -0.5)])
    write("NORDWERK", (-0.55, -0.655), 0.8, 0.16)
    write("Drives and controls", (-0.55, -0.515), 0.66, 0.1)
    cv2.rectangle(canvas, at(0.5, -0.82), at(0.85, -0.53), 255, line, cv2.LINE_AA)
    write("IP54", (0.55, -0.62), 0.25, 0.15)
    write("Type  NW-3400-B", (-0.86, -0.27), 0.78, 0.11)
    write("230 V ~ 50 Hz   1.6 A   IK08", (-0.86, -0.11), 1.02, 0.09)
    serial = "".join(str(digit) for digit in rng.integers(0, 10, 8))
    write(f"S/N  {serial[:4]} {serial[4:]}", (-0.86, 0.08), 0.82, 0.12)
    write("Do not open while under voltage", (-0.86, 0.82), 1.05, 0.09)
    cv2.line(canvas, at(-0.94, 0.69), at(0.94, 0.69), 255, line, cv2.LINE_AA)
    write(f"{rng.integers(1, 53):02}/26", (0.55, 0.82), 0.28, 0.12)
    edges = np.cumsum(rng.choice([1, 2, 3], 2 * _BARS, p=[0.55, 0.3, 0.15]))
    for left, right in (-0.86 + 1.2 * edges / edges[-1]).reshape(-1, 2):
        cv2.rectangle(canvas, at(left, 0.2), at(right, 0.58), 255, -1)
    triangle = np.array([at(0.66, 0.12), at(0.46, 0.56), at(0.86, 0.56)])
    cv2.polylines(canvas, [triangle], True, 255, 3 * line, cv2.LINE_AA)
    bolt = np.array([at(0.68, 0.25), at(0.6, 0.42), at(0.66, 0.41), at(0.63, 0.53), at(0.73, 0.36)])
    cv2.fillPoly(canvas, [bolt], 255, cv2.LINE_AA)
    printed = cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA)
    ink: Field = printed.astype(np.float32) / np.float32(255)
    return ink


def _logo(canvas: npt.NDArray[np.uint8], places: Sequence[tuple[int, int]]) -> None:
    """Draws a disc with a compass needle, given its middle and its lowest point."""
    (x, y), radius = places[0], places[1][1] - places[0][1]
    cv2.circle(canvas, (x, y), radius, 255, -1, cv2.LINE_AA)
    cv2.circle(canvas, (x, y), round(0.8 * radius), 0, max(1, radius // 12), cv2.LINE_AA)
    needle = np.array([(0.42, -0.42), (0.15, 0.15), (-0.42, 0.42), (-0.15, -0.15)]) * radius
    cv2.fillPoly(canvas, [np.rint(needle + places[0]).astype(np.int32)], 0, cv2.LINE_AA)

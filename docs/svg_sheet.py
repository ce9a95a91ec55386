"""A small SVG canvas: pictures, text, lines and bars on a light card."""

import base64
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH = 560
"""Of every figure in px: on a phone text of 18 px shrinks to about 11."""
INK, MUTED, RULE = "#1f2933", "#52606d", "#cbd2d9"
BLUE, ORANGE = "#1c6fb0", "#d9480f"


class Sheet:
    """One figure; coordinates in px from the upper left corner."""

    def __init__(self, height: int, title: str) -> None:
        self.height = height
        self.items = [f"<title>{escape(title)}</title>"]
        self.box(1, 1, WIDTH - 2, height - 2, fill="#ffffff", stroke=RULE, radius=8)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 18,
        colour: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Writes a line whose baseline is at `y`."""
        weight = ' font-weight="600"' if bold else ""
        self.items.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str = "none",
        stroke: str = "none",
        line: float = 1,
        radius: float = 0,
    ) -> None:
        """Draws a rectangle."""
        self.items.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="{line}"/>'
        )

    def line(
        self, points: list[tuple[float, float]], colour: str = INK, width: float = 2, dash: str = ""
    ) -> None:
        """Draws a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.items.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"'
            f'{dashes} stroke-linejoin="round"/>'
        )

    def dot(self, x: float, y: float, radius: float, colour: str, opacity: float = 1) -> None:
        """Draws a filled circle."""
        self.items.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" '
            f'fill-opacity="{opacity}"/>'
        )

    def picture(
        self, x: float, y: float, width: float, height: float, pixels: NDArray[np.uint8]
    ) -> None:
        """Embeds an RGB picture, HxWx3, stretched to the given size."""
        coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        content = base64.b64encode(coded.tobytes()).decode()
        self.items.append(
            f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'preserveAspectRatio="none" href="data:image/jpeg;base64,{content}"/>'
        )

    def number(self, x: float, y: float, words: str, colour: str) -> None:
        """Writes one character in a filled circle."""
        self.dot(x, y, 13, colour)
        self.text(x, y + 6, words, 17, "#ffffff", "middle", bold=True)

    def save(self, path: Path) -> None:
        """Writes the figure."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}" '
            f'viewBox="0 0 {WIDTH} {self.height}" font-family="system-ui, sans-serif">'
        )
        path.write_text("\n".join([head, *self.items, "</svg>\n"]), encoding="utf-8", newline="\n")

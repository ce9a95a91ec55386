"""A small set of labelled regions with names and boxes that are hard to write."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.exchange.labelled import CLASS_COLUMNS, LabelledRegions

HEIGHT, WIDTH = 60, 80
NAMES = ("a/b", "c d", "\u00fcbel/gr\u00f6\u00dfe", "=1+1", "v1.2", "100%", "empty")
"""`empty` has no region."""
CLASSES = pd.DataFrame(
    [
        (0, "normal", "", "#808080", "not a defect", ""),
        (1, "Scratch", "long", "#ff0000", "defect", "high"),
        (2, "scratch", "short", "#00ff00", "defect", ""),
        (3, '\u00f6lig <& "rot"', "", "#0000ff", "defect", ""),
        (4, "dust", "", "#aaaaaa", "not a defect", ""),
        (5, "unclear", "", "#bbbbbb", "ignored", ""),
        (7, "unused", "", "#cccccc", "defect", ""),
    ],
    columns=list(CLASS_COLUMNS),
)
REGIONS = pd.DataFrame(
    [
        # Two components and a hole; partly outside; no anomalous pixel; touching the edges.
        (10, "a/b", 4, 4, 44, 44, 1, 0.9, True),
        (11, "a/b", 60, 40, 100, 80, 2, 0.8, True),
        (12, "c d", -20, -20, 10, 10, 3, 0.7, True),
        (13, "c d", 40, 20, 60, 40, 2, np.nan, True),
        (14, NAMES[2], 0, 0, 80, 60, 1, 0.5, True),
        (15, "=1+1", 10, 10, 30, 30, 3, 0.5, False),
        (16, "v1.2", 10, 10, 30, 30, 2, 0.5, True),
        (17, "100%", 10, 10, 30, 30, 1, 0.5, True),
        (18, "v1.2", 50, 10, 70, 30, 0, 0.5, True),
        (19, "v1.2", 50, 30, 70, 50, 4, 0.5, True),
        (20, "=1+1", 50, 30, 70, 50, 5, 0.5, True),
    ],
    columns=[
        "id",
        "name",
        *("left", "top", "right", "bottom"),
        "class_id",
        "confidence",
        "confirmed",
    ],
)
DEFECTS = (10, 11, 12, 13, 14, 15, 16, 17)
UNCONFIRMED = 15


def mask_of(name: str) -> NDArray[np.bool_]:
    """The mask of an image, at half its size."""
    mask = np.zeros((HEIGHT // 2, WIDTH // 2), np.bool_)
    if name == "a/b":
        mask[3:12, 3:9] = True
        mask[5:8, 5:7] = False
        mask[13, 15:20] = mask[18:20, 10] = True
        mask[25:, 33:] = np.eye(5, 7, dtype=np.bool_)
    elif name == "c d":
        mask[:3, :2] = True
    elif name == NAMES[2]:
        mask[::29, :] = mask[:, ::39] = True
    elif name != "empty":
        mask[6:10, 7:13] = mask[7:9, 28:33] = mask[18:20, 28:33] = True
    return mask


def labelled_regions(folder: Path) -> LabelledRegions:
    """Writes the images below `folder/photos` and returns the regions."""
    noise = np.random.default_rng(0)
    paths = []
    for name in NAMES:
        path = folder / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(path)
        paths.append(str(path))
    images = pd.DataFrame({"name": NAMES, "path": paths, "height": HEIGHT, "width": WIDTH})
    regions = REGIONS.assign(
        class_name=REGIONS["class_id"].map(dict(zip(CLASSES["id"], CLASSES["name"], strict=True))),
        score=0.5,
    )
    return LabelledRegions(images, regions, CLASSES, mask_of)

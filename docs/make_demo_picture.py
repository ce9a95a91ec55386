"""Draws docs/images/demo.jpg from the run of `make demo`: a row for each class discovered.

python docs/make_demo_picture.py demo/run docs/images/demo.jpg
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from anomalyncd.evaluation.labels import labels_from_names
from anomalyncd.evaluation.scores import match_classes
from anomalyncd.regions.crops import crop

SIDE, GAP, LABEL, PER_ROW = 96, 6, 150, 8


def draw_region(row: pd.Series, masks: Path) -> np.ndarray:
    image = np.asarray(Image.open(row["path"]).convert("RGB")).copy()
    mask = np.asarray(Image.open(masks / f"{row['name']}.png").convert("L"))
    mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, (255, 200, 0), 1)
    box = row[["left", "top", "right", "bottom"]].to_numpy(float)
    return cv2.resize(crop(image, box, "reflect"), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def main(run: Path, out: Path) -> None:
    regions = pd.read_csv(run / "regions.csv", dtype={"name": str})
    images = pd.read_csv(run / "images.csv", dtype={"name": str})
    labels = labels_from_names(images["name"].tolist())
    single = [label != "combined" for label in labels]
    kept = [label for label, keep in zip(labels, single, strict=True) if keep]
    matched = match_classes(kept, images["class"][single].tolist())
    classes = sorted(regions["class"].unique())
    size = (LABEL + PER_ROW * (SIDE + GAP), len(classes) * (SIDE + GAP))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for line, label in enumerate(classes):
        members = regions[regions["class"] == label].sort_values(f"p_{label}", ascending=False)
        top = line * (SIDE + GAP)
        name = matched.get(label, "no kind")
        draw.text((4, top + SIDE // 3), f"{members['class_name'].iloc[0]}", "black", font)
        draw.text((4, top + SIDE // 3 + 18), f"({name}, {len(members)})", "grey", font)
        step = max(1, len(members) // PER_ROW)
        for column, (_, row) in enumerate(members.iloc[::step].head(PER_ROW).iterrows()):
            picture = Image.fromarray(draw_region(row, run / "masks"))
            sheet.paste(picture, (LABEL + column * (SIDE + GAP), top))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, optimize=True, quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

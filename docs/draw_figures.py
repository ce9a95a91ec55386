"""Draws the figures of the documentation from synthetic images: `python docs/draw_figures.py`.

It generates images, discovers their classes and draws the result. The weights of the default
backbone are needed.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from svg_sheet import BLUE, INK, MUTED, ORANGE, RULE, WIDTH, Sheet

from anomalyncd import PRESETS, AnomalyNCD, ImageSet, make_synthetic_images
from anomalyncd.discovery.normality import Normality
from anomalyncd.embedding.guidance import Guidance, region_shares
from anomalyncd.regions.crops import crop
from anomalyncd.regions.mebin import binarise, threshold_at
from anomalyncd.regions.score_range import rescale
from anomalyncd.regions.table import resize_mask
from anomalyncd.results.aggregation import merging_temperature

IMAGES = Path(__file__).parent / "images"
CONFIG = PRESETS["default"]
TWO_DEFECTS, ONE_DEFECT, NORMAL = "combined/000", "rust/000", "good/000"
COLOURS = (BLUE, ORANGE)
LEFT, GAP = 16, 16
PANEL = (WIDTH - 2 * LEFT - GAP) // 2, 192


@dataclass(frozen=True)
class Run:
    """A discovery among synthetic images, with its maps."""

    estimator: AnomalyNCD
    images: ImageSet
    maps: Path

    def picture(self, name: str) -> NDArray[np.uint8]:
        return self.images.image(self.images.names.index(name))

    def map(self, name: str) -> NDArray[np.float32]:
        return np.load(self.maps / f"{name}.npy").astype(np.float32)

    def mask(self, name: str) -> NDArray[np.bool_]:
        coded = self.estimator.predictions_.masks[self.images.names.index(name)]
        return resize_mask(coded, self.picture(name).shape[:2])

    def regions(self, name: str) -> pd.DataFrame:
        table = self.estimator.predictions_.regions
        return table[table["name"] == name]

    def crops(self, name: str) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        for box in boxes(self.regions(name)):
            yield crop(self.picture(name), box, "reflect"), crop(self.mask(name), box, "zero")


def boxes(regions: pd.DataFrame) -> NDArray[np.float64]:
    return regions[["left", "top", "right", "bottom"]].to_numpy(float)


def heat(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scores 0..1 as colours, low ones dark."""
    return cv2.applyColorMap((255 * scores).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]


def outlined(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image.copy(), lines, -1, (255, 220, 0), 1)


def tinted(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    pale = image // 2 + 110
    pale[mask] = (217, 72, 15)
    return pale


def panel(sheet: Sheet, column: int, top: float, title: str, pixels: NDArray[np.uint8]) -> float:
    """A titled picture in the left or right half; returns where its picture begins."""
    x = LEFT + column * (PANEL[0] + GAP)
    sheet.text(x, top + 20, title)
    sheet.picture(x, top + 32, PANEL[0], PANEL[1], pixels)
    return x


def draw_boxes(
    sheet: Sheet, run: Run, name: str, x: float, y: float, size: tuple[float, float]
) -> None:
    """Draws the numbered boxes of the regions over a photograph."""
    height, width = run.picture(name).shape[:2]
    across, down = size[0] / width, size[1] / height
    for index, (left, top, right, bottom) in enumerate(boxes(run.regions(name))):
        place = x + left * across, y + top * down
        sheet.box(*place, (right - left) * across, (bottom - top) * down, "none", COLOURS[index], 3)
        sheet.number(place[0] + 2, place[1] + 2, str(index + 1), COLOURS[index])


def overview(run: Run) -> Sheet:
    sheet = Sheet(500, "From a photograph to classes")
    picture, half, score_range = run.picture(TWO_DEFECTS), 240, run.estimator.model_.score_range
    panel(sheet, 0, 12, "1. Photograph", picture)
    panel(sheet, 1, 12, "2. Anomaly map", heat(rescale(run.map(TWO_DEFECTS), score_range)))
    x = panel(sheet, 0, 12 + half, "3. Regions", outlined(picture, run.mask(TWO_DEFECTS)))
    draw_boxes(sheet, run, TWO_DEFECTS, x, 44 + half, PANEL)
    x = LEFT + PANEL[0] + GAP
    sheet.text(x, 32 + half, "4. Classes")
    names = run.regions(TWO_DEFECTS)["class_name"]
    for index, ((image, mask), name) in enumerate(zip(run.crops(TWO_DEFECTS), names, strict=True)):
        place = x + index * 132
        sheet.picture(place, 44 + half, 124, 124, outlined(image, mask))
        sheet.number(place + 14, 58 + half, str(index + 1), COLOURS[index])
        sheet.text(place + 62, 200 + half, name, anchor="middle", bold=True)
    return sheet


def maps(run: Run) -> Sheet:
    sheet = Sheet(500, "Two images and their anomaly maps")
    highest = run.map(ONE_DEFECT).max()
    for top, title, name in ((12, "Image with rust", ONE_DEFECT), (252, "Normal image", NORMAL)):
        panel(sheet, 0, top, title, run.picture(name))
        panel(sheet, 1, top, "Its map", heat(run.map(name) / highest))
    return sheet


def mebin(run: Run) -> Sheet:
    sheet = Sheet(520, "Region counts over thresholds, and the mask at three of them")
    score_range, config = run.estimator.model_.score_range, CONFIG.mebin
    scores = run.map(TWO_DEFECTS)
    found = binarise(scores, score_range, config)
    thresholds = [threshold_at(k, score_range, config) for k in range(config.n_thresholds)]
    chosen = thresholds.index(found.threshold)
    run_start = chosen
    while run_start and found.counts[run_start - 1] == found.n_regions:
        run_start -= 1
    draw_counts(sheet, found.counts, run_start, chosen)
    eroded = cv2.erode(scores, np.ones((config.erosion, config.erosion), np.uint8))
    picture = run.picture(TWO_DEFECTS)
    shown = (("too high", run_start - 4), ("chosen", chosen), ("too low", len(thresholds) - 1))
    width = (WIDTH - 2 * LEFT - 2 * 12) / 3
    for column, (title, index) in enumerate(shown):
        x = LEFT + column * (width + 12)
        mask = resize_mask(eroded > thresholds[index], picture.shape[:2])
        sheet.text(x, 364, f"{title}: {found.counts[index]}", bold=index == chosen)
        sheet.picture(x, 376, width, width * 0.75, tinted(picture, mask))
    return sheet


def draw_counts(sheet: Sheet, counts: NDArray[np.int64], start: int, chosen: int) -> None:
    """The count sequence as steps, its longest stable run shaded."""
    left, right, top, bottom = 48.0, WIDTH - 20.0, 44.0, 270.0
    step = (right - left) / len(counts)
    rise = (bottom - top) / (counts.max() + 1)
    sheet.text(LEFT, 28, "Number of regions")
    sheet.box(left + start * step, top, (chosen + 1 - start) * step, bottom - top, "#dbeafe")
    for count in range(0, int(counts.max()) + 1, 2):
        sheet.text(left - 10, bottom - count * rise + 6, str(count), 16, MUTED, "end")
        sheet.line([(left, bottom - count * rise), (right, bottom - count * rise)], RULE, 1)
    path = []
    for index, count in enumerate(counts.tolist()):
        level = bottom - count * rise
        path += [(left + index * step, level), (left + (index + 1) * step, level)]
    sheet.line(path, INK, 2.5)
    middle = left + (start + chosen + 1) / 2 * step
    sheet.text(middle, top + 22, "longest stable run", 17, BLUE, "middle")
    x = left + (chosen + 0.5) * step
    sheet.line([(x, top), (x, bottom)], ORANGE, 2.5, "6 4")
    sheet.text(right, bottom + 24, "chosen threshold", 17, ORANGE, "end", bold=True)
    sheet.text(left, bottom + 48, "high threshold", 17, MUTED)
    sheet.text(right, bottom + 48, "low threshold", 17, MUTED, "end")


def regions(run: Run) -> Sheet:
    sheet = Sheet(330, "Squares around the anomalous pixels, and the crops")
    wide = 364, 273
    sheet.text(LEFT, 30, "Mask (yellow) and squares")
    sheet.picture(LEFT, 44, *wide, outlined(run.picture(TWO_DEFECTS), run.mask(TWO_DEFECTS)))
    draw_boxes(sheet, run, TWO_DEFECTS, LEFT, 44, wide)
    x = LEFT + wide[0] + 24
    sheet.text(x, 30, "Crops")
    for index, (image, _) in enumerate(run.crops(TWO_DEFECTS)):
        top = 44 + index * 141
        sheet.picture(x, top, 132, 132, image)
        sheet.number(x + 16, top + 16, str(index + 1), COLOURS[index])
    return sheet


def central_window(crop: NDArray[np.generic]) -> NDArray[np.generic]:
    """The central window of a crop, which the backbone encodes."""
    config = CONFIG.crops
    loaded = cv2.resize(crop * np.uint8(1), (config.load_size, config.load_size))
    edge = (config.load_size - config.size) // 2
    return loaded[edge : edge + config.size, edge : edge + config.size]


def descriptors(run: Run) -> Sheet:
    sheet = Sheet(530, "How the mask guides attention, and which blocks are read")
    image, mask = (central_window(pixels) for pixels in next(run.crops(TWO_DEFECTS)))
    patches = CONFIG.crops.size // 14
    masks = torch.from_numpy(mask.astype(np.float32))[None, None]
    mask = mask > 0.5
    bias = Guidance(CONFIG.encoder)(region_shares(masks, (patches, patches)), 0)
    weight = bias.exp().view(patches, patches).numpy()
    side = PANEL[0]
    for column, (title, pixels) in enumerate(
        (("Crop and mask", outlined(image, mask)), ("Weight of each patch", heat(weight)))
    ):
        x = LEFT + column * (PANEL[0] + GAP)
        sheet.text(x, 32, title)
        large = cv2.resize(pixels, (448, 448), interpolation=cv2.INTER_NEAREST)
        sheet.picture(x, 44, side, side, large)
    draw_blocks(sheet, 340)
    return sheet


def draw_blocks(sheet: Sheet, top: float) -> None:
    """The blocks of the backbone, those that are guided, and those that are read."""
    encoder, n_blocks = CONFIG.encoder, 12
    read = dict.fromkeys((*encoder.extra_cls, encoder.readout), ORANGE)
    read |= dict.fromkeys(encoder.region_means, BLUE)
    step = (WIDTH - 2 * LEFT) / n_blocks
    sheet.text(LEFT, top, "Blocks of the vision transformer")
    for index in range(n_blocks):
        x = LEFT + index * step
        fill = read.get(index, "#eef1f4")
        sheet.box(x, top + 14, step - 6, 42, fill, RULE, 1, 4)
        colour = "#ffffff" if index in read else MUTED
        sheet.text(x + step / 2 - 3, top + 41, str(index), 17, colour, "middle", index in read)
    first = LEFT + (n_blocks - encoder.n_guided) * step
    end = LEFT + (encoder.readout + 1) * step - 6
    sheet.line([(first, top + 66), (first, top + 74), (end, top + 74), (end, top + 66)], MUTED)
    sheet.text((first + end) / 2, top + 96, "CLS token guided by the mask", 17, MUTED, "middle")
    for row, (colour, words) in enumerate(
        ((ORANGE, "CLS token is read"), (BLUE, "mean patch token under the mask is read"))
    ):
        sheet.box(LEFT, top + 120 + row * 32, 20, 20, colour, radius=4)
        sheet.text(LEFT + 30, top + 136 + row * 32, words)


def normality(run: Run) -> Sheet:
    sheet = Sheet(400, "Scores of regions, alone and smoothed over nearest neighbours")
    table, learned = run.estimator.predictions_.regions, run.estimator.model_.normality
    normal = table["name"].str.startswith("good/").to_numpy()
    draw_band(sheet, 20, "Score of each region alone", table["score"].to_numpy(), normal, None)
    draw_band(sheet, 180, "Smoothed over nearest neighbours", learned.scores, normal, learned)
    for index, (colour, words) in enumerate(
        ((BLUE, "on a normal image"), (ORANGE, "on an image with a defect"))
    ):
        x = LEFT + 10 + index * 210
        sheet.dot(x, 372, 8, colour)
        sheet.text(x + 18, 378, words)
    return sheet


def draw_band(
    sheet: Sheet,
    top: float,
    title: str,
    scores: NDArray[np.float32],
    normal: NDArray[np.bool_],
    learned: Normality | None,
) -> None:
    """One dot a region along an axis 0..1, normal ones above, others below."""
    left, right = LEFT + 12.0, WIDTH - LEFT - 12.0
    sheet.text(LEFT, top + 14, title)
    for index, score in enumerate(scores.tolist()):
        jitter = (index * 0.618) % 1 * 30
        y = top + (36 if normal[index] else 74) + jitter
        colour = BLUE if normal[index] else ORANGE
        sheet.dot(left + score * (right - left), y, 5.5, colour, 0.7)
    sheet.line([(left, top + 114), (right, top + 114)], MUTED, 1.5)
    for tick in (0, 0.5, 1):
        sheet.text(left + tick * (right - left), top + 134, f"{tick:g}", 16, MUTED, "middle")
    if learned is not None:
        x = left + learned.threshold * (right - left)
        sheet.line([(x, top + 26), (x, top + 114)], INK, 2.5, "6 4")
        sheet.text(x + 8, top + 40, "split", 17, INK, bold=True)


def aggregation(run: Run) -> Sheet:
    sheet = Sheet(480, "Probabilities of two regions, aggregated into those of the image")
    table = run.regions(TWO_DEFECTS)
    columns = [name for name in table if name.startswith("p_")]
    size = run.picture(TWO_DEFECTS).shape
    root = np.sqrt(table["area"].to_numpy()) / merging_temperature(size[0], size[1])
    weights = np.exp(root) / np.exp(root).sum()
    rows = zip(run.crops(TWO_DEFECTS), table["area"], weights, strict=True)
    for index, ((image, mask), area, weight) in enumerate(rows):
        top = 20 + index * 140
        sheet.picture(LEFT, top, 112, 112, outlined(image, mask))
        sheet.number(LEFT + 15, top + 15, str(index + 1), COLOURS[index])
        sheet.text(142, top + 44, f"{area} px", colour=MUTED)
        sheet.text(142, top + 72, f"weight {weight:.2f}", bold=True)
        draw_bars(sheet, top, table[columns].to_numpy()[index], COLOURS[index])
    sheet.line([(LEFT, 302), (WIDTH - LEFT, 302)], RULE, 1.5)
    images = run.estimator.predictions_.images
    row = images[images["name"] == TWO_DEFECTS].iloc[0]
    sheet.text(LEFT, 364, "The image", bold=True)
    sheet.text(LEFT, 392, f"{row['class_name']}, p = {row[columns].max():.2f}")
    draw_bars(sheet, 320, row[columns].to_numpy(float), INK)
    sheet.text(412, 460, "n = normal, 1 to 6 = classes", 16, MUTED, "middle")
    return sheet


def draw_bars(sheet: Sheet, top: float, values: NDArray[np.float64], colour: str) -> None:
    """A bar for each class, as high as its probability."""
    left, bottom, step = 290, top + 92, 36
    sheet.line([(left - 6, bottom), (left + step * len(values), bottom)], MUTED, 1.5)
    for index, value in enumerate(values.tolist()):
        x = left + index * step
        sheet.box(x, bottom - max(88 * value, 1), step - 10, max(88 * value, 1), colour)
        label = "n" if index == 0 else str(index)
        sheet.text(x + (step - 10) / 2, bottom + 20, label, 16, MUTED, "middle")


FIGURES = (overview, maps, mebin, regions, descriptors, normality, aggregation)


def draw(run: Run) -> None:
    IMAGES.mkdir(exist_ok=True)
    for figure in FIGURES:
        figure(run).save(IMAGES / f"{figure.__name__}.svg")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_synthetic_images(work / "images", n_per_kind=8, n_normal=20, n_combined=4, n_train=0)
        images = ImageSet.from_folder(work / "images")
        estimator = AnomalyNCD(7).fit(images, folder=work)
        draw(Run(estimator, images, work / "maps"))


if __name__ == "__main__":
    main()

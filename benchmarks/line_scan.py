"""Line scans and strips with defects of a few pixels: what is found, told apart and measured.

Draws brushed metal of 2048 x 16384 px with ten defects of three kinds below 50 px (one scan alone,
and four, two of them without a defect), and forty woven strips of 4096 x 256 px, a third of them
with a defect of a few pixels. Runs a discovery on each set, without a cache, and prints one line of
JSON. With `--truth` the defects are given as masks, so that only regions and classes are measured.

    python benchmarks/line_scan.py [--only scan] [--truth] [--keep FOLDER]
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score

Truth = list[tuple[str, NDArray[np.bool_], tuple[int, int]]]
"""Kind, mask, and top and left of the mask of each defect."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="scan, scans or strips")
    parser.add_argument("--truth", action="store_true", help="give the true masks")
    parser.add_argument("--keep", type=Path, help="where the images and the run stay")
    parser.add_argument("--set", action="append", default=[], help="STAGE.FIELD=VALUE")
    options = parser.parse_args()
    os.environ.setdefault("ANOMALYNCD_CACHE_GB", "0")
    for name, draw in SETS.items():
        if options.only in ("", name):
            with tempfile.TemporaryDirectory() as scratch:
                folder = (options.keep or Path(scratch)) / name
                truth = draw(folder / "images")
                print(json.dumps(_measured(name, folder, truth, options)), flush=True)


def brushed_metal(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Streaks along the strip on a slow drift of the illumination, grey values around 120."""
    streaks = rng.normal(0, 1, (height // 64, width)).astype(np.float32)
    streaks = cv2.resize(streaks, (width, height), interpolation=cv2.INTER_LINEAR)
    fine = cv2.blur(rng.normal(0, 1, (height, width)).astype(np.float32), (1, 9))
    drift = 10 * np.sin(np.linspace(0, 5, height, dtype=np.float32))[:, None]
    drift = drift - 8 * np.linspace(-1, 1, width, dtype=np.float32)[None] ** 2
    return np.asarray(120 + drift + 5 * streaks + 12 * fine, np.float32)


def woven(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Plain weave of threads of 6 px that are not quite straight, grey values around 130."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = rng.normal(0, 1, (2, 4, width // 64)).astype(np.float32)
    bent = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in bend]
    warp, weft = np.pi * (x + bent[0]) / 6, np.pi * (y + bent[1]) / 6
    over = np.sin(warp) * np.sin(weft)
    threads = np.where(over > 0, np.abs(np.sin(warp)), np.abs(np.sin(weft)))
    noise = rng.normal(0, 5, (height, width)).astype(np.float32)
    return np.asarray(100 + 55 * threads + 6 * bent[0] + noise, np.float32)


def draw_scan(folder: Path) -> dict[str, Truth]:
    """One scan of 2048 x 16384 px with ten defects."""
    return draw_scans(folder, 1)


def draw_scans(folder: Path, count: int = 4) -> dict[str, Truth]:
    """Scans of 2048 x 16384 px, ten defects on each of the first two."""
    kinds = ("scratch", "pit", "stain")
    return {
        f"scan{number}": _draw(
            folder / f"scan{number}.png",
            brushed_metal(np.random.default_rng(number), 16384, 2048),
            [kinds[index % 3] for index in range(10 if number < 2 else 0)],
            number,
        )
        for number in range(count)
    }


def draw_strips(folder: Path) -> dict[str, Truth]:
    """Forty strips of 4096 x 256 px, a third of them with one or two defects of one kind."""
    kinds = ("broken thread", "knot", "spot")
    truth = {}
    for number in range(40):
        defects = [kinds[number // 3 % 3]] * (1 + number % 2) if number % 3 == 0 else []
        strip = woven(np.random.default_rng(number), 256, 4096)
        path = folder / f"strip{number:02d}.png"
        truth[path.stem] = _draw(path, strip, defects, number)
    return truth


SETS = {"scan": draw_scan, "scans": draw_scans, "strips": draw_strips}


def defect(kind: str, rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """How strongly each pixel around a defect changes, 0..1, and by how many grey values."""
    alpha = np.zeros((80, 80), np.float32)
    if kind == "scratch":
        cv2.ellipse(alpha, ((40, 40), (12, 40), float(rng.uniform(-15, 15))), 1, -1, cv2.LINE_AA)
        return alpha, -60
    if kind == "pit":
        cv2.circle(alpha, (40, 40), 10, 1, -1, cv2.LINE_AA)
        cv2.circle(alpha, (37, 37), 5, -0.4, -1, cv2.LINE_AA)
        return alpha, -85
    if kind == "stain":
        radii = 20 + 2.5 * np.sin(3 * np.linspace(0, 6.3, 40) + rng.uniform(0, 6))
        angles = np.linspace(0, 2 * np.pi, 40)
        points = np.stack([40 + radii * np.cos(angles), 40 + radii * np.sin(angles)], axis=1)
        cv2.fillPoly(alpha, [np.rint(points).astype(np.int32)], 1, cv2.LINE_AA)
        return cv2.GaussianBlur(alpha, (0, 0), 1.5), 55
    if kind == "broken thread":
        alpha[39:42, 28:52] = 1
        return cv2.GaussianBlur(alpha, (0, 0), 0.7), -55
    if kind == "knot":
        cv2.ellipse(alpha, ((40, 40), (6, 9), float(rng.uniform(0, 180))), 1, -1, cv2.LINE_AA)
        return alpha, 60
    cv2.circle(alpha, (40, 40), 6, 1, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(alpha, (0, 0), 1.5), -45


def _draw(path: Path, surface: NDArray[np.float32], kinds: list[str], seed: int) -> Truth:
    rng, truth = np.random.default_rng(1000 + seed), []
    height, width = surface.shape
    for index, kind in enumerate(kinds):
        # Each defect has a part of the long side for itself.
        alpha, change = defect(kind, rng)
        shares = (index + rng.uniform(0.1, 0.9)) / len(kinds), rng.uniform(0, 1)
        along, across = (shares[0], shares[1]) if height > width else (shares[1], shares[0])
        top, left = round(along * (height - 80)), round(across * (width - 80))
        surface[top : top + 80, left : left + 80] += alpha * change
        truth.append((kind, np.abs(alpha) > 0.3, (top, left)))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # A run that is kept goes on only from files that have not changed.
        Image.fromarray(np.clip(surface, 0, 255).astype(np.uint8)).save(path, compress_level=1)
    return truth


def _measured(
    name: str, folder: Path, truth: dict[str, Truth], options: argparse.Namespace
) -> dict[str, Any]:
    from anomalyncd import AnomalyNCD
    from anomalyncd.config.overrides import with_overrides
    from anomalyncd.config.presets import PRESETS
    from anomalyncd.runtime.measurement import peak_memory_mb

    changes = dict(change.split("=", 1) for change in options.set)
    config = with_overrides(PRESETS["default"], {k: json.loads(v) for k, v in changes.items()})
    given: dict[str, Any] = {}
    if options.truth:
        given["masks"] = _write_masks(folder, truth)
    if options.keep:
        given["folder"] = folder / "run"
    start = time.perf_counter()
    model = AnomalyNCD(4, preset=config).fit(folder / "images", **given)
    seconds = time.perf_counter() - start
    tables = model.predictions_
    n_images, peak = len(truth), round(peak_memory_mb())
    stages = {one: round(spent, 1) for one, spent in model.stages_.seconds.items()}
    images = tables.images
    defective = [bool(truth[name_]) for name_ in images["name"]]
    auroc = roc_auc_score(defective, images["score"]) if 0 < sum(defective) < n_images else None
    return {
        "set": name,
        **_found(tables.regions, truth),
        "image_auroc": None if auroc is None else round(float(auroc), 3),
        "images_right": int(sum((images["class"] > 0) == defective)),
        "n_images": n_images,
        "seconds": round(seconds),
        "peak_memory_mb": peak,
        "stages": stages,
    }


def _write_masks(folder: Path, truth: dict[str, Truth]) -> Path:
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    for name, defects in truth.items():
        with Image.open(folder / "images" / f"{name}.png") as image:
            mask = np.zeros((image.height, image.width), np.uint8)
        for _, marked, (top, left) in defects:
            mask[top : top + 80, left : left + 80][marked] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder / "masks"


def _found(regions: Any, truth: dict[str, Truth]) -> dict[str, Any]:
    """Matches each defect with the region that covers most of it."""
    kinds, classes, ratios, matched = [], [], [], set()
    for name, defects in truth.items():
        rows = regions[(regions["name"] == name) & regions["found"]]
        for kind, mask, (top, left) in defects:
            y, x = (where.mean() for where in mask.nonzero())
            inside = rows[
                (rows["left"] <= left + x)
                & (rows["right"] >= left + x)
                & (rows["top"] <= top + y)
                & (rows["bottom"] >= top + y)
            ]
            if len(inside):
                best = inside.loc[inside["score"].idxmax()]
                kinds.append(kind)
                classes.append(int(best["class"]))
                ratios.append(float(best["area"]) / int(mask.sum()))
                matched.add(best.name)
    n_defects = sum(map(len, truth.values()))
    others = regions[regions["found"] & ~regions.index.isin(matched)]
    within = [0.5 <= ratio <= 1.5 for ratio in ratios]
    table = np.zeros((3, 4), int)
    names = sorted(set(kinds))
    for kind, one in zip(kinds, classes, strict=True):
        table[names.index(kind), one] += 1
    # The normal class tells no kind.
    right = table[:, 1:][linear_sum_assignment(-table[:, 1:])].sum()
    return {
        "found": f"{len(kinds)} of {n_defects}",
        "of_defect_class": sum(one > 0 for one in classes),
        "kinds_right": int(right),
        "nmi_of_found": round(float(normalized_mutual_info_score(kinds, classes)), 3),
        "area_ratios": [round(ratio, 2) for ratio in sorted(ratios)],
        "areas_within_half": f"{sum(within)} of {len(ratios)}",
        "other_regions": len(others),
        "others_of_defect_class": int((others["class"] > 0).sum()),
        "kinds_by_class": table.tolist(),
    }


if __name__ == "__main__":
    main()

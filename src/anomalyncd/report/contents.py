"""What the report says, as plain values that the template lays out."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.map_evaluation import MapEvaluation
from anomalyncd.results.run_folder import Run

N_TYPICAL, N_UNCERTAIN, N_PARTS, N_PRODUCTS = 12, 6, 12, 16
_GRID = 24


@dataclass(frozen=True, eq=False)
class ClassCard:
    """One discovered class."""

    index: int
    name: str
    n_images: int
    share: float
    """Of all images, 0..1."""
    n_regions: int
    median_area: float
    """Of its regions, mask pixels; NaN without any."""
    typical: list[int]
    """Rows of the regions that belong to it most surely, one a image, surest first."""
    uncertain: list[int]
    """Rows of the regions that nearly went elsewhere, least certain first."""
    positions: NDArray[np.float64]
    """(rows, columns): how often its masks cover each place of the image."""
    baselines: dict[int, str] = field(default_factory=dict)
    """For each uncertain row the class it nearly went to."""


def title(run: Run) -> str:
    """What the images are called."""
    images = run.record["inputs"].get("images")
    return Path(images).stem if images else "ImageSet"


def summary(run: Run) -> str:
    """What was done and what came of it, in one paragraph."""
    n_images, n_classes = len(run.images), len(run.classes)
    given = run.record["inputs"]
    n_defective = int((~run.images["normal"]).sum())
    kinds = run.classes[~run.classes["normal"] & (run.classes["n_images"] > 0)]
    largest = kinds.sort_values("n_images", ascending=False, kind="stable")
    seconds = sum(stage["seconds"] for stage in run.record["stages"].values())
    labels = "labelled defects of other products" if given.get("base") else "without any label"
    text = (
        f"{n_images} photographs were sorted into {n_classes} classes, {labels}: normal, and "
        f"{n_classes - 1} kinds of defects. {n_defective} images show a defect"
    )
    if len(largest):
        first = largest.iloc[0]
        text += f"; the most frequent kind is {first['class_name']} with {first['n_images']} images"
    return f"{text}. It took {_duration(seconds)}."


def maps_line(run: Run) -> str:
    """Where the masks come from."""
    return {
        "marked": "The anomalous places were marked by people.",
        "given": "The anomaly maps were given.",
        "memory bank": "Each image was compared with photographs of normal images.",
        "mutual scoring": "The images were compared with each other to find what is anomalous.",
    }.get(run.record.get("maps", ""), "")


def objects_line(run: Run) -> str:
    """What was taken for the product, in one sentence; "" where that was not asked."""
    found = run.record.get("foreground")
    if not found:
        return ""
    source = {
        "given": "Masks of the product were given.",
        "backbone": "The backbone told the product from a plain background.",
        "grounded-sam": f"Grounding DINO and SAM were {found['reason']}.",
        "none": "No plain background was found, as for textures; whole pictures count as product.",
    }[found["source"]]
    shares, n_whole = found["shares"], found["n_whole"]
    if shares:
        low, middle, high = (f"{100 * share:.0f} %" for share in shares)
        source += f" It covers {low} to {high} of a picture (median {middle})."
    if n_whole:
        source += f" {n_whole} of {found['n_images']} pictures count as a whole."
    return source


def reliance_line(run: Run) -> str:
    """How many images stand apart; "" for runs of versions that did not say."""
    if not {"unseen", "unsure"} <= {*run.images.columns}:
        return ""
    apart, between = (int(run.images[state].sum()) for state in ("unseen", "unsure"))
    return f"{apart} images are unlike all others (unseen), {between} lie between classes (unsure)."


def detection_line(detection: MapEvaluation | None) -> str:
    """How well the maps and the regions meet the truth, in one sentence; "" where it is unknown."""
    if detection is None:
        return ""
    scores, mebin = detection.maps, detection.mebin
    named = (
        []
        if scores is None
        else [
            ("image AUROC", scores.image_auroc),
            ("pixel AUROC", scores.pixel_auroc),
            ("AUPRO", scores.aupro),
        ]
    )
    shares = [
        ("of the normal images have a region", mebin.normal_with_region),
        ("of the defective images have none", mebin.defective_without_region),
        ("of the regions touch a marked defect", mebin.region_precision),
        ("of the marked defects are touched by what was found", mebin.region_recall),
    ]
    said = [", ".join(f"{name} {value:.3f}" for name, value in named if value is not None)]
    said.append(", ".join(f"{100 * v:.1f} % {what}" for what, v in shares if v is not None))
    return f"Against what is known of the images: {'; '.join(filter(None, said))}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def class_cards(run: Run) -> list[ClassCard]:
    """A card for each class but the normal one, largest first."""
    found = run.regions[run.regions["found"]]
    probabilities = found[[f"p_{k}" for k in run.classes["class"]]].to_numpy()
    covered = _coverage(run, found)
    cards = []
    for row in run.classes[~run.classes["normal"]].to_dict("records"):
        index = int(row["class"])
        mine = found[found["class"] == index]
        chances = probabilities[(found["class"] == index).to_numpy()]
        uncertain, baselines = _uncertain(mine, chances, list(run.classes["class_name"]))
        n_images = int((run.images["class"] == index).sum())
        cards.append(
            ClassCard(
                index,
                str(row["class_name"]),
                n_images,
                n_images / len(run.images),
                len(mine),
                float(mine["area"].median()) if len(mine) else float("nan"),
                _surest(mine, chances[:, index]),
                uncertain,
                covered[index],
                baselines,
            )
        )
    return sorted(cards, key=lambda card: -card.n_images)


def _surest(regions: pd.DataFrame, chance: NDArray[np.float64]) -> list[int]:
    order = regions.assign(chance=chance).sort_values("chance", ascending=False, kind="stable")
    return [int(row) for row in order.drop_duplicates("name").index[:N_TYPICAL]]


def _uncertain(
    regions: pd.DataFrame, chances: NDArray[np.float64], names: list[str]
) -> tuple[list[int], dict[int, str]]:
    """Regions with the smallest lead over another class, and that class."""
    if not len(regions) or chances.shape[1] < 2:
        return [], {}
    ranked = np.argsort(-chances, axis=1)
    lead = np.take_along_axis(chances, ranked[:, :1], 1) - np.take_along_axis(
        chances, ranked[:, 1:2], 1
    )
    least = [i for i in np.argsort(lead[:, 0], kind="stable")[:N_UNCERTAIN] if lead[i, 0] < 0.5]
    rows = [int(regions.index[i]) for i in least]
    return rows, {int(regions.index[i]): names[int(ranked[i, 1])] for i in least}


def _coverage(run: Run, found: pd.DataFrame) -> dict[int, NDArray[np.float64]]:
    """For each class how often its regions cover each place of the image."""
    sizes = run.images.set_index("name")[["height", "width"]].T.to_dict("list")
    aspect = float(np.median(run.images["height"] / run.images["width"]))
    columns = max(1, round(_GRID / max(aspect, 1)))
    rows = max(1, round(columns * aspect))
    grids = {int(index): np.zeros((rows, columns)) for index in run.classes["class"]}
    for name, group in found.groupby("name"):
        mask = run.mask(str(name))
        for row in group.to_dict("records"):
            grids[row["class"]] += _resampled(_inside(mask, row, *sizes[name]), rows, columns)
    return grids


def _inside(
    mask: NDArray[np.bool_], row: dict[Any, Any], height: int, width: int
) -> NDArray[np.bool_]:
    """A mask with everything outside a box of the image switched off."""
    y, x = mask.shape[0] / height, mask.shape[1] / width
    top, bottom = max(0, int(row["top"] * y)), int(np.ceil(row["bottom"] * y))
    left, right = max(0, int(row["left"] * x)), int(np.ceil(row["right"] * x))
    inside = np.zeros_like(mask)
    inside[top:bottom, left:right] = mask[top:bottom, left:right]
    return inside


def _resampled(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float64]:
    """Largest value of a mask in each cell of a grid."""
    grid = np.zeros((rows, columns))
    y, x = np.nonzero(mask)
    grid[y * rows // mask.shape[0], x * columns // mask.shape[1]] = 1
    return grid


def normal_parts(run: Run) -> list[str]:
    """Names of normal images, spread evenly from the lowest score to the highest."""
    normal = run.images[run.images["normal"]].sort_values("score", kind="stable")
    chosen = np.unique(np.linspace(0, len(normal) - 1, N_PARTS).round().astype(int))
    return list(normal["name"].iloc[chosen]) if len(normal) else []


def product_parts(run: Run) -> dict[str, float]:
    """ImageSet, from the one with the least product in its picture to the one with the most.

    Returns:
        Names and shares of the picture, 0..1; empty where whole pictures were taken.
    """
    if not (run.record.get("foreground") or {}).get("n_images"):
        return {}
    shares = {}
    for name in run.images["name"]:
        # What lay in the work folder may have been deleted since.
        with suppress(InputError):
            shares[str(name)] = float(run.foreground_mask(name).mean())
    order = sorted(shares, key=lambda name: shares[name])
    chosen = np.unique(np.linspace(0, len(order) - 1, N_PRODUCTS).round().astype(int))
    return {order[index]: shares[order[index]] for index in chosen} if order else {}


def composite_parts(run: Run) -> dict[str, list[str]]:
    """ImageSet with regions of two or more kinds of defects: names of the kinds, most kinds first."""
    defects = run.regions[run.regions["found"] & ~run.regions["normal"]]
    kinds = defects.groupby("name")["class_name"].unique()
    several = kinds[kinds.map(len) > 1]
    order = several.map(len).sort_values(ascending=False, kind="stable").index
    return {str(name): sorted(several[name]) for name in order}

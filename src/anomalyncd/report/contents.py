"""Sentences, class cards and selections of images for the report."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.evaluation.map_evaluation import MapEvaluation
from anomalyncd.labels.state import NORMAL
from anomalyncd.results.run_folder import Run
from anomalyncd.runtime.wording import counted

N_TYPICAL, N_UNCERTAIN, N_NORMAL, N_FOREGROUND, N_LISTED = 12, 6, 12, 16, 1000
_GRID = 24
Item = TypeVar("Item")


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
    """Rows of its most probable regions, one for each image, most probable first."""
    uncertain: list[int]
    """Rows of its regions with the smallest lead over another class, smallest first."""
    positions: NDArray[np.float64]
    """(rows, columns): number of its regions that cover each place of the image."""
    second_classes: dict[int, str] = field(default_factory=dict)
    """For each uncertain row the second most probable class."""


def title(run: Run) -> str:
    """Returns the name of the folder or manifest of the images."""
    images = run.record["inputs"].get("images")
    return Path(images).stem if images else "Images"


def summary(run: Run) -> str:
    """Describes the run and its result in one paragraph."""
    n_images, n_kinds = len(run.images), int((~run.classes["normal"]).sum())
    n_normal = int(run.images["normal"].sum())
    kinds = run.classes[~run.classes["normal"] & (run.classes["n_images"] > 0)]
    largest = kinds.sort_values("n_images", ascending=False, kind="stable")
    seconds = sum(stage["seconds"] for stage in run.record["stages"].values())
    base = run.record["inputs"].get("base")
    labels = "with labelled defects of other products" if base else "without any label"
    confirmed = run.record.get("corrected", {}).get("n_said", 0)
    if confirmed:
        labels = f"with the help of a person, who confirmed {counted(confirmed, 'region')}"
    text = (
        f"{_images(n_images, 'was', 'were')} sorted {labels}: {n_normal} as normal, and "
        f"{n_images - n_normal} into {n_kinds} kind{'' if n_kinds == 1 else 's'} of defects."
    )
    if len(largest):
        first = largest.iloc[0]
        n_first = int(first["n_images"])
        text += f" The most frequent kind is {first['class_name']} with {n_first} "
        text += "image." if n_first == 1 else "images."
    return f"{text} It took {_duration(seconds)}."


def _images(count: int, one: str, several: str) -> str:
    return f"1 image {one}" if count == 1 else f"{count} images {several}"


def verdict(row: dict[Any, Any]) -> str:
    """Returns what an image or a region was sorted into: a class, or unseen or unsure."""
    for state in ("unseen", "unsure"):
        if row.get(state):
            return state
    confidence = f" (confidence {row['confidence']:.2f})" if "confidence" in row else ""
    return f"{row['class_name']}{confidence}"


def doubtful_images(run: Run) -> dict[str, str]:
    """Finds images that resemble no class or lie between classes.

    Returns:
        The reasons by name: first unseen images from the most unusual one, then unsure images from
        the least certain one. Empty for a run without reliability.
    """
    if not {"unseen", "unsure"} <= {*run.images.columns}:
        return {}
    images, ids, names = run.images, list(run.classes["class"]), run.class_names
    unseen = images[images["unseen"]].sort_values("novelty", ascending=False, kind="stable")
    unsure = images[images["unsure"] & ~images["unseen"]].sort_values("confidence", kind="stable")
    reasons = {}
    for row in pd.concat([unseen, unsure]).to_dict("records"):
        chances = {index: row[f"p_{index}"] for index in ids}
        ranked = sorted(ids, key=lambda index: -chances[index])[:2]
        first, second = ranked[0], ranked[-1]  # The same where all classes were merged into one.
        likely = f"{names[first]} (probability {chances[first]:.2f})"
        reasons[str(row["name"])] = (
            f"unseen: more unusual than {100 * row['novelty']:.3g} % of the known regions; "
            f"most like {likely}"
            if row["unseen"]
            else f"unsure: between {likely} and {names[second]} ({chances[second]:.2f})"
        )
    return reasons


def maps_line(run: Run) -> str:
    """Describes where the anomaly maps or masks come from."""
    return {
        "marked": "The masks of the defects were given.",
        "given": "The anomaly maps were given.",
        "memory bank": "Each image was compared with normal images.",
        "mutual scoring": "The images were compared with each other to find what is anomalous.",
    }.get(run.record.get("maps", ""), "")


def foreground_line(run: Run) -> str:
    """Describes in a few sentences what counts as foreground; "" where no foreground was used."""
    foreground = run.record.get("foreground")
    if not foreground:
        return ""
    sentence = {
        "given": "Masks of the foreground were given.",
        "backbone": "The backbone separated the product from a plain background.",
        "grounded-sam": f"Grounding DINO and SAM were {foreground['reason']}.",
        "none": "No plain background was found, as for textures; whole images are foreground.",
    }[foreground["source"]]
    shares, n_whole = foreground["shares"], foreground["n_whole"]
    if shares:
        low, median, high = (f"{100 * share:.0f} %" for share in shares)
        sentence += f" It covers {low} to {high} of an image (median {median})."
    if n_whole:
        sentence += f" {n_whole} of {foreground['n_images']} images are foreground as a whole."
    return sentence


def reliability_line(run: Run) -> str:
    """Counts unseen and unsure images; "" for a run without these columns."""
    if not {"unseen", "unsure"} <= {*run.images.columns}:
        return ""
    unseen = run.images["unseen"]
    n_unseen, n_unsure = int(unseen.sum()), int((run.images["unsure"] & ~unseen).sum())
    return (
        f"{_images(n_unseen, 'is', 'are')} unlike all others (unseen), and {n_unsure} between "
        "classes (unsure)."
    )


def detection_line(detection: MapEvaluation | None) -> str:
    """Reports the scores of maps and regions in one sentence; "" where none are known."""
    if detection is None:
        return ""
    maps, mebin = detection.maps, detection.mebin
    scores: list[tuple[str, float | None]] = []
    if maps is not None:
        scores = [
            ("image AUROC", maps.image_auroc),
            ("pixel AUROC", maps.pixel_auroc),
            ("AUPRO", maps.aupro),
        ]
    shares = [
        ("of the normal images have a region", mebin.normal_with_region),
        ("of the defective images have none", mebin.defective_without_region),
        ("of the regions touch a marked defect", mebin.region_precision),
        ("of the marked defects are touched by a mask", mebin.region_recall),
    ]
    lists = [
        ", ".join(f"{name} {value:.3f}" for name, value in scores if value is not None),
        ", ".join(f"{100 * share:.1f} % {what}" for what, share in shares if share is not None),
    ]
    return f"Compared with masks and labels: {'; '.join(filter(None, lists))}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def class_cards(run: Run) -> list[ClassCard]:
    """Makes a card for each class except the normal class, largest first."""
    found = run.regions[run.regions["found"]]
    ids, names = list(run.classes["class"]), list(run.classes["class_name"])
    probabilities = found[[f"p_{index}" for index in ids]].to_numpy()
    covered = _coverage(run, found)
    cards = []
    for row in run.classes[~run.classes["normal"]].to_dict("records"):
        index = int(row["class"])
        regions = found[found["class"] == index]
        of_class = probabilities[(found["class"] == index).to_numpy()]
        uncertain, second_classes = _uncertain(regions, of_class, names)
        n_images = int((run.images["class"] == index).sum())
        cards.append(
            ClassCard(
                index,
                str(row["class_name"]),
                n_images,
                n_images / len(run.images),
                len(regions),
                float(regions["area"].median()) if len(regions) else float("nan"),
                _most_probable(regions, of_class[:, ids.index(index)]),
                uncertain,
                covered[index],
                second_classes,
            )
        )
    return sorted(cards, key=lambda card: -card.n_images)


def _most_probable(regions: pd.DataFrame, probability: NDArray[np.float64]) -> list[int]:
    table = regions.assign(probability=probability)
    ordered = table.sort_values("probability", ascending=False, kind="stable")
    return [int(row) for row in ordered.drop_duplicates("name").index[:N_TYPICAL]]


def _uncertain(
    regions: pd.DataFrame, probabilities: NDArray[np.float64], names: list[str]
) -> tuple[list[int], dict[int, str]]:
    """Returns the regions with the smallest lead over another class, and that class for each."""
    if not len(regions) or probabilities.shape[1] < 2:
        return [], {}
    ranked = np.argsort(-probabilities, axis=1)
    first, second = np.take_along_axis(probabilities, ranked[:, :2], 1).T
    lead = first - second
    least = [i for i in np.argsort(lead, kind="stable")[:N_UNCERTAIN] if lead[i] < 0.5]
    rows = [int(regions.index[i]) for i in least]
    return rows, {int(regions.index[i]): names[int(ranked[i, 1])] for i in least}


def _coverage(run: Run, found: pd.DataFrame) -> dict[int, NDArray[np.float64]]:
    """Counts for each class how many of its regions cover each place of the image."""
    sizes = run.images.set_index("name")[["height", "width"]].T.to_dict("list")
    aspect = float(np.median(run.images["height"] / run.images["width"]))
    columns = max(1, round(_GRID / max(aspect, 1)))
    rows = max(1, round(columns * aspect))
    grids = {int(index): np.zeros((rows, columns)) for index in run.classes["class"]}
    table = found[["name", "class", "left", "top", "right", "bottom"]].sort_values("name")
    for name, regions in groupby(table.itertuples(index=False, name=None), itemgetter(0)):
        mask, (height, width) = run.mask(name), sizes[name]
        y, x = mask.shape[0] / height, mask.shape[1] / width
        for _, index, left, top, right, bottom in regions:
            down, across = max(0, int(top * y)), max(0, int(left * x))
            window = mask[down : int(np.ceil(bottom * y)), across : int(np.ceil(right * x))]
            marked = np.nonzero(window)
            places = np.zeros((rows, columns))
            places[
                (marked[0] + down) * rows // mask.shape[0],
                (marked[1] + across) * columns // mask.shape[1],
            ] = 1
            grids[index] += places
    return grids


def normal_images(run: Run) -> list[str]:
    """Selects normal images, spread evenly from the lowest score to the highest."""
    normal = run.images[run.images["normal"]].sort_values("score", kind="stable")
    return list(normal["name"].iloc[_spread(len(normal), N_NORMAL)])


def images_by_class(run: Run) -> dict[int, list[str]]:
    """Returns the names of the first `N_LISTED` images of each class, in their order.

    Normal images are listed together under the normal class, of whatever class they are.
    """
    shown = run.images["class"].mask(run.images["normal"], NORMAL)
    names = run.images.groupby(shown)["name"]
    return {int(str(index)): list(group.iloc[:N_LISTED]) for index, group in names}


def by_turns(lists: Sequence[list[Item]]) -> list[Item]:
    """Returns the first item of each list, then the second of each, and so on."""
    longest = max(map(len, lists), default=0)
    return [one[place] for place in range(longest) for one in lists if place < len(one)]


def foreground_images(run: Run) -> dict[str, float]:
    """Selects images, spread evenly from the smallest share of foreground to the largest.

    Returns:
        Shares of foreground by name, 0..1; empty where whole images are foreground.
    """
    if not (run.record.get("foreground") or {}).get("n_images"):
        return {}
    shares = {}
    for name in run.images["name"]:
        with suppress(InputError):  # The masks may have been deleted since.
            shares[str(name)] = float(run.foreground_mask(name).mean())
    order = sorted(shares, key=lambda name: shares[name])
    return {order[index]: shares[order[index]] for index in _spread(len(order), N_FOREGROUND)}


def _spread(total: int, count: int) -> list[int]:
    """Returns up to `count` indices spread evenly over `total`, the first and last included."""
    places = np.linspace(0, total - 1, count).round().astype(int)
    return [int(index) for index in np.unique(places)] if total else []


def composite_images(run: Run) -> dict[str, list[str]]:
    """Finds images with regions of several classes of defects.

    Returns:
        Names of the classes by name of the image, images with most classes first.
    """
    defects = run.regions[run.regions["found"] & ~run.regions["normal"]]
    classes = defects.groupby("name")["class_name"].unique()
    several = classes[classes.map(len) > 1]
    order = several.map(len).sort_values(ascending=False, kind="stable").index
    return {str(name): sorted(several[name]) for name in order}

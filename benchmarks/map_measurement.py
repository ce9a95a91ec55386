"""One run of the built-in maps: how well they meet the truth, and what each stage takes."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from anomalyncd.steps import bound_scores
from numpy.typing import NDArray

from anomalyncd.backbone.features import TokenReader, Tokens
from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.config import Config
from anomalyncd.evaluation.ground_truth import Truth, states_from_labels
from anomalyncd.evaluation.map_evaluation import (
    Overlap,
    mask_overlap,
    mebin_quality,
)
from anomalyncd.evaluation.metrics import (
    MapScores,
    PixelHistograms,
    aupro,
    image_auroc,
    label_regions,
    pixel_auroc,
)
from anomalyncd.evaluation.operating_point import operating_curve
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.finding import Found, regions_of_maps
from anomalyncd.regions.mebin import binarise
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.runtime.measurement import Stages
from common import built_in_maps, detector_backbone, normal_folder

SETTINGS = Config()
NORMALS = "normals"
"""The kind of maps that are made with normal images; any other is made without."""


class StagesAndReading(Stages):
    """Stages without the time in which tokens are read; that is a stage `read` of its own.

    Peak memory of `read` is that of the process after the first image, since images are read one
    by one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_read = 0
        self._reading = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        before = self._reading
        with super().__call__(name):
            yield
        self.seconds[name] = round(self.seconds[name] - (self._reading - before), 2)

    @contextmanager
    def reading_apart(self) -> Iterator[None]:
        """Times each image that is read within."""
        read = TokenReader.read

        def timed(
            reader: TokenReader, images: ImageSet, index: int, frame: RegionOfInterest | None = None
        ) -> Tokens:
            start = time.perf_counter()
            tokens = read(reader, images, index, frame)
            self._reading += time.perf_counter() - start
            if not self.n_read:
                with Stages.__call__(self, "read"):
                    pass
            self.n_read += 1
            return tokens

        with patch.object(TokenReader, "read", timed):
            yield
        if not self.n_read:
            raise RuntimeError("no image was read by TokenReader.read, so reading was not timed")
        self.seconds["read"] = round(self._reading, 2)


def measure(
    source: Path, kind: str, seed: int, limit: int | None, folder: Path | None = None
) -> dict[str, Any]:
    """Makes the maps of one set and scores them.

    Args:
        source: A set in the layout of MVTec AD.
        kind: `NORMALS`, or anything else for maps without normal images.
        seed: Of the references, or of the coreset.
        limit: ImageSet, and normal images, that are taken, evenly spread; None takes all.
        folder: Keeps the maps; None forgets them.

    Returns:
        Scores, seconds and peak memory of each stage, and processor seconds of all threads, which
        tell whether others were at work. Totals leave out the start, when weights are loaded.
    """
    inputs, truth = read_set(source, kind, limit)
    stages = StagesAndReading()
    with stages("start"):
        vit = detector_backbone(SETTINGS)
        # The first call compiles, or loads what was compiled.
        binarise(np.zeros((16, 16), np.float32), ScoreRange(0, 1), SETTINGS.mebin)
    idle = time.process_time()
    with tempfile.TemporaryDirectory() as work:
        with stages.reading_apart():
            maps, normal_maps = built_in_maps(
                vit, inputs, SETTINGS.detector, seed, folder or Path(work) / "maps", stages
            )
        with stages("regions"):
            score_range = bound_scores(maps, normal_maps, SETTINGS.mebin).score_range
            assert score_range is not None
            found = regions_of_maps(
                maps, inputs.sizes, score_range, SETTINGS.mebin, SETTINGS.regions
            )
        processor_seconds = time.process_time() - idle
        scores = evaluate(truth, maps, found)
    total = sum(stages.seconds.values())
    return {
        "date": date.today().isoformat(),
        "n_images": len(inputs.images),
        "n_normals": 0 if inputs.normals is None else len(inputs.normals),
        "n_images_read": stages.n_read,
        **scores,
        "seconds": {**stages.seconds, "total": round(total - stages.seconds["start"], 2)},
        "processor_seconds": round(processor_seconds, 2),
        "peak_memory_mb": stages.peak_memory_mb,
    }


def read_set(source: Path, kind: str, limit: int | None) -> tuple[Inputs, Truth]:
    """ImageSet, normal images and what is true of the images; see `measure`."""
    images = ImageSet.from_folder(source)
    masks = Masks.from_folder(source / "ground_truth", images)
    chosen = evenly(len(images), limit)
    normals = ImageSet.from_folder(normal_folder(source)) if kind == NORMALS else None
    inputs = check_inputs(
        images.select(chosen),
        normals=None if normals is None else normals.select(evenly(len(normals), limit)),
    )
    told = states_from_labels(pd.DataFrame({"name": inputs.images.names}))
    marked = Masks(inputs.images, tuple(masks.sources[index] for index in chosen))
    return inputs, Truth(inputs.sizes, told, marked)


def evenly(count: int, limit: int | None) -> list[int]:
    """Indices spread evenly over 0 .. count - 1, so that each folder keeps its share."""
    return np.linspace(0, count - 1, min(count, limit or count)).astype(int).tolist()


def evaluate(truth: Truth, maps: AnomalyMaps, found: Found) -> dict[str, Any]:
    """Scores of maps and regions; see `MapScores` and `MebinQuality`."""
    ends = np.array([(scores.min(), scores.max()) for scores in maps])
    peaks = ends[:, 1]
    histograms = PixelHistograms(float(ends[:, 0].min()), float(peaks.max()))
    marked, overlap = np.zeros(len(maps), np.bool_), Overlap()
    for index, anomaly_map in enumerate(maps):
        mask = truth.mask(index)
        if mask is None:
            continue
        marked[index] = mask.any()
        regions = label_regions(mask)
        histograms.add(anomaly_map, regions)
        own = found.regions.of_image(index)
        boxes = own.box[own.found] / np.tile(truth.sizes[index][::-1], 2)
        overlap += mask_overlap(found.masks[index], regions, boxes)
    defective, known = truth.states(marked)
    n_regions = np.bincount(found.regions.image[found.regions.found], minlength=len(maps))
    peaks, with_region, defective = peaks[known], n_regions[known] > 0, defective[known]
    by_image = image_auroc(peaks, defective)
    scores = MapScores(by_image, pixel_auroc(histograms), aupro(histograms))
    quality = mebin_quality(with_region, defective, overlap)
    groups = {
        "maps": asdict(scores),
        "mebin": asdict(quality),
        "balanced_error": balanced_errors(peaks, with_region, defective),
    }
    return {
        group: {name: None if score is None else round(score, 4) for name, score in each.items()}
        for group, each in groups.items()
    }


def balanced_errors(
    peaks: NDArray[np.float32], with_region: NDArray[np.bool_], defective: NDArray[np.bool_]
) -> dict[str, float | None]:
    """Mean of false positive and false negative rate, 0..1.

    Args:
        peaks: Score of each image, (N,): the maximum of its map.
        with_region: Whether MEBin found anything on it, (N,).
        defective: Whether it has a defect, (N,).

    Returns:
        That of MEBin's decision, and the least of any threshold on `peaks`, which only labels can
        tell; None unless there are images of both kinds.
    """
    if defective.all() or not defective.any():
        return {"mebin": None, "best_threshold": None}
    curve = operating_curve(peaks[~defective], peaks[defective])
    assert curve.escapes is not None
    errors = with_region[~defective].mean(), (~with_region[defective]).mean()
    return {
        "mebin": float(np.mean(errors)),
        "best_threshold": float((curve.overkill + curve.escapes).min() / 2),
    }

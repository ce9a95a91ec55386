"""An exported model in memory that gives the verdict on one image at a time."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.special
from numpy.typing import NDArray

from anomalyncd.detection.maps import map_of
from anomalyncd.discovery.normality import Normality
from anomalyncd.discovery.reliability import ReliabilityModel
from anomalyncd.errors import InputError
from anomalyncd.images.levels import Levels
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.fixed_masks import FixedMasks
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.arrays import as_read_back
from anomalyncd.line.judge import Judge
from anomalyncd.line.pictures import Picture, read_picture
from anomalyncd.line.stating import state_verdict
from anomalyncd.line.verdict import Verdict
from anomalyncd.regions.crops import Crop, Overlays, read_crops
from anomalyncd.regions.finding import regions_of_inputs
from anomalyncd.regions.score_range import ScoreRange, rescale
from anomalyncd.regions.table import Regions
from anomalyncd.regions.windows import with_looked_at_side
from anomalyncd.results.class_list import ClassList
from anomalyncd.results.corrections import Corrections
from anomalyncd.results.fit_counts import FitCounts
from anomalyncd.results.operation import Operation
from anomalyncd.results.predictions import RegionClasses, aggregate
from anomalyncd.runner.engines import load_graphs
from anomalyncd.runner.folder import read_exported
from anomalyncd.runner.patches import GraphReader, normalised
from anomalyncd.runner.scoring import GraphDetector

_BATCH = 16


class Runner(Judge):
    """Gives verdicts on images as `Predictor` does, from an exported folder and without PyTorch.

    Nothing is written to disk, and every image is looked at alone. After loading nothing changes,
    so one runner serves several threads.

    Examples:
        >>> runner = Runner("exported/bottle")  # doctest: +SKIP
        >>> runner.predict("camera/0815.png").decision  # doctest: +SKIP
        'class'

    Args:
        folder: What `anomalyncd export` wrote.
        backend: `onnx` (ONNX Runtime), `openvino`, or `openvino-bf16`; None takes the one that the
            model was exported to.
        threads: Processor cores to compute on; None takes all.

    Attributes:
        model: The exported folder.
        fit_counts: Counts of the images of the fit; None where the model has none.

    Raises:
        InputError: The folder holds no usable exported model, or the engine is not installed.
    """

    def __init__(
        self, folder: str | Path, *, backend: str | None = None, threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads={threads} cannot be used; give 1 or more, or None")
        self.model = Path(folder).expanduser().absolute()
        self._arguments = (self.model, {"backend": backend, "threads": threads})
        exported = read_exported(self.model)
        self._config = with_looked_at_side(exported.config, exported.facts["tile_side"])
        self._facts = exported.facts
        self._graphs = load_graphs(self.model, exported.kind, backend, threads)
        self._reader = GraphReader(self._graphs, exported)
        self._detector = GraphDetector(exported)
        self._fixed_masks = exported.component("fixed_masks", FixedMasks)
        self.fit_counts = exported.component("fit_counts", FitCounts)
        self._levels = exported.component("levels", Levels)
        self._score_range = cast(ScoreRange, exported.component("score_range", ScoreRange))
        self._normality = exported.component("normality", Normality)
        self._reliability = cast(
            ReliabilityModel, exported.component("reliability", ReliabilityModel)
        )
        self._corrections = exported.component("corrections", Corrections)
        self._operation = exported.component("operation", Operation) or Operation()
        self._class_list = (
            ClassList.discovered(self._facts["n_classes"])
            if self._corrections is None
            else self._corrections.class_list
        )

    def predict(self, image: Picture, name: str | None = None) -> Verdict:
        """Gives the verdict on one image, see `Judge.predict`."""
        inputs = read_picture(image, name, self._levels)
        if self._fixed_masks is not None:
            inputs = self._fixed_masks.complete(inputs)
        maps = self._maps(inputs)
        regions = regions_of_inputs(inputs, maps, self._score_range, self._config)
        return state_verdict(self._classify(inputs, maps, regions), self._operation)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, self._arguments

    def _maps(self, inputs: Inputs) -> AnomalyMaps:
        # The reader and the detector hold arrays where others hold tensors.
        reader, detector = cast(Any, self._reader), cast(Any, self._detector)
        scores = map_of(reader, inputs.images, 0, detector, self._config.detector)
        return AnomalyMaps(inputs.images.names, (as_read_back(scores),), inputs.ignored)

    def _classify(self, inputs: Inputs, maps: AnomalyMaps, regions: Regions) -> Any:
        features, cosines = self._describe(inputs, maps, regions)
        probabilities = self._probabilities(features, cosines, regions)
        if self._corrections is not None:
            correction = self._corrections.correction
            probabilities = correction.apply(features, regions.score, probabilities)
        reliability = self._reliability.apply(
            features, regions, probabilities, self._config.reliability
        )
        classes = RegionClasses(features, probabilities, reliability, self._class_list)
        return aggregate(inputs, regions, classes, self._config.aggregation.rule).of_new_images()

    def _describe(
        self, inputs: Inputs, maps: AnomalyMaps, regions: Regions
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Descriptors (R, D), and their cosines with the prototypes (R, K)."""
        guiding = None
        if self._config.encoder.guided_by == "map":
            guiding = lambda index: rescale(maps[index], self._score_range)  # noqa: E731
        overlays = Overlays(None, self._facts["patch_size"], guiding)
        crops = read_crops(inputs.images, regions, self._config, overlays)
        pieces = [self._graphs.run("regions", one)[0] for one in self._batches(crops)]
        shapes = np.asarray(regions.shape, np.float32)
        given = {"pieces": np.concatenate(pieces), "shapes": shapes}
        features, cosines = self._graphs.run("classes", given)
        return features, cosines

    def _batches(self, crops: Iterator[Crop]) -> Iterator[dict[str, NDArray[np.float32]]]:
        config = self._config.crops
        start = (config.load_size - config.size) // 2
        window = slice(start, start + config.size)
        while chunk := list(islice(crops, _BATCH)):
            images = np.stack([crop.image[window, window] for crop in chunk])
            layers = {"masks": [crop.mask for crop in chunk]}
            if chunk[0].anomaly_map is not None:
                layers["maps"] = [cast(Any, crop.anomaly_map) for crop in chunk]
            yield {"images": normalised(images)} | {
                name: np.stack(layer)[:, None, window, window] for name, layer in layers.items()
            }

    def _probabilities(
        self,
        features: NDArray[np.float32],
        cosines: NDArray[np.float32],
        regions: Regions,
    ) -> NDArray[np.float32]:
        temperature = self._facts["temperature"]
        if self._normality is None:
            softmax: NDArray[np.float32] = scipy.special.softmax(cosines / temperature, axis=-1)
            return softmax
        normal = self._normality.weights(features, regions.score)
        return self._normality.posterior(features, cosines, normal, temperature)


def _load(folder: Path, arguments: dict[str, Any]) -> Runner:
    return Runner(folder, **arguments)

"""SimGCD (Wen et al., ICCV 2023): self-distillation over prototypes, on whole images."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import PRESETS
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.context import RunContext
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.measurement import Stages
from anomalyncd_bench.baselines.inputs import BaselineInputs, required
from anomalyncd_bench.baselines.reading import UNGUIDED


@dataclass(frozen=True)
class SimGCD:
    """The training of the preset `paper` on whole images: no masks, no regions, no correction.

    That loop is AnomalyNCD's, which descends from this method. What differs from the SimGCD paper,
    all for the better: four heads, of which the one with the lowest loss counts, and labelled
    images (without any, the unlabelled losses alone) never share a class with the images. 50 epochs
    instead of 200.
    """

    epochs: int = 50
    """Passes over the images."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "SimGCD")
        paper = PRESETS["paper"]
        training = replace(paper.training, epochs=self.epochs, epochs_with_base=self.epochs)
        n_images = len(views.tokens)
        ones, boxes = np.ones(n_images), np.zeros((n_images, 4))
        surely_anomalous = Regions(
            np.arange(n_images), boxes, ones.astype(np.int64), ones.astype(np.float32), ones > 0
        )
        config = replace(paper, encoder=UNGUIDED, training=training)
        encoder = copy.deepcopy(views.encoder)
        context = RunContext(encoder, config, inputs.seed, Path(), Stages())
        found = discover_classes(
            context, surely_anomalous, views.tokens, views.base, inputs.n_classes
        )
        return np.asarray(found.probabilities.argmax(1), np.int64)

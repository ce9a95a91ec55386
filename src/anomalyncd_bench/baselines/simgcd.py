"""SimGCD (Wen et al., ICCV 2023): self-distillation over prototypes, on whole images."""

import copy
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import PRESETS
from anomalyncd.discovery.discover import discover_classes
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
        surely_anomalous = np.ones(len(views.cache), np.float32)
        found = discover_classes(
            copy.deepcopy(views.encoder),
            views.cache,
            surely_anomalous,
            inputs.n_classes,
            views.base,
            replace(paper, encoder=UNGUIDED, training=training),
            inputs.seed,
        )
        return np.asarray(found.probabilities.argmax(1), np.int64)

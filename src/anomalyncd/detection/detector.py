"""What every built-in detector can do."""

from typing import ClassVar, Protocol

from torch import Tensor

from anomalyncd.detection.feature_space import SamePlace
from anomalyncd.detection.patches import PatchExtractor


class Detector(Protocol):
    """Scores the patches of an image; saved with a model."""

    kind: ClassVar[str]
    """What it is called in a saved model and in a run's record."""

    @property
    def view(self) -> PatchExtractor:
        """How pictures are looked at."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What it compares with."""

    @property
    def names(self) -> tuple[str, ...]:
        """Where that comes from."""

    @property
    def same_place(self) -> SamePlace | None:
        """Where that lies, if other places do not count."""

    @property
    def discounts(self) -> tuple[Tensor, ...]:
        """What is taken off distances to it; none without tolerance."""

    def patch_scores(self, features: list[Tensor], name: str) -> Tensor:
        """How anomalous each patch is.

        Args:
            features: What the view shows of the image, see `PatchFeatures.features`.
            name: Of the image, which is never compared with itself.

        Returns:
            (rows, columns), float32, on the CPU.
        """

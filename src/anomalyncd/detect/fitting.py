"""The detector that goes with what is known: normal images, or none."""

from anomalyncd.data.parts import Parts
from anomalyncd.detect.bank_filling import fit_memory_bank
from anomalyncd.detect.detector import Detector
from anomalyncd.detect.mutual_scoring import fit_mutual_scoring
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.settings import DetectorSettings


def fit_detector(
    vit: VisionTransformer,
    parts: Parts,
    normals: Parts | None,
    settings: DetectorSettings,
    seed: int,
) -> Detector:
    """A memory bank of normal images where there are some, else parts that score each other.

    Args:
        vit: The backbone, on its device and in its precision.
        parts: What is to be scored.
        normals: Normal images, or None.
        settings: Of the detector.
        seed: Of everything random.

    Raises:
        InputError: There are neither normal images nor two parts.
    """
    if normals is not None:
        return fit_memory_bank(vit, normals, settings, seed)
    return fit_mutual_scoring(vit, parts, settings, seed)

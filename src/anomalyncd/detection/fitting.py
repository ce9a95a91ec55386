"""The detector that goes with what is known: normal images, or none."""

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import DetectorConfig
from anomalyncd.detection.detector import Detector
from anomalyncd.detection.memory_bank import fit_memory_bank
from anomalyncd.detection.mutual_scoring import fit_mutual_scoring
from anomalyncd.inputs.image_set import ImageSet


def fit_detector(
    vit: VisionTransformer,
    images: ImageSet,
    normals: ImageSet | None,
    config: DetectorConfig,
    seed: int,
) -> Detector:
    """A memory bank of normal images where there are some, else images that score each other.

    Args:
        vit: The backbone, on its device and in its precision.
        images: What is to be scored.
        normals: Normal images, or None.
        config: Of the detector.
        seed: Of everything random.

    Raises:
        InputError: There are neither normal images nor two images.
    """
    if normals is not None:
        return fit_memory_bank(vit, normals, config, seed)
    return fit_mutual_scoring(vit, images, config, seed)

"""The regions of one image as supervision's `Detections`."""

from typing import Any

import numpy as np

from anomalyncd.errors import InputError
from anomalyncd.exchange.labelled import LabelledRegions


def to_detections(labelled: LabelledRegions, name: str, normal: bool = False) -> Any:
    """Returns the regions of one image as `supervision.Detections`.

    Args:
        labelled: Regions and their classes.
        name: Name of the image.
        normal: See `write_labels`.

    Returns:
        Boxes around the anomalous pixels (px), masks at the size of the image, confidences, and ids
        of the classes; `data` holds `class_name` and `region`, the id of each region.

    Raises:
        InputError: supervision is not installed, or no image has this name.

    Source: supervision.roboflow.com, `Detections`.
    """
    try:
        import supervision
    except ImportError as error:
        raise InputError(
            "detections need supervision; install it with `pip install supervision`"
        ) from error
    images = labelled.images[labelled.images["name"] == name]
    if images.empty:
        raise InputError(f"no image is called '{name}'; give the name of one of the images")
    one = LabelledRegions(images, labelled.regions, labelled.classes, labelled.masks)
    image = next(one.each_image(normal))
    masks = np.zeros((len(image.instances), image.height, image.width), np.bool_)
    for mask, instance in zip(masks, image.instances, strict=True):
        left, top, right, bottom = instance.crop
        mask[top:bottom, left:right] = instance.marks
    return supervision.Detections(
        xyxy=np.array([one.box for one in image.instances], np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.array([one.confidence for one in image.instances], np.float32),
        class_id=np.array([one.class_id for one in image.instances], np.int64),
        data={
            "class_name": np.array([one.class_name for one in image.instances], np.str_),
            "region": np.array([one.region for one in image.instances], np.str_),
        },
    )

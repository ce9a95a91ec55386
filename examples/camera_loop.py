"""Takes pictures with a camera, one per trigger, and switches an ejector by their verdicts.

python camera_loop.py MODEL
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def pictures(device: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Yields pictures with red first; replace it by the driver of your camera and its trigger."""
    camera = cv2.VideoCapture(device)
    while True:
        taken, picture = camera.read()
        if not taken:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def run(predictor: Any, images: Iterator[NDArray[np.uint8]], eject: Callable[[], None]) -> None:
    """Ejects what is not good, and what the model does not know."""
    for number, image in enumerate(images):
        verdict = predictor.predict(image, f"camera-{number}")
        if verdict.ok is False or verdict.decision in ("class", "unseen", "unsure"):
            eject()
        print(number, verdict.decision, verdict.class_name, f"{verdict.score:.3f}")


if __name__ == "__main__":
    from anomalyncd.line.predictor import Predictor

    run(Predictor(sys.argv[1]), pictures(), lambda: print("eject"))

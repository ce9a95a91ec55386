"""What every model that gives the verdict on one image at a time has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from anomalyncd.errors import InputError
from anomalyncd.line.pictures import Picture
from anomalyncd.line.verdict import Verdict
from anomalyncd.results.class_list import ClassList
from anomalyncd.results.operation import Operation


class Judge(ABC):
    """Gives verdicts; `Predictor` does so with PyTorch, and `Runner` without."""

    _class_list: ClassList
    _operation: Operation

    @property
    def classes(self) -> list[dict[str, Any]]:
        """The classes: `id`, `name`, `kind` ("defect", "not a defect" or "ignored"), `severity`."""
        listed = self._class_list
        return [
            {"id": number, "name": name, "kind": kind, "severity": self._operation.severity(number)}
            for number, name, kind in zip(listed.ids, listed.names, listed.kinds, strict=True)
        ]

    @property
    def threshold(self) -> float | None:
        """Score above which an image is not good; None where no operating point was chosen."""
        return self._operation.threshold

    @abstractmethod
    def predict(self, image: Picture, name: str | None = None) -> Verdict:
        """Gives the verdict on one image.

        Args:
            image: A file, the content of a file as bytes, an array as `to_rgb` takes it, or a
                Pillow image.
            name: Name of the image; None takes that of its file without the suffix, or "image". An
                image of the discovery, by its name there, is not compared with itself.

        Raises:
            InputError: The image cannot be read.
        """

    def predict_batch(
        self, images: Sequence[Picture], names: Sequence[str] | None = None
    ) -> list[Verdict]:
        """Gives the verdict on each of some images.

        Args:
            images: As for `predict`.
            names: One for each; None as for `predict`.

        Raises:
            InputError: An image cannot be read, or the numbers of images and names differ.
        """
        if names is not None and len(names) != len(images):
            raise InputError(f"{len(names)} names for {len(images)} images; give as many")
        chosen = [None] * len(images) if names is None else names
        return [self.predict(image, name) for image, name in zip(images, chosen, strict=True)]

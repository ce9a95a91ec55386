"""A callback for anomalib's engine; it needs Lightning, which anomalib installs."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.integrations.anomalib import BatchWriter


class MapWriter(Callback):  # type: ignore[misc]
    """Writes the maps of each predicted or tested batch, so that they do not stay in memory.

    As one of `Engine(callbacks=[...])` it runs before anomalib's post-processor and writes the
    scores of the model itself.

    Args:
        folder: See `write_maps`.
        images: See `write_maps`; they are read at once.

    Raises:
        InputError: See `write_maps`.

    Source: our own.
    """

    def __init__(self, folder: str | Path, images: ImagesLike) -> None:
        self._writer = BatchWriter(folder, images)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning."""
        self._writer.start_again()

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning."""
        self._writer.start_again()

    def on_predict_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Called by Lightning."""
        self._writer.write(outputs)

    def on_test_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Called by Lightning."""
        self._writer.write(outputs)

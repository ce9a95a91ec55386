"""Whether an image cannot be predicted because of itself, or because the model has failed."""

import io
import logging

from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.line.jobs import Predicts
from anomalyncd.line.verdict import Verdict
from anomalyncd.line.watch_state import Arrival, WatchState

MOST_ATTEMPTS = 5
"""How often the model may fail on the same file, or the process may end while it reads it."""
_MOST_IN_A_ROW = 3
"""Different files in a row on which the model fails, after which it is tried on another image."""
_log = logging.getLogger(__name__)


class Failures:
    """Predicts files, and tells those that are to blame for a failure from a model that failed.

    The error of a library does not tell which. So the model is tried once more on the last image
    that it could predict, or on a plain one; a graphics card that is gone fails on that as well.

    Args:
        predictor: Predicts the files.
        state: What became of each file.
    """

    def __init__(self, predictor: Predicts, state: WatchState) -> None:
        self._predictor, self._state = predictor, state
        self._in_a_row: dict[str, int] = {}
        """Ids by path."""
        self._last_good: bytes | None = None

    def predict(self, data: bytes, name: str) -> Verdict:
        """Predicts a file as the predictor does."""
        verdict = self._predictor.predict(data, name)
        self._in_a_row.clear()
        self._last_good = data
        return verdict

    def add(self, number: int, arrival: Arrival, attempts: int, error: Exception) -> str | None:
        """Notes that the model failed on a file that it could read.

        Args:
            number: Id of the file.
            arrival: The file.
            attempts: How often this happened before.
            error: What a library said.

        Returns:
            Why the file is broken; None where it is to be read again.

        Raises:
            InputError: The model has failed; the next process reads these files again.
        """
        _log.error("'%s' could not be predicted", arrival.path, exc_info=error)
        self._in_a_row[arrival.path] = number
        cause = f"{type(error).__name__}: {error}"
        is_last = attempts + 1 >= MOST_ATTEMPTS
        if not is_last and len(self._in_a_row) < _MOST_IN_A_ROW:
            return None
        if self._works():
            self._in_a_row.clear()
            return f"the image could not be predicted ({cause})" if is_last else None
        for one in self._in_a_row.values():
            self._state.postpone(one)
        raise InputError(
            f"image '{arrival.path}' and another one could not be predicted ({cause}), so the "
            "model does not work any more; run the command again, which reads the image again, and "
            "look into the log if this does not help"
        ) from error

    def _works(self) -> bool:
        """Whether the model predicts another image."""
        try:
            self._predictor.predict(self._last_good or _plain_image(), "test")
        except (InputError, OSError):  # It was refused unseen, which tells nothing.
            return len(self._in_a_row) < _MOST_IN_A_ROW
        except Exception:
            return False
        return True


def _plain_image() -> bytes:
    file = io.BytesIO()
    Image.new("L", (256, 256), 128).save(file, "PNG")
    return file.getvalue()

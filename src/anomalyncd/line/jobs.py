"""A bounded queue of images before one thread that predicts them."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from anomalyncd.errors import InputError
from anomalyncd.line.verdict import Verdict
from anomalyncd.results.fit_counts import FitCounts

_log = logging.getLogger(__name__)


class Predicts(Protocol):
    """What a server needs of a predictor; see `line.predictor.Predictor`."""

    @property
    def classes(self) -> Sequence[dict[str, Any]]:
        """The classes: id, name, kind and severity."""
        ...

    @property
    def fit_counts(self) -> FitCounts | None:
        """Counts of the images of the fit; None where the model has none."""
        ...

    def predict(self, image: bytes, name: str | None = None) -> Verdict:
        """Predicts the file of an image."""
        ...


class FullError(Exception):
    """The queue has no room for all images of a request."""


@dataclass(frozen=True)
class Answer:
    """A verdict and the model that it comes from."""

    verdict: Verdict
    model: str


@dataclass(frozen=True)
class _Job:
    image: bytes
    name: str
    answer: "Future[Answer]" = field(default_factory=Future)


class Jobs:
    """Predicts images one after the other, in the order in which they came.

    Args:
        predictor: Predicts them.
        model: What answers call this model.
        most_waiting: Images that may wait, without the one that is predicted.
    """

    def __init__(self, predictor: Predicts, model: str, most_waiting: int) -> None:
        self._model = (predictor, model)
        self.most_waiting = most_waiting
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._n_waiting, self._closed = 0, False
        self.seconds_each = 0.1
        """How long an image takes, a running mean."""
        self._worker = threading.Thread(target=self._work, name="predictor", daemon=True)
        self._worker.start()

    @property
    def predictor(self) -> Predicts:
        """The predictor that is in use now."""
        return self._model[0]

    @property
    def model(self) -> str:
        """What answers call the model that is in use now."""
        return self._model[1]

    @property
    def n_waiting(self) -> int:
        """Number of images that wait."""
        return self._n_waiting

    @property
    def alive(self) -> bool:
        """Whether images are predicted."""
        return not self._closed and self._worker.is_alive()

    def submit(self, images: Sequence[tuple[str, bytes]]) -> "list[Future[Answer]]":
        """Queues all images of a request, or none of them.

        A future that is cancelled before its turn costs nothing.

        Args:
            images: Name and file of each.

        Raises:
            FullError: There is no room for all of them, or the queue is closed.
        """
        jobs = [_Job(data, name) for name, data in images]
        with self._lock:
            if self._closed or self._n_waiting + len(jobs) > self.most_waiting:
                raise FullError
            self._n_waiting += len(jobs)
            for job in jobs:
                self._waiting.put(job)
        return [job.answer for job in jobs]

    def swap(self, load: Callable[[], tuple[Predicts, str]]) -> str:
        """Replaces the predictor; the old one predicts until the new one is loaded.

        Args:
            load: Loads the new one, and names its model.

        Returns:
            The name of the new model.
        """
        self._model = load()
        return self._model[1]

    def close(self) -> None:
        """Predicts what waits, takes nothing more, and ends."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._worker.join()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            with self._lock:
                self._n_waiting -= 1
            if not job.answer.set_running_or_notify_cancel():
                continue
            # Both together, so that a swap in between does not name the wrong model.
            predictor, model = self._model
            started = time.perf_counter()
            try:
                job.answer.set_result(Answer(predictor.predict(job.image, job.name), model))
                self.seconds_each += (time.perf_counter() - started - self.seconds_each) / 10
            except BaseException as error:
                if not isinstance(error, InputError):
                    _log.exception("image '%s' could not be predicted", job.name)
                job.answer.set_exception(error)

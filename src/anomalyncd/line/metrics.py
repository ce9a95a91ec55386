"""What a server counts, in the format of Prometheus."""

from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from anomalyncd.line.drift import SUBJECTS, DriftMonitor, Observation
from anomalyncd.line.verdict import Verdict
from anomalyncd.results.fit_counts import FitCounts

CLASSIFY = "/v1/images:classify"
_PATHS = frozenset({CLASSIFY, "/v1/classes", "/v1/model:reload", "/metrics", "/healthz", "/readyz"})
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OUTCOMES = {401: "refused", 403: "refused", 408: "late", 429: "full", 504: "late"}


class Metrics:
    """Counts requests and verdicts of one server.

    Args:
        n_waiting: Returns the number of images that wait.
    """

    def __init__(self, n_waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "anomalyncd_requests",
            "Requests by address and status.",
            ["path", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "anomalyncd_classify_seconds",
            "Seconds until a request to classify was answered, by outcome.",
            ["outcome"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._verdicts = Counter(
            "anomalyncd_verdicts",
            "Verdicts on images by most likely class and decision.",
            ["class_name", "decision"],
            registry=self.registry,
        )
        self._failed = Counter(
            "anomalyncd_unreadable_images",
            "Images that could not be predicted.",
            registry=self.registry,
        )
        self._model = Info("anomalyncd_model", "The model in use.", registry=self.registry)
        self._drifts = Gauge(
            "anomalyncd_drift",
            "1 where the images differ from those of the fit.",
            ["subject"],
            registry=self.registry,
        )
        self._unseen = Gauge(
            "anomalyncd_unseen_share",
            "Share of unseen images: within the last 24 hours with images, and of the fit.",
            ["images"],
            registry=self.registry,
        )
        self._monitor: DriftMonitor | None = None
        waiting = Gauge("anomalyncd_queue_length", "Images that wait.", registry=self.registry)
        waiting.set_function(n_waiting)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Counts one request.

        Args:
            path: Its address; unknown ones are counted together.
            status: Of the answer.
            seconds: Until the answer was sent.
        """
        self._requests.labels(path if path in _PATHS else "other", str(status)).inc()
        if path == CLASSIFY:
            self._seconds.labels(outcome_of(status)).observe(seconds)

    def count_verdict(self, verdict: Verdict | None) -> None:
        """Counts the verdict on one image; None for an image that could not be predicted."""
        if verdict is None:
            self._failed.inc()
        else:
            self._verdicts.labels(verdict.class_name, verdict.decision).inc()
            if self._monitor is not None:
                self._monitor.add(datetime.now(UTC), Observation.of(verdict))

    def name_model(self, version: str, fit: FitCounts | None) -> None:
        """States the model in use; images are compared with those of its fit from now on."""
        self._model.info({"version": version})
        self._monitor = None if fit is None else DriftMonitor(fit)
        self._drifts.clear()
        self._unseen.clear()

    def text(self) -> bytes:
        """Returns everything that was counted."""
        monitor = self._monitor
        if monitor is not None:
            found = {drift.subject for drift in monitor.drifts()}
            for subject in SUBJECTS:
                self._drifts.labels(subject).set(subject in found)
            for images, share in zip(
                ("recent", "fit"), monitor.unseen_shares() or (), strict=False
            ):
                self._unseen.labels(images).set(share)
        return generate_latest(self.registry)


def outcome_of(status: int) -> str:
    """Returns what became of a request: "ok", "refused", "full", "late", "invalid" or "failed"."""
    if status < 400:
        return "ok"
    return _OUTCOMES.get(status, "invalid" if status < 500 else "failed")

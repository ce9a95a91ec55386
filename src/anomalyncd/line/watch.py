"""Predicts each image that is put into a folder, exactly once, whatever happens in between."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.decoding import is_drive_lost, unreadable
from anomalyncd.io.files import is_reachable, name_of, require_folder
from anomalyncd.io.writing import refuse_unwritable, remove_temporary
from anomalyncd.line.arrivals import Arrivals, events_of
from anomalyncd.line.delivery import deliver_due, deliver_last, delivering
from anomalyncd.line.drift import Drift
from anomalyncd.line.drift_log import DriftLog
from anomalyncd.line.failures import MOST_ATTEMPTS, Failures
from anomalyncd.line.jobs import Predicts
from anomalyncd.line.mqtt import Broker, MqttSink
from anomalyncd.line.sinks import CsvSink, FolderSink, ReviewSink, Sink, WebhookSink
from anomalyncd.line.verdict import Verdict
from anomalyncd.line.watch_state import Arrival, Finished, WatchState, only_watcher

_log = logging.getLogger(__name__)
_TICK = 0.2
"""Seconds between two looks at the files that wait."""
_RESCAN = 60.0
"""Seconds between two looks at the whole folder where events tell of new files."""
_PATIENCE = 5
"""How many times longer than a complete file one that cannot be read is waited for."""
_JPEG_START, _JPEG_END, _PADDING = b"\xff\xd8", b"\xff\xd9", 4096


class _IncompleteError(Exception):
    """A file that is still being written, has changed while it was read, or is gone."""


class _LostDriveError(Exception):
    """A file of which the drive did not answer."""


@dataclass(frozen=True)
class WatchSettings:
    """How a folder is watched.

    Raises:
        InputError: A number is out of range.
    """

    steady: float = 1.0
    """Seconds without a change after which a file is complete."""
    poll: bool = False
    """Whether the whole folder is looked at again and again, as network shares need it."""
    every: float = 1.0
    """Seconds between two looks at the whole folder, with `poll`."""
    webhook: str | None = None
    """Address that each result is sent to."""
    webhook_token: str | None = None
    """Token that is sent along."""
    mqtt: Broker | None = None
    """Broker that each result is published at."""
    folder: Path | None = None
    """Folder for each image, its picture and its verdict."""

    def __post_init__(self) -> None:
        if self.steady < 0 or self.every <= 0:
            raise InputError("`steady` has to be 0 or more, and `every` more than 0; change them")


@dataclass(frozen=True)
class Summary:
    """What was found among the files that were finished."""

    n_ok: int = 0
    n_defective: int = 0
    n_broken: int = 0
    n_undelivered: int = 0
    """Results that a sink has not taken yet; they are tried again by the next watch."""
    n_passed_over: int = 0
    """Files and folders that cannot be read as they are, and have no result."""
    interrupted: bool = False
    """Whether a watch that ends by itself was stopped before, so that files were not read."""
    drift: Drift | None = None
    """How the images differ from those of the fit; None where they do not."""

    @property
    def exit_code(self) -> int:
        """0 if all images are good, 1 if one is not, 2 if one has no verdict, 130 if stopped."""
        if self.interrupted:
            return 130
        return 2 if self.n_broken or self.n_passed_over else int(self.n_defective > 0)

    def __str__(self) -> str:
        told = [
            f"{self.n_ok:,} good",
            f"{self.n_defective:,} not good",
            f"{self.n_broken:,} broken",
        ]
        if self.n_undelivered:
            told.append(f"{self.n_undelivered:,} not delivered yet")
        if self.n_passed_over:
            told.append(f"{self.n_passed_over:,} passed over")
        lines = [f"images: {', '.join(told)}"]
        if self.drift is not None:
            lines.append(str(self.drift))
        if self.interrupted:
            lines.append("interrupted; run the same command again to go on")
        return "\n".join(lines)

    def counting(self, finished: Finished) -> "Summary":
        """Returns the counts with one more file."""
        if finished.verdict is None:
            return replace(self, n_broken=self.n_broken + 1)
        if is_ok(finished.verdict):
            return replace(self, n_ok=self.n_ok + 1)
        return replace(self, n_defective=self.n_defective + 1)


def is_ok(verdict: Verdict) -> bool:
    """Returns whether an image is good: by the operating point, or else by its class."""
    return verdict.decision == "normal" if verdict.ok is None else verdict.ok


class Watch:
    """A folder that is watched.

    Args:
        folder: The folder, with all folders below it.
        out: Folder for the results: `results.sqlite`, `results.csv` and `review/`.
        predictor: Predicts the images.
        settings: How it is watched.
        on_result: Gets each result.

    Raises:
        InputError: A folder cannot be used, or the results would lie in the watched folder.
    """

    def __init__(
        self,
        folder: str | Path,
        out: str | Path,
        predictor: Predicts,
        settings: WatchSettings | None = None,
        on_result: Callable[[Finished], None] = lambda finished: None,
    ) -> None:
        self.folder, self.out = require_folder(folder).resolve(), Path(out).expanduser().resolve()
        self.predictor, self.settings = predictor, settings or WatchSettings()
        self.on_result = on_result
        for place in (self.out, self.settings.folder):
            if place is not None and place.expanduser().resolve().is_relative_to(self.folder):
                raise InputError(
                    f"'{place}' lies in the watched folder, so results would be read as images; "
                    "give another `out`"
                )
        refuse_unwritable(self.out)
        self._stopped = threading.Event()
        self._woken = threading.Event()

    def stop(self) -> None:
        """Ends the watch after the file that is being read; may be called by a signal handler."""
        self._stopped.set()
        self._woken.set()

    def run(self, once: bool = False) -> Summary:
        """Watches the folder until it is stopped.

        Args:
            once: Ends as soon as all files that are in the folder now are finished.

        Returns:
            The counts of the files that were finished.

        Raises:
            InputError: The results cannot be written, or another process writes them; with `once`,
                also when the drive of the images did not answer. Or the model predicts no image
                any more, as after a failure of the graphics card; the next watch goes on.
        """
        with only_watcher(self.out), closing(WatchState(self.out)) as state:
            remove_temporary(self.out)
            state.retry()
            arrivals = Arrivals(self.folder, self.settings.steady, state.known())
            local, remote = self._sinks()
            drift = DriftLog(self.out, state, self.predictor.fit_counts)
            failures = Failures(self.predictor, state)
            sinks = [*local, *remote]
            reading = _Reading(state, arrivals, local, sinks, drift, failures, once)
            with delivering(self.out, remote, drain=once), ExitStack() as stack:
                rescan = self.settings.every
                if not (once or self.settings.poll):
                    rescan = stack.enter_context(self._events(arrivals))
                summary = self._loop(reading, None if once else rescan)
                is_done = once and not (reading.unread or self._stopped.is_set())
                deliver_last(state, local, wait=is_done)
                drift.look(again=True)
            # Counted before the lock is given up, which tells whether the folder is still there.
            summary = replace(
                summary,
                drift=drift.drift,
                n_undelivered=state.n_pending(),
                n_passed_over=len(arrivals.passed_over),
            )
        if once and reading.unread:
            raise InputError(next(iter(reading.unread.values())))
        return summary

    def _loop(self, reading: "_Reading", rescan: float | None) -> Summary:
        """Reads files as they come; without `rescan`, only those that are there at the start."""
        summary, arrivals = Summary(), reading.arrivals
        listed, next_scan = False, 0.0
        while not self._stopped.is_set():
            now = arrivals.clock()
            if not listed or (rescan is not None and now >= next_scan):
                listed = arrivals.scan()
                next_scan = arrivals.clock() + (rescan or 0.0)
            if reading.once and not (listed and is_reachable(self.folder)):
                raise InputError(
                    f"folder '{arrivals.unlisted}' cannot be listed; check its permissions and the "
                    "connection to its drive, then run the command again"
                )
            for arrival in arrivals.ready():
                if self._stopped.is_set():
                    break
                finished = self._read(reading, arrival)
                if finished is not None:
                    summary = summary.counting(finished)
                    self.on_result(finished)
                    reading.drift.add(finished)
                    deliver_due(reading.state, reading.local)
                    reading.drift.look()
            if rescan is None and listed and not len(arrivals):
                break
            deliver_due(reading.state, reading.local)
            self._woken.wait(_TICK if len(arrivals) else min(_TICK * 5, rescan or _TICK))
            self._woken.clear()
        else:
            summary = replace(summary, interrupted=reading.once)
        return summary

    def _read(self, reading: "_Reading", arrival: Arrival) -> Finished | None:
        """Reads one file; None where it is not complete yet."""
        state, arrivals, sinks = reading.state, reading.arrivals, reading.sinks
        number, attempts = state.start(arrival)
        verdict, reason = None, ""
        last = arrivals.age(arrival) >= _PATIENCE * self.settings.steady
        try:
            if attempts >= MOST_ATTEMPTS:
                raise InputError(
                    f"the program ended {attempts} times while it read '{arrival.path}'; "
                    "save it again or remove it"
                )
            verdict = self._verdict(reading, arrival, last)
        except _IncompleteError:
            state.postpone(number)
            arrivals.postpone(arrival)
            return None
        except _LostDriveError as error:
            state.postpone(number)
            if arrival.path not in reading.unread:
                _log.warning("%s", error)
            reading.unread[arrival.path] = str(error)
            (arrivals.done if reading.once else arrivals.postpone)(arrival)
            return None
        except (InputError, OSError) as error:
            reason = str(error)
        # Whatever a file makes of a library, the next file is not to wait for it.
        except Exception as error:
            found = reading.failures.add(number, arrival, attempts, error)
            if found is None:
                arrivals.postpone(arrival)
                return None
            reason = found
        wanting = Finished(number, arrival, "", verdict, reason)
        names = [sink.name for sink in sinks if sink.wants(wanting)]
        finished = state.finish(number, verdict, reason, names)
        arrivals.done(arrival)
        return finished

    def _verdict(self, reading: "_Reading", arrival: Arrival, last: bool) -> Verdict:
        """Predicts a file; `last` says that it will not become more complete."""
        path = self.folder / arrival.path
        try:
            before, data = path.stat(), path.read_bytes()
            after = path.stat()
            if not _same(arrival, before.st_size, before.st_mtime_ns) or not _same(
                arrival, after.st_size, after.st_mtime_ns
            ):
                raise _IncompleteError
            if _is_cut(data) and not last:
                raise _IncompleteError
            name = name_of(Path(arrival.path), IMAGE_SUFFIXES)
            return reading.failures.predict(data, name)
        except FileNotFoundError:  # Should the file come back, it is read.
            raise _IncompleteError from None
        except (InputError, OSError) as error:
            if is_drive_lost(error):
                raise _LostDriveError(unreadable(path, "image", error)) from error
            if last:
                raise
            raise _IncompleteError from error

    def _sinks(self) -> tuple[list[Sink], list[Sink]]:
        """The sinks on this machine, and those that may have to wait for another one."""
        settings = self.settings
        local: list[Sink] = [CsvSink(self.out / "results.csv")]
        local.append(ReviewSink(self.folder, self.out / "review"))
        if settings.folder is not None:
            local.append(FolderSink(self.folder, settings.folder.expanduser()))
        remote: list[Sink] = []
        if settings.webhook is not None:
            remote.append(WebhookSink(settings.webhook, settings.webhook_token))
        if settings.mqtt is not None:
            remote.append(MqttSink(self.folder, settings.mqtt))
        return local, remote

    @contextmanager
    def _events(self, arrivals: Arrivals) -> Iterator[float]:
        """Notes events, and yields how often the folder has to be looked at besides."""
        with ExitStack() as stack:
            try:
                stack.enter_context(events_of(arrivals, self._woken.set))
            except OSError as error:
                _log.warning(
                    "events of '%s' are not available (%s); looking at it every %g seconds",
                    *(self.folder, error, self.settings.every),
                )
                yield self.settings.every
            else:
                yield _RESCAN


@dataclass(frozen=True)
class _Reading:
    """What the loop works with."""

    state: WatchState
    arrivals: Arrivals
    local: Sequence[Sink]
    """Sinks that are served at once."""
    sinks: Sequence[Sink]
    """All sinks."""
    drift: DriftLog
    failures: Failures
    """Predicts files."""
    once: bool
    """Whether the watch ends, so that files are not tried again."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why files could not be read, of paths whose drive did not answer."""


def _same(arrival: Arrival, size: int, mtime_ns: int) -> bool:
    return (arrival.size, arrival.mtime_ns) == (size, mtime_ns)


def _is_cut(data: bytes) -> bool:
    """Whether a JPEG file lacks its end; in all other formats, decoding tells."""
    return data.startswith(_JPEG_START) and _JPEG_END not in data[-_PADDING:]

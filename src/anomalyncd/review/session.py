"""A review in progress: the present state for all pages that are open, refitted meanwhile."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Condition, Lock, Thread

from anomalyncd.errors import InputError
from anomalyncd.labels.book import LabelBook
from anomalyncd.labels.state import LabelState
from anomalyncd.results.run_folder import Run
from anomalyncd.review.arrays import arrays_of
from anomalyncd.review.refit import Refit, discovered, given_by, refit, unfitted
from anomalyncd.review.snapshot import Snapshot, take_snapshot
from anomalyncd.runtime.logs import LOG
from anomalyncd.runtime.wording import counted

_N_REFITS = 8
"""So many results are stored, so that undo and redo need no refit."""
_LOOK_EVERY = 0.4
"""Seconds between two looks at what other programs wrote into the label book."""


@dataclass(frozen=True)
class Change:
    """What the last refit changed."""

    text: str
    n_regions: int
    n_images: int


class ReviewSession:
    """The state of a review, shared by all requests.

    What a person says is shown at once, on top of the last refit; the next refit is computed in a
    thread of its own, and the page is served from the state before it meanwhile.

    Args:
        run: The run.
        labels: Its label book.
    """

    def __init__(self, run: Run, labels: LabelBook) -> None:
        self.run, self.labels = run, labels
        self.arrays = arrays_of(run, labels.ids)
        self.change: Change | None = None
        """What the last refit changed; None before the first one."""
        self._lock, self._changed = Lock(), Condition()
        self._closed = False
        self._refits: OrderedDict[bytes, Refit] = OrderedDict()
        self._discovery = labels.state.discovery
        self._refit = unfitted(run, given_by(labels, labels.state))
        self._done_for = b""
        self._snapshot: Snapshot | None = None
        self._number = 0
        self._threads = [Thread(target=work, daemon=True) for work in (self._work, self._look)]
        for thread in self._threads:
            thread.start()

    def now(self) -> Snapshot:
        """Returns what holds now; computes it where someone said something since the last call.

        Raises:
            InputError: The run was made again in the meantime.
        """
        state = self.labels.state
        if state.discovery != self._discovery:
            raise InputError(
                f"run '{self.run.folder}' was made again meanwhile; what you said is saved, so end "
                "this review with ctrl-c and start it anew"
            )
        with self._lock:
            last = self._snapshot
            if last is not None and last.version > state.last:
                state = last.state
            if last is not None and last.state is state and last.refit is self._refit:
                return last
            snapshot = self._take(state)
            self._snapshot = snapshot
            self._number += 1
        with self._changed:
            self._changed.notify_all()
        return snapshot

    @property
    def number(self) -> int:
        """Counts the states so far, be they due to a person or to a refit."""
        return self._number

    @property
    def version(self) -> int:
        """Number of the last action that is known, without looking for later ones."""
        return 0 if self._snapshot is None else self._snapshot.version

    @property
    def refitting(self) -> bool:
        """Whether a refit is due or in progress."""
        return self._snapshot is None or self._snapshot.refitting

    @property
    def closed(self) -> bool:
        """Whether the review ended."""
        return self._closed

    def close(self) -> None:
        """Ends the threads; what was said is on disk already."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()

    @property
    def _due(self) -> bool:
        return self._snapshot is not None and self._snapshot.refitting

    def _take(self, state: LabelState) -> Snapshot:
        given = given_by(self.labels, state)
        if given.key != self._done_for and given.key in self._refits:
            self._refit, self._done_for = self._refits[given.key], given.key
            self._refits.move_to_end(given.key)
        snapshot = take_snapshot(
            self.arrays, state, given.said, self._refit, discovered(self.run, given)
        )
        return replace(snapshot, refitting=given.key != self._done_for)

    def _work(self) -> None:
        """Refits whenever the last refit is older than what was said."""
        while not self._closed:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closed)
            if self._closed:
                return
            given = given_by(self.labels, self.labels.state)
            result = self._refit
            try:
                result = refit(self.run, given)
            except Exception:
                LOG.exception("the classes could not be fitted again; what was said is saved")
            self._finish(given.key, result)

    def _finish(self, wanted: bytes, result: Refit) -> None:
        with self._lock:
            before, first = self._snapshot, not self._done_for
            assert before is not None
            self._refit, self._done_for = result, wanted
            self._refits[wanted] = result
            while len(self._refits) > _N_REFITS:
                self._refits.popitem(last=False)
            after = self._take(before.state)
            self.change = None if first else _change(before, after)
            self._snapshot = after
            self._number += 1

    def _look(self) -> None:
        """Notices what other programs write into the label book."""
        while not self._closed:
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _LOOK_EVERY)
            try:
                self.now()
            except InputError as error:
                LOG.warning("%s", error)
                return
            except Exception:
                LOG.exception("the label book could not be read")


def _change(before: Snapshot, after: Snapshot) -> Change:
    n_regions = int((before.classes != after.classes).sum())
    n_images = int((before.image_classes != after.image_classes).sum())
    if not n_regions and not n_images:
        return Change("refitted: no other region changed class", 0, 0)
    text = (
        f"refitted: {counted(n_regions, 'region')} and {counted(n_images, 'image')} changed class"
    )
    return Change(text, n_regions, n_images)

"""Whether the images of a line differ from those of the fit, however often one looks.

Images are counted hour by hour. For each hour, two explanations of all images are compared: all of
them have one distribution, or those since that hour have one of their own. The ratio of the two
probabilities is an e-value: its mean is 1 where nothing has changed, also at a moment that was
chosen by looking. The sum over the hours (Shiryaev-Roberts, as an "e-detector" in Shin, Ramdas and
Rinaldo, "E-detectors", 2022) therefore grows by 1 an hour on average where nothing has changed,
and does not exceed `_HOURS` earlier than after as many hours, on average.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp

from anomalyncd.line.verdict import Verdict
from anomalyncd.results.fit_counts import FAR, FitCounts

Subject: TypeAlias = Literal["unseen", "scores", "classes"]
"""What is compared: unseen images, scores, or the most likely classes."""
SUBJECTS: tuple[Subject, ...] = ("unseen", "scores", "classes")
"""The subjects, the most telling first."""

_HOURS = 8760
"""Hours with images until a false alarm, on average and at least, over all subjects."""
_FIRST = 438.0
"""Hours that the first one counts as, since a line may differ from its fit from the start: the
chance that this alone gives a false alarm, in the life of a model, is 5 % at most."""
_PARTS = {"unseen": 0.5, "scores": 0.25, "classes": 0.25}
"""How false alarms are divided among the subjects."""
_LEAST = {"unseen": 0.01, "scores": 0.03, "classes": 0.03}
"""Differences of a share from that of the fit that are worth a sentence."""
_PRIOR = 0.5
"""Jeffreys' prior, for each value that a subject may have."""
_PRIOR_UNSEEN = (9.0, 0.5, 0.5)
"""Prior of not unseen, unseen, and far after a change: a new kind is rarely on most images."""
_RECENT_HOURS = 24
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


@dataclass(frozen=True)
class Drift:
    """A difference between the images of a line and those of the fit, as one share that moved."""

    subject: Subject
    """What differs."""
    since: datetime
    """Start of the hour since which it probably differs, in UTC."""
    share: float
    """Share of the images since then, 0..1."""
    share_of_fit: float
    """The same share of the images of the fit, 0..1."""
    what: str
    """What these images do, "show something unlike anything seen"."""

    def __str__(self) -> str:
        since = self.since.astimezone()
        day = f"{_DAYS[since.weekday()]} {since.day} {_MONTHS[since.month - 1]}"
        return (
            f"since {day}, {since:%H:%M}, {_percent(self.share)} of images {self.what} "
            f"({_percent(self.share_of_fit)} when the model was made)"
        )


@dataclass(frozen=True)
class Observation:
    """What a verdict says that is compared."""

    unseen: bool
    """Whether the image resembles nothing known."""
    novelty: float
    """Share of the regions of the fit that are less of an outlier, 0..1."""
    class_id: int
    """Id of the most likely class, whatever was decided."""
    score: float
    """Anomaly score, 0..1."""

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Takes from a verdict what is compared."""
        unseen = verdict.decision == "unseen"
        return cls(unseen, verdict.novelty, verdict.class_id, verdict.score)


class DriftMonitor:
    """Compares the images of a line with those of a fit; several threads may use one.

    Args:
        fit: Counts of the images of the fit.
    """

    def __init__(self, fit: FitCounts) -> None:
        self.fit = fit
        self._lock = threading.Lock()
        self._hours: list[datetime] = []
        self._index_of_class = {number: index for index, number in enumerate(fit.class_ids)}
        sizes = {"unseen": 3, "scores": len(fit.n_of_scores), "classes": len(fit.class_ids) + 1}
        self._sizes: dict[Subject, int] = {one: sizes[one] for one in SUBJECTS}
        self._counts: dict[Subject, list[NDArray[np.int64]]] = {one: [] for one in SUBJECTS}

    def add(self, when: datetime, of: Observation) -> None:
        """Counts one image.

        Args:
            when: Time of its verdict, with its time zone; in the order of time.
            of: What the verdict says.
        """
        hour = when.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        values: dict[Subject, int] = {
            "unseen": int(of.unseen) + int(of.unseen and of.novelty > FAR),
            "scores": bisect_left(self.fit.score_edges, of.score),
            "classes": self._index_of_class.get(of.class_id, len(self._index_of_class)),
        }
        with self._lock:
            # A clock that is set back does not open an hour again.
            if not self._hours or hour > self._hours[-1]:
                self._hours.append(hour)
                for subject, size in self._sizes.items():
                    self._counts[subject].append(np.zeros(size, np.int64))
            for subject, value in values.items():
                self._counts[subject][-1][value] += 1

    def drift(self) -> Drift | None:
        """Returns the most telling difference that is certain enough and large enough, or None."""
        return next(self.drifts(), None)

    def drifts(self) -> Iterator[Drift]:
        """Yields one difference for each subject that differs, the most telling first."""
        with self._lock:
            hours = list(self._hours)
            counts = {one: np.array(self._counts[one]) for one in SUBJECTS if hours}
        for subject, hourly in counts.items():
            if self._sizes[subject] == 1:
                continue  # What has one value cannot differ.
            fit = self._fit(subject)
            evidence = log_evidence(fit, hourly, self._prior(subject))
            weights = np.where(np.arange(len(evidence)) == 0, _FIRST, 1.0)
            if logsumexp(evidence, b=weights) >= np.log(_HOURS / _PARTS[subject]):
                start = int(evidence.argmax())
                found = self._described(subject, hours[start], hourly[start:].sum(0), fit)
                if abs(found.share - found.share_of_fit) >= _LEAST[subject]:
                    yield found

    def unseen_shares(self) -> tuple[float, float] | None:
        """Shares of unseen images within the last 24 hours with images, and among the fit's.

        None before the first image.
        """
        with self._lock:
            recent = np.sum(self._counts["unseen"][-_RECENT_HOURS:], axis=0)
        if not np.any(recent):
            return None
        return float(recent[1:].sum() / recent.sum()), self.fit.n_unseen / self.fit.n_images

    def _fit(self, subject: Subject) -> NDArray[np.int64]:
        fit = self.fit
        counts = {
            "unseen": (fit.n_images - fit.n_unseen, fit.n_unseen - fit.n_far, fit.n_far),
            "scores": fit.n_of_scores,
            "classes": (*fit.n_of_class, 0),
        }
        return np.array(counts[subject], np.int64)

    def _prior(self, subject: Subject) -> ArrayLike:
        return _PRIOR_UNSEEN if subject == "unseen" else np.full(self._sizes[subject], _PRIOR)

    def _described(
        self, subject: Subject, since: datetime, counts: NDArray[np.int64], fit: NDArray[np.int64]
    ) -> Drift:
        now, before = counts / counts.sum(), fit / fit.sum()
        if subject == "unseen":
            what = "show something unlike anything seen"
            return Drift(subject, since, float(1 - now[0]), float(1 - before[0]), what)
        if subject == "scores":
            now, before = (1 - np.cumsum(shares)[:-1] for shares in (now, before))
            value = int(np.abs(now - before).argmax())
            what = f"have a score above {self.fit.score_edges[value]:.3f}"
        else:
            value = int((now - before).argmax())
            names = (*self.fit.class_names, "another class")
            what = f"are most like {names[value]}"
        return Drift(subject, since, float(now[value]), float(before[value]), what)


def log_evidence(
    fit: NDArray[np.int64], hourly: NDArray[np.int64], prior: ArrayLike
) -> NDArray[np.float64]:
    """Logarithm of the e-value of a change at the start of each hour, (H,).

    Both explanations are Dirichlet-multinomial, the one without a change with Jeffreys' prior.

    Args:
        fit: Images of the fit by value, (B,).
        hourly: Images of each hour by value, (H, B).
        prior: Parameters of the Dirichlet distribution after a change, (B,).
    """
    after = np.cumsum(hourly[::-1], axis=0)[::-1]
    everything = fit + after[0]
    common = np.full(len(fit), _PRIOR)
    same = _log_probability(everything, common) - _log_probability(everything - after, common)
    evidence: NDArray[np.float64] = _log_probability(after, np.asarray(prior, np.float64)) - same
    return evidence


def _log_probability(counts: NDArray[np.int64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the probability of a sequence of values by its counts, (..., B)."""
    of_values = gammaln(prior + counts) - gammaln(prior)
    total = prior.sum()
    of_all = gammaln(total) - gammaln(total + counts.sum(-1))
    probability: NDArray[np.float64] = of_values.sum(-1) + of_all
    return probability


def _percent(share: float) -> str:
    """A share in percent, with a digit after the point where it is small."""
    return f"{share:.1%}".replace("%", " %") if 0 < share < 0.0095 else f"{round(100 * share)} %"

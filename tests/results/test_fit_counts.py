"""Counts of the images of a fit."""

import pandas as pd

from anomalyncd.results.fit_counts import FitCounts

IMAGES = pd.DataFrame(
    {
        "class": [0, 0, 2, 2, 2],
        "unseen": [False, False, True, True, False],
        "novelty": [0.999, 0.1, 0.96, 0.999, 0.5],
        "score": [0.1, 0.1, 0.1, 0.6, 0.9],
    }
)
CLASSES = pd.DataFrame({"class": [0, 1, 2], "class_name": ["normal", "dent", "scratch"]})


def test_images_are_counted() -> None:
    counts = FitCounts.of_images(IMAGES, CLASSES)
    assert (counts.n_images, counts.n_unseen, counts.n_far) == (5, 2, 1)
    assert counts.class_ids == (0, 1, 2)
    assert counts.n_of_class == (2, 0, 3)
    assert counts.class_names == ("normal", "dent", "scratch")
    assert sum(counts.n_of_scores) == 5
    # Equal scores share one edge, and lie below it.
    assert counts.score_edges[0] == 0.1
    assert counts.n_of_scores[0] == 3


def test_counts_are_saved_and_restored() -> None:
    counts = FitCounts.of_images(IMAGES, CLASSES)
    assert FitCounts.from_state(counts.state()) == counts


def test_scores_are_left_out() -> None:
    counts = FitCounts.of_images(IMAGES, CLASSES).without_scores()
    assert (counts.score_edges, counts.n_of_scores) == ((), (5,))

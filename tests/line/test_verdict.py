"""Verdicts as plain values: run lengths are those of COCO, and JSON gives the verdict back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from anomalyncd.errors import InputError
from anomalyncd.line.verdict import ClassShare, RegionVerdict, RunLength, Verdict

MARKS = arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5)))


@given(MARKS, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
def test_run_lengths_give_the_mask_back(
    marks: np.ndarray, left: int, top: int, right: int, bottom: int
) -> None:
    mask = np.pad(marks, ((top, bottom), (left, right)))
    coded = RunLength.of_window(marks, (left, top), mask.shape)
    assert sum(coded.counts) == mask.size
    assert all(count > 0 for count in coded.counts[1:])
    assert np.array_equal(coded.to_mask(), mask)
    packed = coco.frPyObjects({"counts": list(coded.counts), "size": [*mask.shape]}, *mask.shape)
    assert np.array_equal(coco.decode(packed), mask)


def verdict() -> Verdict:
    mask = RunLength.of_window(np.ones((2, 3), bool), (1, 2), (6, 8))
    region = RegionVerdict((1, 2, 4, 4), 6, 0.75, "unseen", 1, "scratch", None, mask)
    shares = (ClassShare(1, "scratch", 0.75, 6), ClassShare(0, "normal", 0.25, 0))
    decided = (0.75, False, "class", 1, "scratch", 0.875, "major")
    return Verdict("camera/0815", 8, 6, *decided, shares, (region,))


def test_json_gives_the_verdict_back() -> None:
    fields = json.loads(json.dumps(verdict().to_dict()))
    assert fields["regions"][0]["box"] == [1, 2, 4, 4]
    assert fields["regions"][0]["mask"] == {"counts": [8, 2, 4, 2, 4, 2, 26], "size": [6, 8]}
    assert Verdict.from_dict(fields | {"of a later version": 1}) == verdict()


@pytest.mark.parametrize("lost", ["score", "regions"])
def test_an_incomplete_verdict_is_refused(lost: str) -> None:
    fields = verdict().to_dict()
    del fields[lost]
    with pytest.raises(InputError, match=lost):
        Verdict.from_dict(fields)

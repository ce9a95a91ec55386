"""What the tests of labels share."""

from pathlib import Path

import pytest

from anomalyncd.exchange.labelled import LabelledRegions
from support.labels import labelled_regions


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledRegions:
    return labelled_regions(tmp_path)

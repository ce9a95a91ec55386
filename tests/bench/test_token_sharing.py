"""Methods share tokens only if nothing differs on which the tokens depend."""

import pytest

from anomalyncd.config import Config
from anomalyncd.config.overrides import with_overrides
from anomalyncd_bench.token_sharing import tokens_key


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({"training.start": "random", "training.n_heads": 2}, True),
        ({"aggregation.rule": "mean"}, True),
        ({"encoder.guidance": "none"}, False),
        ({"encoder.n_rotations": 1}, False),
        ({"mebin.binarisation": "otsu"}, False),
        ({"regions.margin": 2.0}, False),
        ({"foreground.source": "auto"}, False),
        ({"crops.n_views": 0}, False),
    ],
)
def test_tokens_are_shared(changes: dict, shared: bool) -> None:
    config = Config()
    assert (tokens_key(with_overrides(config, changes)) == tokens_key(config)) == shared

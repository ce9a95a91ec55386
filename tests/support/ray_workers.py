"""A cluster of Ray on this machine for tests, whose workers know the tiny backbone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomalyncd.backbone.catalogue import BACKBONES
from anomalyncd.config import PRESETS
from anomalyncd.io.cache import CACHE_VARIABLE
from anomalyncd.scale.predicting import PredictRow
from support.quick import QUICK, TINY


def know_tiny() -> None:
    """What `use_tiny` does, in a worker."""
    BACKBONES["tiny"], PRESETS["default"] = TINY, QUICK


@contextmanager
def two_workers(cache: Path) -> Iterator[Any]:
    """Yields the module `ray`, connected to a cluster of two processors."""
    import ray

    # Workers import this file, but do not know the paths that pytest adds.
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={
            "worker_process_setup_hook": know_tiny,
            "env_vars": {
                CACHE_VARIABLE: str(cache),
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            },
        },
    )
    try:
        yield ray
    finally:
        ray.shutdown()


class DyingRow(PredictRow):
    """Ends its process, once in all workers, in the middle of the work."""

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """As `PredictRow`, but the first worker that sees the image "5" dies before the end."""
        mark = Path(row["path"]).with_suffix(".died")
        if row["name"] == "5" and not mark.exists():
            mark.touch()
            os._exit(9)
        return super().__call__(row)

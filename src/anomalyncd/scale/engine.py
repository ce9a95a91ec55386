"""The engine that gives the work on each image to the workers of a cluster of Ray."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anomalyncd.runtime.device import resolve_device
from anomalyncd.runtime.engine import Item, Result
from anomalyncd.scale.cluster import cluster, import_ray, original, use_one_thread, workers

_PARTS_A_WORKER = 16


@contextmanager
def ray_engine(address: str | None = None, device: str = "auto") -> Iterator["RayEngine"]:
    """Connects to a cluster of Ray for as long as the context lasts.

    Examples:
        >>> with ray_engine("auto") as engine:  # doctest: +SKIP
        ...     discover_run(AnomalyNCD(), "bottle/", "/shared/run", engine=engine)

    Args:
        address: See `cluster`.
        device: The device of the discovery; workers use one of the same kind.

    Raises:
        InputError: See `cluster`.
    """
    with cluster(address):
        yield RayEngine(resolve_device(device).type)


class RayEngine:
    """An `Engine` whose workers are actors of Ray Data; it restarts those that die.

    Args:
        device: See `workers`.
    """

    def __init__(self, device: str) -> None:
        self._device = device

    def map(
        self, make: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[Result]:
        """See `Engine.map`; results wait in the memory of Ray, which is bounded."""
        ray = import_ray()
        n_workers, asked = workers(self._device)
        rows = [{"item": pickle.dumps(item)} for item in items]
        n_parts = min(len(rows), n_workers * _PARTS_A_WORKER)
        results = ray.data.from_items(rows, override_num_blocks=n_parts).map(
            _Worker,
            fn_constructor_args=(make,),
            compute=ray.data.ActorPoolStrategy(size=min(n_workers, n_parts)),
            **asked,
        )
        try:
            for row in results.iter_rows():
                yield pickle.loads(row["result"])
        except Exception as error:
            found = original(error)
            if found is error:
                raise
            raise found from None


class _Worker:
    """Pickles items and results itself, so that they may be anything."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        use_one_thread()
        self._work = make()

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        return {"result": pickle.dumps(self._work(pickle.loads(row["item"])))}

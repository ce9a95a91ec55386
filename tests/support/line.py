"""A predictor that takes no time, images for it, and a server in a thread."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from anomalyncd.io.decoding import decode_bytes
from anomalyncd.io.http_messages import listen
from anomalyncd.line.jobs import Jobs
from anomalyncd.line.limits import Limits
from anomalyncd.line.server import Service, make_app
from anomalyncd.line.verdict import ClassShare, Decision, RegionVerdict, RunLength, Verdict
from anomalyncd.line.watch import Watch, WatchSettings
from anomalyncd.results.fit_counts import FitCounts

TOKEN = "a-token-of-the-tests"
LEVELS: dict[int, Decision] = {50: "normal", 100: "class", 150: "unseen", 200: "unsure"}
"""What the fake says of an image, by its grey level."""


def picture(level: int = 100, size: tuple[int, int] = (12, 8), kind: str = "PNG") -> bytes:
    """The file of a plain grey image."""
    file = io.BytesIO()
    Image.new("L", size, level).save(file, kind)
    return file.getvalue()


class FakePredictor:
    """Decides by the grey level of an image."""

    fit_counts: FitCounts | None = None

    def __init__(self, seconds: float = 0.0, class_name: str = "scratch") -> None:
        self.seconds, self.class_name = seconds, class_name
        self.gate = threading.Event()
        self.gate.set()
        self.names: list[str | None] = []

    @property
    def classes(self) -> list[dict[str, Any]]:
        return [{"id": 1, "name": self.class_name, "kind": "defect", "severity": "major"}]

    def predict(self, image: bytes, name: str | None = None) -> Verdict:
        self.names.append(name)
        self.gate.wait(20)
        time.sleep(self.seconds)
        pixels = decode_bytes(image, "image", str(name)).pixels
        level, (height, width) = int(pixels.mean().round()), pixels.shape[:2]
        if level == 255:
            raise RuntimeError("a fault of a library")
        decision = LEVELS[min(LEVELS, key=lambda one: abs(one - level))]
        return verdict_of(str(name), decision, self.class_name, (width, height))


def verdict_of(
    name: str, decision: Decision, class_name: str = "scratch", size: tuple[int, int] = (12, 8)
) -> Verdict:
    """A verdict with one region of 2x2 pixels, or none on a normal image."""
    width, height = size
    confidence = None if decision == "unseen" else 0.9
    mask = RunLength.of_window(np.ones((2, 2), bool), (1, 1), (height, width))
    region = RegionVerdict((1, 1, 3, 3), 4, 0.8, decision, 1, class_name, confidence, mask)
    normal = decision == "normal"
    return Verdict(
        name=name,
        width=width,
        height=height,
        score=0.1 if normal else 0.8,
        ok=normal,
        decision=decision,
        class_id=1,
        class_name=class_name,
        confidence=confidence,
        severity="major",
        classes=(ClassShare(1, class_name, 0.9, 4),),
        regions=() if normal else (region,),
    )


def service_of(
    predictor: FakePredictor,
    root: Path | None = None,
    most_waiting: int = 64,
    limits: Limits | None = None,
) -> Service:
    """A service of a fake whose model is loaded again as "new"."""
    jobs = Jobs(predictor, "old", most_waiting)
    return Service(
        jobs, lambda: (FakePredictor(class_name="dent"), "new"), limits or Limits(), root
    )


@contextmanager
def served(service: Service, token: str | None = TOKEN) -> Iterator[str]:
    """Serves in a thread, and yields the address."""
    listening = listen("127.0.0.1", None)
    app: Any = make_app(service, token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        service.jobs.close()
        listening.close()


def watch_until_killed(folder: Path, out: Path, settings: WatchSettings) -> None:
    """Watches a folder with a predictor that is quick; for a process of its own."""
    Watch(folder, out, FakePredictor(seconds=0.003), settings).run()

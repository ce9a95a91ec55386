"""The server of a line: images in, verdicts out."""

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.io.files import name_of
from anomalyncd.io.http_messages import App
from anomalyncd.line.api_examples import CLASSES, REQUEST, RESPONSES
from anomalyncd.line.guard import Guard
from anomalyncd.line.jobs import Answer, FullError, Jobs, Predicts
from anomalyncd.line.limits import Limits, TooLargeError, check_size
from anomalyncd.line.metrics import CLASSIFY, Metrics

_NO_ROOT = "This server reads no files by their paths; send the images, or start it with a root."


@dataclass(frozen=True, eq=False)
class Service:
    """A model that is served."""

    jobs: Jobs
    load: Callable[[], tuple[Predicts, str]]
    """Loads the model again, as it is now, and names it."""
    limits: Limits = field(default_factory=Limits)
    root: Path | None = None
    """Folder below which images may be named by their paths."""
    metrics: Metrics = field(init=False)
    _loading: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", Metrics(lambda: self.jobs.n_waiting))
        self.metrics.name_model(self.jobs.model, self.jobs.predictor.fit_counts)

    def reload(self) -> str:
        """Swaps in the model as it is now; requests are answered by the old one meanwhile.

        Returns:
            The name of the model.

        Raises:
            InputError: It cannot be loaded, so the old one goes on, or it is being loaded.
        """
        if not self._loading.acquire(blocking=False):
            raise InputError("the model is being loaded already; ask again in a moment")
        try:
            version = self.jobs.swap(self.load)
        finally:
            self._loading.release()
        self.metrics.name_model(version, self.jobs.predictor.fit_counts)
        return version


def make_app(service: Service, token: str | None) -> App:
    """Makes the application that serves a model.

    Args:
        service: The model.
        token: What every request has to state; None for a server that only this machine reaches.
    """
    app = FastAPI(
        title="anomalyncd",
        summary="Verdicts on images of one product.",
        version="1",
        docs_url=None,
        redoc_url=None,
    )
    _add_classify(app, service)
    _add_model(app, service)
    _add_states(app, service)
    app.add_exception_handler(HTTPException, _on_http_error)
    return Guard(app, token, service.limits, service.metrics)


def _add_classify(app: FastAPI, service: Service) -> None:
    @app.post(CLASSIFY, openapi_extra=REQUEST, responses=RESPONSES)
    async def classify(request: Request) -> Response:
        """Predicts one image or several, in the order in which they are sent.

        Send files as `multipart/form-data`, or `{"paths": [...]}` relative to the root.
        """
        images = await _images_of(request, service)
        results: list[dict[str, Any]] = []
        good: list[tuple[str, bytes]] = []
        too_large = False
        for name, data in images:
            results.append({"name": name})
            try:
                if isinstance(data, InputError):
                    raise data
                await run_in_threadpool(check_size, data, name, service.limits)
                good.append((name_of(PurePosixPath(name), IMAGE_SUFFIXES), data))
            except InputError as error:
                too_large |= isinstance(error, TooLargeError)
                results[-1]["error"] = str(error)
        found = await _predicted(good, service)
        answers = iter(found)
        for result in results:
            if "error" not in result:
                result |= _result(next(answers))
            service.metrics.count_verdict(result.pop("_verdict", None))
        return _json({"results": results}, _status(found, too_large))


def _status(found: Sequence[Answer | BaseException], too_large: bool) -> int:
    """The status of an answer: that of a failure only if there is no verdict at all."""
    if any(isinstance(one, Answer) for one in found):
        return 200
    if any(not isinstance(one, InputError) for one in found):
        return 500
    return 413 if too_large else 422


async def _images_of(
    request: Request, service: Service
) -> Sequence[tuple[str, bytes | InputError]]:
    """Names and files of the images of a request; an error where a path cannot be read."""
    limits = service.limits
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _files_of(request, limits)
    if kind != "application/json":
        raise HTTPException(415, "Send images as multipart/form-data, or their paths as JSON.")
    paths = _paths_of(await request.body())
    if len(paths) > limits.most_images:
        raise HTTPException(413, f"A request may name {limits.most_images} images at most.")
    if service.root is None:
        raise HTTPException(403, _NO_ROOT)
    images: list[tuple[str, bytes | InputError]] = []
    left = limits.most_bytes
    for path in paths:
        data = await run_in_threadpool(_read_below, service.root, path, left + 1)
        left -= len(data) if isinstance(data, bytes) else 0
        if left < 0:
            raise HTTPException(413, f"A request may name {limits.most_bytes:,} bytes at most.")
        images.append((path, data))
    return images


async def _files_of(request: Request, limits: Limits) -> Sequence[tuple[str, bytes]]:
    """Names and contents of the files that a request holds."""
    try:
        async with aclosing(request.stream()) as stream:
            parser = MultiPartParser(
                request.headers, stream, max_files=limits.most_images, max_fields=0
            )
            # The whole request is in memory already, so none of it goes to the disk.
            parser.spool_max_size = limits.most_bytes + 1
            form = await parser.parse()
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        sent = [(one.filename or "image", await one.read()) for one in files]
        await form.close()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    except UnicodeError as error:  # A request may name any encoding.
        reason = "The names in the request cannot be decoded; send them in UTF-8."
        raise HTTPException(422, reason) from error
    if not sent:
        raise HTTPException(422, "The request holds no image; send one in each part.")
    return sent


def _paths_of(body: bytes) -> list[str]:
    try:
        paths = json.loads(body)["paths"]
    except (ValueError, TypeError, KeyError, RecursionError):
        paths = None
    if not (isinstance(paths, list) and paths and all(isinstance(one, str) for one in paths)):
        raise HTTPException(422, 'Send {"paths": ["folder/image.png"]}, relative to the root.')
    return paths


def _read_below(root: Path, path: str, most_bytes: int) -> bytes | InputError:
    """Reads a file below the root; what lies outside is as missing as what does not exist."""
    missing = InputError(f"image '{path}' does not exist below the root; check the path")
    try:
        file = (root / path).resolve(strict=True)
        if not (file.is_relative_to(root.resolve()) and file.is_file()):
            return missing
        with file.open("rb") as opened:
            return opened.read(most_bytes)
    except (OSError, ValueError, RuntimeError):
        return missing


async def _predicted(
    images: list[tuple[str, bytes]], service: Service
) -> Sequence[Answer | BaseException]:
    started = time.perf_counter()
    most = service.jobs.most_waiting
    if len(images) > most:
        raise HTTPException(413, f"A request may have {most} images at most; no more can wait.")
    try:
        futures = service.jobs.submit(images)
    except FullError as error:
        wait = math.ceil(service.jobs.n_waiting * service.jobs.seconds_each) or 1
        raise HTTPException(
            429, "The queue is full; send the request again.", {"retry-after": str(wait)}
        ) from error
    waiting = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    try:
        left = service.limits.seconds - (time.perf_counter() - started)
        return await asyncio.wait_for(waiting, max(left, 0.001))
    except TimeoutError as error:
        late = f"There was no verdict after {service.limits.seconds:g} seconds; send it again."
        raise HTTPException(504, late) from error


def _result(found: Answer | BaseException) -> dict[str, Any]:
    if isinstance(found, Answer):
        return {
            "model": found.model,
            "verdict": found.verdict.to_dict(),
            "_verdict": found.verdict,
        }
    if isinstance(found, InputError):
        return {"error": str(found)}
    return {"error": f"the image could not be predicted ({type(found).__name__}); see the log"}


def _add_model(app: FastAPI, service: Service) -> None:
    @app.get("/v1/classes", responses=CLASSES)
    def classes() -> Response:
        """The classes of the model in use."""
        predictor, version = service.jobs.predictor, service.jobs.model
        return _json({"model": version, "classes": list(predictor.classes)})

    @app.post("/v1/model:reload")
    def reload() -> Response:
        """Swaps in the model as it is on the disk now; no request is lost."""
        try:
            return _json({"model": service.reload()})
        except Exception as error:
            # Whatever is wrong with the new model, the old one goes on.
            return _json({"error": str(error), "model": service.jobs.model}, 409)


def _add_states(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    def health() -> Response:
        """Whether the server answers."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    def ready() -> Response:
        """Whether the server predicts images."""
        alive = service.jobs.alive
        return _json({"status": "ready" if alive else "closing"}, 200 if alive else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        """What was counted, in the format of Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _json(content: Any, status: int = 200) -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _json({"error": error.detail}, error.status_code)
    response.headers.update(error.headers or {})
    return response

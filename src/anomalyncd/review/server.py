"""The server of a review: every address that the page asks for."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from anomalyncd.errors import InputError
from anomalyncd.growth.proposals import proposals
from anomalyncd.io.http_messages import App
from anomalyncd.review import answers
from anomalyncd.review.actions import do, read_action
from anomalyncd.review.groups import similar_classes, split_class
from anomalyncd.review.guard import Guard
from anomalyncd.review.label_book_page import label_book_page
from anomalyncd.review.pictures import Pictures
from anomalyncd.review.places import Places
from anomalyncd.review.session import ReviewSession

_TICK, _KEEP_ALIVE = 0.1, 15.0
"""Seconds between two looks at the state, and between two events at most."""
_KEPT_BY_BROWSER = {"cache-control": "private, max-age=3600"}
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
"""The report holds its own styles, scripts and pictures, and loads nothing."""
_STATIC = Path(str(files("anomalyncd.review") / "static"))

Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=answers.MOST_ITEMS)]


def make_app(session: ReviewSession, token: str, port: int) -> App:
    """Makes the application of a review.

    Args:
        session: The review.
        token: What the link holds; without it nothing is answered.
        port: On which it listens.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    _add_lists(app, session)
    _add_classes(app, session)
    _add_images(app, session)
    _add_actions(app, session)
    _add_pictures(app, session)
    _add_pages(app, session)
    app.add_exception_handler(InputError, _on_input_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    return Guard(app, token, port)


def _add_lists(app: FastAPI, session: ReviewSession) -> None:
    places = Places(session.run)
    Thread(target=places.points, daemon=True).start()

    @app.get("/api/state")
    def state() -> Response:
        return _json(answers.state_answer(session))

    @app.get("/api/regions")
    def regions(
        view: str = "all",
        class_id: Annotated[int | None, Query(alias="class")] = None,
        order: str = "sure",
        offset: Offset = 0,
        limit: Limit = 300,
    ) -> Response:
        snapshot = session.now()
        rows = answers.rows_of_view(snapshot, view, class_id, order)
        return _json(answers.regions_answer(snapshot, rows, offset, limit))

    @app.get("/api/regions/{region}")
    def region(region: int) -> Response:
        return _json(answers.region_answer(session, _row(session, region)))

    @app.get("/api/projection")
    def projection() -> Response:
        x, y = places.points().T.tolist()
        ids = session.arrays.ids.tolist()
        return _json({"version": session.now().version, "ids": ids, "x": x, "y": y})

    @app.get("/api/assignment")
    def assignment() -> Response:
        return _json(answers.assignment_answer(session.now()))

    @app.get("/api/history")
    def history() -> Response:
        return _json(answers.history_answer(session))


def _add_classes(app: FastAPI, session: ReviewSession) -> None:
    ids, features = session.arrays.ids, session.run.features

    @app.get("/api/classes/{class_id}/similar")
    def similar(class_id: int) -> Response:
        snapshot = session.now()
        items = [
            {"id": other, "similarity": round(cosine, 4)}
            for other, cosine in similar_classes(snapshot, features, class_id)
        ]
        return _json({"version": snapshot.version, "items": items})

    @app.get("/api/classes/{class_id}/split")
    def split(class_id: int, parts: Annotated[int, Query(ge=2, le=20)] = 2) -> Response:
        snapshot = session.now()
        found = split_class(snapshot, features, class_id, parts)
        return _json({"version": snapshot.version, "parts": [ids[rows].tolist() for rows in found]})

    @app.get("/api/proposals")
    def proposed() -> Response:
        snapshot = session.now()
        items = [
            {"regions": ids[one.rows].tolist(), "suggestion": one.name}
            for one in proposals(session.run, session.labels)
        ]
        return _json({"version": snapshot.version, "items": items})


def _add_images(app: FastAPI, session: ReviewSession) -> None:
    @app.get("/api/images")
    def images(
        offset: Offset = 0,
        limit: Limit = 300,
        class_id: Annotated[int | None, Query(alias="class")] = None,
    ) -> Response:
        return _json(answers.images_answer(session.now(), class_id, offset, limit))

    @app.get("/api/image")
    def image(name: str) -> Response:
        number = _image(session, name)
        map_file = session.run.folder / "maps" / f"{name}.npy"
        return _json(answers.image_answer(session, number, map_file.is_file()))


def _add_actions(app: FastAPI, session: ReviewSession) -> None:
    def act(body: bytes) -> Response:
        action = read_action(body)
        try:
            session.now()  # Nothing is said of a run that was made again.
            done = do(session, action)
        except InputError as error:
            return _json({"error": str(error)}, 409)
        answer = {"version": session.now().version, "number": done.number}
        return _json(answer | {"classes": done.classes} if done.classes else answer)

    @app.post("/api/actions")
    async def actions(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(act, body)

    @app.get("/api/events")
    async def events() -> Response:
        return StreamingResponse(_events(session), media_type="text/event-stream")


def _add_pictures(app: FastAPI, session: ReviewSession) -> None:
    pictures = Pictures(session.run, session.arrays)

    @app.get("/picture/region/{region}.jpg")
    def region(region: int, side: int = 144) -> Response:
        return _file(lambda: pictures.region(_row(session, region), side), "image/jpeg")

    @app.get("/picture/attention/{region}.jpg")
    def attention(region: int) -> Response:
        return _file(lambda: pictures.attention(_row(session, region)), "image/jpeg")

    @app.get("/picture/image.jpg")
    def image(name: str, side: int = 1600) -> Response:
        return _file(lambda: pictures.image(_image(session, name), side), "image/jpeg")

    @app.get("/picture/map.png")
    def map_picture(name: str) -> Response:
        return _file(lambda: pictures.map(_image(session, name)), "image/png")

    @app.get("/picture/outlines.json")
    def outlines(name: str) -> Response:
        return _file(lambda: pictures.outlines(_image(session, name)), "application/json")


def _add_pages(app: FastAPI, session: ReviewSession) -> None:
    @app.get("/")
    def index() -> Response:
        return FileResponse(_STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/label-book")
    def label_book() -> Response:
        return HTMLResponse(label_book_page(session))

    @app.get("/report")
    def report() -> Response:
        path = session.run.folder / "report.html"
        if not path.is_file():
            raise HTTPException(404, "This run has no report; write it with `anomalyncd report`.")
        return FileResponse(path, headers={"content-security-policy": _REPORT_POLICY})

    app.mount("/static", _Static(directory=_STATIC))


class _Static(StaticFiles):
    """Files of the page; a browser asks each time whether they changed."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["cache-control"] = "no-cache"
        return response


async def _events(session: ReviewSession) -> AsyncIterator[str]:
    """Yields an event at each change by anyone, and when nothing changes for some time."""
    loop = asyncio.get_running_loop()
    number, refitting, sent = session.number, session.refitting, loop.time()
    yield _event(session, False)
    while not session.closed:
        await asyncio.sleep(_TICK)
        changed = (session.number, session.refitting) != (number, refitting)
        if changed or loop.time() - sent > _KEEP_ALIVE:
            number, refitting, sent = session.number, session.refitting, loop.time()
            yield _event(session, changed)


def _event(session: ReviewSession, changed: bool) -> str:
    data = {"version": session.version, "refitting": session.refitting, "changed": changed}
    return f"event: version\ndata: {json.dumps(data)}\n\n"


def _row(session: ReviewSession, region: int) -> int:
    row = session.arrays.rows.get(region)
    if row is None:
        raise HTTPException(404, f"region {region} is not in the run")
    return row


def _image(session: ReviewSession, name: str) -> int:
    number = session.arrays.positions.get(name)
    if number is None:
        raise HTTPException(404, "this image is not in the run")
    return number


def _json(content: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A name of a file may hold half a pair of surrogates, which no browser can read.
    return Response(body.encode("utf-8", "replace"), status, media_type="application/json")


def _file(make: Callable[[], bytes], media_type: str) -> Response:
    try:
        return Response(make(), media_type=media_type, headers=_KEPT_BY_BROWSER)
    except InputError as error:
        return _json({"error": str(error)}, 404)


def _on_input_error(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


def _on_bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _json({"error": f"{first['loc'][-1]} cannot be used: {str(first['msg']).lower()}"}, 400)


def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": str(error.detail)}, error.status_code)

"""The server of a line: what it answers, what it refuses, and what it survives."""

import asyncio
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest

from anomalyncd.line.limits import Limits
from anomalyncd.line.metrics import CLASSIFY
from anomalyncd.line.server import Service, make_app
from anomalyncd.line.verdict import Verdict
from anomalyncd.results.fit_counts import FitCounts
from support.line import TOKEN, FakePredictor, picture, served, service_of

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.png").write_bytes(picture())
    (tmp_path / "secret.png").write_bytes(picture())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    return folder


@pytest.fixture
def service(predictor: FakePredictor, root: Path) -> Service:
    return service_of(predictor, root, 8, Limits(200_000, 1_000_000, 4, 5.0))


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with (
        served(service) as address,
        httpx.Client(base_url=address, headers=BEARER, timeout=30) as client,
    ):
        yield client


def send(client: httpx.Client, *images: bytes) -> httpx.Response:
    files = [("images", (f"{n}.png", data)) for n, data in enumerate(images)]
    return client.post(CLASSIFY, files=files)


def wait_until(done: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for what other threads do."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.005)
    assert done()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG file of some kilobytes that claims billions of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_images_get_verdicts_in_order(client: httpx.Client, predictor: FakePredictor) -> None:
    answer = send(client, picture(50), picture(100), picture(150))
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [one["name"] for one in results] == ["0.png", "1.png", "2.png"]
    verdicts = [Verdict.from_dict(one["verdict"]) for one in results]
    assert [one.decision for one in verdicts] == ["normal", "class", "unseen"]
    assert {one["model"] for one in results} == {"old"}
    assert predictor.names == ["0", "1", "2"]
    assert client.get("/v1/classes").json()["classes"] == predictor.classes


def test_paths_below_the_root_are_read(client: httpx.Client) -> None:
    answer = client.post(CLASSIFY, json={"paths": ["a/1.png", "a/2.png"]})
    assert answer.status_code == 200
    first, second = answer.json()["results"]
    assert first["verdict"]["decision"] == "class"
    assert "does not exist below the root" in second["error"]


@pytest.mark.parametrize(
    "path",
    ["../secret.png", "a/../../secret.png", "/etc/passwd", "link.png", "a", "", "\0", "x" * 5000],
)
def test_nothing_outside_the_root_is_read(
    client: httpx.Client, predictor: FakePredictor, path: str
) -> None:
    answer = client.post(CLASSIFY, json={"paths": [path]})
    assert answer.status_code == 422
    assert "does not exist below the root" in answer.json()["results"][0]["error"]
    assert predictor.names == []


def test_without_a_root_no_path_is_read(predictor: FakePredictor) -> None:
    with served(service_of(predictor)) as address:
        answer = httpx.post(address + CLASSIFY, json={"paths": ["a/1.png"]}, headers=BEARER)
    assert answer.status_code == 403


def test_files_of_a_request_are_limited_together(client: httpx.Client, root: Path) -> None:
    (root / "large.png").write_bytes(picture() + bytes(120_000))
    assert client.post(CLASSIFY, json={"paths": ["large.png"]}).status_code == 200
    assert client.post(CLASSIFY, json={"paths": ["large.png"] * 2}).status_code == 413


@pytest.mark.parametrize("body", ["", "[]", "{", '{"paths": []}', '{"paths": [1]}', "[" * 50_000])
def test_bodies_that_name_no_paths_are_refused(client: httpx.Client, body: str) -> None:
    answer = client.post(CLASSIFY, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_broken_images_have_a_reason_and_others_a_verdict(client: httpx.Client) -> None:
    answer = send(client, picture(), b"", picture()[:45], picture(255))
    assert answer.status_code == 200
    first, *others = answer.json()["results"]
    assert "verdict" in first
    assert all("error" in one for one in others)
    assert "a fault of a library" not in answer.text
    assert send(client, b"no image").status_code == 422
    assert send(client, picture()).status_code == 200


def test_decompression_bombs_are_refused_unread(
    client: httpx.Client, predictor: FakePredictor
) -> None:
    for data in (bomb(), bomb(1001, 1000), picture(size=(1001, 1000), kind="TIFF")[:150_000]):
        answer = send(client, data)
        assert answer.status_code in (413, 422), answer.text
    assert send(client, bomb()).status_code == 413
    assert predictor.names == []


def test_requests_are_limited_in_length_and_number(client: httpx.Client) -> None:
    noise = np.random.default_rng(0).bytes(200_001)
    assert send(client, noise).status_code == 413
    parts = iter([noise[:150_000], noise[:150_000]])  # Sent without a length.
    assert client.post(CLASSIFY, content=parts).status_code == 413
    assert send(client, *[picture()] * 5).status_code in (400, 413)
    paths = {"paths": ["a/1.png"] * 5}
    assert client.post(CLASSIFY, json=paths).status_code == 413
    assert client.post(CLASSIFY, content=b"x").status_code == 415


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "\u00b2"])
def test_a_length_that_is_no_number_is_refused(service: Service, length: str) -> None:
    """As other servers than uvicorn may let it through."""
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    headers = [(b"host", b"127.0.0.1"), (b"authorization", BEARER["authorization"].encode())]
    headers.append((b"content-length", length.encode("latin-1")))
    scope = {"type": "http", "path": CLASSIFY, "method": "POST", "headers": headers}
    app: Any = make_app(service, TOKEN)
    asyncio.run(app(scope, None, send))
    assert statuses[0] == 413


def test_a_text_in_an_unusual_encoding_is_no_fault(client: httpx.Client) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"; filename="\xff.png"\r\n\r\n'
    body += picture() + b"\r\n--B--\r\n"
    for charset in ("undefined", "idna", "punycode", "hex", "nothing", "utf-16"):
        kind = f"multipart/form-data; boundary=B; charset={charset}"
        answer = client.post(CLASSIFY, content=body, headers={"content-type": kind})
        assert answer.status_code < 500, charset


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer", TOKEN[:-1], "Basic x", "\xff"])
@pytest.mark.parametrize("path", ["/v1/classes", "/metrics", "/openapi.json", "/v1/model:reload"])
def test_nothing_is_told_without_the_token(client: httpx.Client, header: str, path: str) -> None:
    headers = {"authorization": header.encode("latin-1")}
    assert client.get(path, headers=headers).status_code == 401
    assert client.get("/healthz", headers=headers).status_code == 200
    assert client.get("/readyz", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:80"}, 200),
        ({"host": "evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_without_a_token_only_programs_of_this_machine_may_ask(
    predictor: FakePredictor, headers: dict[str, str], status: int
) -> None:
    with served(service_of(predictor), token=None) as address:
        assert httpx.get(f"{address}/v1/classes", headers=headers).status_code == status


def test_full_queue_says_when_to_come_again(predictor: FakePredictor) -> None:
    service = service_of(predictor, most_waiting=3, limits=Limits(seconds=60))
    predictor.gate.clear()
    with (
        served(service) as address,
        httpx.Client(base_url=address, headers=BEARER, timeout=60) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(send, client, picture())
        wait_until(lambda: len(predictor.names) == 1)
        second = pool.submit(send, client, *[picture()] * 3)
        wait_until(lambda: service.jobs.n_waiting == 3)
        refused = send(client, picture())
        predictor.gate.set()
        assert [one.result().status_code for one in (first, second)] == [200, 200]
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


def test_late_answers_are_given_up(predictor: FakePredictor) -> None:
    service = service_of(predictor, limits=Limits(seconds=1))
    predictor.gate.clear()
    with (
        served(service) as address,
        httpx.Client(base_url=address, headers=BEARER, timeout=30) as client,
    ):
        assert send(client, picture(), picture()).status_code == 504
        predictor.gate.set()
        assert send(client, picture()).status_code == 200
    # The second image of the first request was not predicted for nobody.
    assert len(predictor.names) == 2


def test_slow_senders_are_cut_off(predictor: FakePredictor) -> None:
    with served(service_of(predictor, limits=Limits(seconds=0.3))) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as slow:
            head = f"POST {CLASSIFY} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n"
            slow.sendall(f"{head}content-length: 1000\r\n\r\nabc".encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_model_is_swapped_without_a_lost_request(client: httpx.Client, service: Service) -> None:
    service.jobs.predictor.seconds = 0.002  # type: ignore[attr-defined]
    stop = threading.Event()
    models: list[tuple[str, str]] = []

    def ask() -> None:
        while not stop.is_set():
            answer = send(client, picture())
            assert answer.status_code == 200
            (result,) = answer.json()["results"]
            models.append((result["model"], result["verdict"]["class_name"]))

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        time.sleep(0.3)
        assert client.post("/v1/model:reload").json() == {"model": "new"}
        time.sleep(0.3)
        stop.set()
        for one in asking:
            one.result()
    assert set(models) == {("old", "scratch"), ("new", "dent")}


def test_model_that_cannot_be_loaded_changes_nothing(predictor: FakePredictor) -> None:
    service = service_of(predictor)

    def fail() -> tuple[FakePredictor, str]:
        raise OSError("no such model")

    object.__setattr__(service, "load", fail)
    with (
        served(service) as address,
        httpx.Client(base_url=address, headers=BEARER, timeout=30) as client,
    ):
        answer = client.post("/v1/model:reload")
        assert answer.status_code == 409
        assert answer.json() == {"error": "no such model", "model": "old"}
        assert send(client, picture()).json()["results"][0]["model"] == "old"


def test_what_is_in_flight_is_answered_at_the_end(predictor: FakePredictor) -> None:
    predictor.seconds = 0.5
    with ThreadPoolExecutor(1) as pool:
        with served(service_of(predictor)) as address:
            client = httpx.Client(base_url=address, headers=BEARER)
            waiting = pool.submit(send, client, picture())
            while not predictor.names:
                time.sleep(0.01)
        assert waiting.result().status_code == 200
        client.close()


def test_metrics_count_requests_and_verdicts(client: httpx.Client) -> None:
    send(client, picture(50), picture(100), b"")
    client.get("/v1/secret-path")
    client.get("/v1/classes", headers={"authorization": ""})
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'anomalyncd_requests_total{path="/v1/images:classify",status="200"} 1.0',
        'anomalyncd_requests_total{path="other",status="404"} 1.0',
        'anomalyncd_requests_total{path="/v1/classes",status="401"} 1.0',
        'anomalyncd_verdicts_total{class_name="scratch",decision="class"} 1.0',
        'anomalyncd_classify_seconds_count{outcome="ok"} 1.0',
        "anomalyncd_unreadable_images_total 1.0",
        "anomalyncd_queue_length 0.0",
        'anomalyncd_model_info{version="old"} 1.0',
    ):
        assert line in lines


def test_description_has_the_addresses_and_an_example_of_a_verdict(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) >= {CLASSIFY, "/v1/classes", "/v1/model:reload", "/metrics"}
    classify = described["paths"][CLASSIFY]["post"]
    assert set(classify["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    example = classify["responses"]["200"]["content"]["application/json"]["example"]
    verdict = Verdict.from_dict(example["results"][0]["verdict"])
    assert verdict.to_dict() == example["results"][0]["verdict"]
    assert verdict.regions[0].mask.to_mask().shape == (480, 640)


def test_clients_at_the_same_time_all_get_an_answer(predictor: FakePredictor) -> None:
    predictor.seconds = 0.001
    end = time.monotonic() + 3
    with served(service_of(predictor)) as address:

        def ask(level: int) -> int:
            n_answers = 0
            with httpx.Client(base_url=address, headers=BEARER, timeout=30) as client:
                while not n_answers or time.monotonic() < end:
                    answer = send(client, picture(level))
                    assert answer.status_code == 200
                    assert answer.json()["results"][0]["verdict"]["ok"] is (level == 50)
                    n_answers += 1
            return n_answers

        with ThreadPoolExecutor(32) as pool:
            counts = list(pool.map(ask, [50, 100] * 16))
    assert min(counts) > 0


def test_metrics_state_drift_and_begin_anew_with_another_model() -> None:
    predictor = FakePredictor()
    predictor.fit_counts = FitCounts(1000, 1, 0, (1,), (1000,), ("scratch",), (), (1000,))
    with served(service_of(predictor)) as address:
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            quiet = client.get("/metrics").text.splitlines()
            send(client, *[picture(150)] * 12)
            moved = client.get("/metrics").text.splitlines()
            client.post("/v1/model:reload")
            reloaded = client.get("/metrics").text
    assert 'anomalyncd_drift{subject="unseen"} 0.0' in quiet
    assert 'anomalyncd_drift{subject="unseen"} 1.0' in moved
    assert 'anomalyncd_drift{subject="classes"} 0.0' in moved
    assert 'anomalyncd_unseen_share{images="recent"} 1.0' in moved
    assert 'anomalyncd_unseen_share{images="fit"} 0.001' in moved
    # The new model has no counts.
    assert "anomalyncd_drift{" not in reloaded


def test_a_failure_of_the_model_is_none_of_the_images(client: httpx.Client) -> None:
    answer = send(client, picture(255), b"")
    assert answer.status_code == 500
    assert "could not be predicted (RuntimeError)" in answer.json()["results"][0]["error"]
    assert send(client, picture(255), picture()).status_code == 200
    assert 'anomalyncd_classify_seconds_count{outcome="failed"} 1.0' in client.get("/metrics").text


def test_more_images_than_can_wait_are_refused_for_good(predictor: FakePredictor) -> None:
    with (
        served(service_of(predictor, most_waiting=2)) as address,
        httpx.Client(base_url=address, headers=BEARER, timeout=30) as client,
    ):
        refused = send(client, *[picture()] * 3)
        assert send(client, *[picture()] * 2).status_code == 200
    assert refused.status_code == 413
    assert refused.json() == {"error": "A request may have 2 images at most; no more can wait."}


def test_no_image_touches_the_disk(
    predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def roll(_: object) -> None:
        raise OSError("the disk is for reading only")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", roll)
    with (
        served(service_of(predictor)) as address,
        httpx.Client(base_url=address, headers=BEARER, timeout=30) as client,
    ):
        assert send(client, picture() + bytes(3_000_000)).status_code == 200

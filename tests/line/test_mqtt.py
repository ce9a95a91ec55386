"""Results at an MQTT broker: each at least once, also when the broker is away for a while."""

import io
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.line.mqtt import Broker, Content, MqttSink
from anomalyncd.line.watch import Summary, Watch, WatchSettings
from support.line import FakePredictor, picture
from support.mqtt_broker import FakeBroker

mqtt = pytest.importorskip("paho.mqtt.client")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomalyncd.line.mqtt._SECONDS", 1.0)


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    fake = FakeBroker()
    yield fake
    fake.close()


def settings(port: int, content: Content = "verdict") -> WatchSettings:
    address = Broker.parse(f"mqtt://127.0.0.1:{port}/line/3", content=content)
    return WatchSettings(steady=0.0, poll=True, every=0.05, mqtt=address)


def once(folder: Path, out: Path, port: int, content: Content = "verdict") -> Summary:
    return Watch(folder, out, FakePredictor(), settings(port, content)).run(once=True)


def test_each_verdict_is_published_over_one_connection(
    folder: Path, tmp_path: Path, broker: FakeBroker
) -> None:
    for name in "123":
        (folder / f"{name}.png").write_bytes(picture())
    (folder / "broken.png").write_bytes(b"no image")
    assert once(folder, tmp_path / "out", broker.port).n_undelivered == 0
    assert {topic for topic, _ in broker.messages} == {"line/3/verdict"}
    found = {one["path"]: one for one in (json.loads(text) for _, text in broker.messages)}
    assert set(found) == {"1.png", "2.png", "3.png", "broken.png"}
    assert found["1.png"]["verdict"]["class_name"] == "scratch"
    assert found["broken.png"]["verdict"] is None
    assert len(broker.messages) == 4
    assert broker.n_connections == 1


@pytest.mark.parametrize("content", ["image", "picture"])
def test_image_or_picture_comes_before_the_verdict(
    folder: Path, tmp_path: Path, broker: FakeBroker, content: Content
) -> None:
    (folder / "1.png").write_bytes(picture(100, (60, 40)))
    once(folder, tmp_path / "out", broker.port, content)
    (topic, data), (last, _) = broker.messages
    assert (topic, last) == (f"line/3/{content}/1", "line/3/verdict")
    assert (data == picture(100, (60, 40))) == (content == "image")
    assert Image.open(io.BytesIO(data)).size == (60, 40)


@pytest.mark.parametrize("fault", [{"refuses": True}, {"silent": True}, None])
def test_nothing_is_lost_while_the_broker_is_away(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, bool] | None,
) -> None:
    monkeypatch.setattr("anomalyncd.line.delivery._LAST_SECONDS", 0.1)
    monkeypatch.setattr("anomalyncd.line.watch_state._LONGEST_WAIT", 0.1)
    for name in "12":
        (folder / f"{name}.png").write_bytes(picture())
    bad = FakeBroker(**(fault or {}))
    if fault is None:
        bad.close()
    assert once(folder, tmp_path / "out", bad.port).n_undelivered == 2
    if fault is not None:
        bad.close()
    good = FakeBroker()
    time.sleep(0.2)
    monkeypatch.setattr("anomalyncd.line.delivery._LAST_SECONDS", 10.0)
    assert once(folder, tmp_path / "out", good.port).n_undelivered == 0
    assert sorted(json.loads(text)["path"] for _, text in good.messages) == ["1.png", "2.png"]
    good.close()


def test_broker_that_is_restarted_gets_what_it_missed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyncd.line.watch_state._LONGEST_WAIT", 0.1)
    first = FakeBroker()
    watch = Watch(folder, tmp_path / "out", FakePredictor(), settings(first.port))
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        (folder / "1.png").write_bytes(picture())
        _wait(first, 1)
        first.silent = True
        (folder / "2.png").write_bytes(picture())
        _wait(first, 2)
        first.silent = False
        # Not confirmed, so it comes again.
        _wait(first, 3)
    finally:
        watch.stop()
        thread.join()
        first.close()
    paths = [json.loads(text)["path"] for _, text in first.messages]
    assert paths == ["1.png", "2.png", "2.png"]


@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs the broker mosquitto")
def test_a_real_broker_is_told(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    real = subprocess.Popen(["mosquitto", "-p", str(port)], stderr=subprocess.DEVNULL)
    got: list[tuple[str, bytes]] = []
    subscribed = threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: got.append((message.topic, message.payload))
    client.on_subscribe = lambda *_: subscribed.set()
    try:
        _connect(client, port)
        client.loop_start()
        client.subscribe("line/3/#", qos=1)
        assert subscribed.wait(10)
        (folder / "1.png").write_bytes(picture())
        assert once(folder, tmp_path / "out", port, "image").n_undelivered == 0
        end = time.monotonic() + 10
        while len(got) < 2 and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        client.disconnect()
        client.loop_stop()
        real.terminate()
        real.wait()
    assert [topic for topic, _ in got] == ["line/3/image/1", "line/3/verdict"]
    assert got[0][1] == picture()


def test_user_and_password_are_sent(folder: Path, broker: FakeBroker) -> None:
    address = Broker.parse(f"mqtt://line%20a@127.0.0.1:{broker.port}/a", "pass word")
    sink = MqttSink(folder, address)
    sink._connected()
    sink.close()
    assert "line a" in broker.user
    assert "pass word" in broker.user
    assert "pass word" not in repr(sink)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("mqtt://host/a", ("host", 1883, "a", False, None)),
        ("mqtts://me@host:9/a/b/", ("host", 9, "a/b", True, "me")),
        ("mqtts://host/a", ("host", 8883, "a", True, None)),
    ],
)
def test_addresses(address: str, expected: tuple[object, ...]) -> None:
    found = Broker.parse(address)
    assert (found.host, found.port, found.topic, found.encrypted, found.user) == expected


@pytest.mark.parametrize(
    "address",
    ["host/a", "http://host/a", "mqtt://host", "mqtt:///a", "mqtt://host:x/a", "mqtt://host/+/a"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="mqtt://host/topic"):
        Broker.parse(address)


@pytest.mark.parametrize(
    "start", ["ssl://u:secret@host:8883", "wss://host:1", "mqtt://u:secret@[::1"]
)
def test_a_scheme_that_would_not_encrypt_is_refused(start: str) -> None:
    with pytest.raises(InputError, match=r"is no address; .*mqtts://") as raised:
        Broker.parse(f"{start}/line")
    assert "secret" not in str(raised.value)


def test_password_in_the_address_is_refused_without_being_repeated() -> None:
    with pytest.raises(InputError, match="ANOMALYNCD_MQTT_PASSWORD") as caught:
        Broker.parse("mqtt://me:secret@host/a")
    assert "secret" not in str(caught.value)


def test_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(InputError, match=r"anomalyncd\[mqtt\]"):
        MqttSink(folder, Broker.parse("mqtt://host/a"))


def _wait(broker: FakeBroker, count: int) -> None:
    end = time.monotonic() + 20
    while len(broker.messages) < count and time.monotonic() < end:
        time.sleep(0.02)
    assert len(broker.messages) >= count


def _connect(client: "mqtt.Client", port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            client.connect("127.0.0.1", port)
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)

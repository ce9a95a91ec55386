"""Publishes the results of a watched folder at an MQTT broker."""

import importlib
import json
import re
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import read_image
from anomalyncd.line.drawing import draw_regions
from anomalyncd.line.sinks import Sink
from anomalyncd.line.watch_state import Finished
from anomalyncd.runtime.versions import refuse_old

Content: TypeAlias = Literal["verdict", "image", "picture"]
"""`verdict`: the verdict alone; `image`: also the file of the image; `picture`: also a picture of
its regions."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_SECONDS = 10.0
"""How long the broker may take to answer."""


@dataclass(frozen=True)
class Broker:
    """A broker, and what is published there."""

    host: str
    port: int
    topic: str
    """Without a slash at its end; results are published below it."""
    encrypted: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    content: Content = "verdict"

    @classmethod
    def parse(cls, address: str, password: str | None = None, content: Content = "verdict") -> Self:
        """Reads an address, "mqtts://user@host:8883/line/3".

        Args:
            address: Host and topic; user and port may be left out.
            password: Of the user.
            content: What is published.

        Raises:
            InputError: The address is none, or it holds a password.
        """
        shown = re.sub(r"//.*@", "//", address)  # Without a password.
        refused = InputError(
            f"mqtt '{shown}' is no address; write it as mqtt://host/topic, or with mqtts:// for a "
            "broker that encrypts"
        )
        try:
            found = urlsplit(address)
            port = found.port or _PORTS.get(found.scheme, 0)
        except ValueError:
            raise refused from None
        topic = unquote(found.path).strip("/")
        known = found.scheme in _PORTS
        if not (known and found.hostname and topic) or re.search(r"[+#\x00]", topic):
            raise refused
        if found.password is not None:
            raise InputError(
                "the address of `mqtt` holds a password; set ANOMALYNCD_MQTT_PASSWORD instead"
            )
        user = None if found.username is None else unquote(found.username)
        encrypted = found.scheme == "mqtts"
        return cls(found.hostname, port, topic, encrypted, user, password, content)


@dataclass
class MqttSink(Sink):
    """Publishes each result at least once, and waits until the broker has it (QoS 1).

    The verdict, as JSON, goes to `TOPIC/verdict`, and before it the file of the image to
    `TOPIC/image/ID`, or a PNG of its regions to `TOPIC/picture/ID`, if they are asked for.

    Args:
        watched: The watched folder.
        broker: Where results are published.

    Raises:
        InputError: The package paho-mqtt is not installed.
    """

    watched: Path
    broker: Broker
    name: str = "mqtt"
    _mqtt: Any = field(init=False, repr=False)
    _client: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        refuse_old("paho-mqtt")
        try:
            self._mqtt = importlib.import_module("paho.mqtt.client")
        except ModuleNotFoundError as error:
            raise InputError(
                "`mqtt` needs paho-mqtt, which is not installed; pip install 'anomalyncd[mqtt]'"
            ) from error

    def wants(self, finished: Finished) -> bool:
        """Every result is published."""
        return True

    def deliver(self, finished: Finished) -> None:
        """Publishes one result; connects first, if there is no connection."""
        messages = self._messages(finished)
        try:
            client = self._connected()
            for topic, payload in messages:
                sent = client.publish(f"{self.broker.topic}/{topic}", payload, qos=1)
                sent.wait_for_publish(_SECONDS)
                if not sent.is_published():
                    raise OSError("the broker did not answer")
        except (OSError, RuntimeError, ValueError) as error:
            # What the client still holds would be sent twice.
            self.close()
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _messages(self, finished: Finished) -> list[tuple[str, bytes]]:
        text = json.dumps(finished.to_dict(), ensure_ascii=False)
        messages = [("verdict", text.encode("utf-8", "replace"))]
        source = None
        if self.broker.content != "verdict":
            source = finished.source(self.watched)
        if source is not None and self.broker.content == "image":
            messages.insert(0, (f"image/{finished.id}", source.read_bytes()))
        elif source is not None and finished.verdict is not None:
            file = BytesIO()
            Image.fromarray(draw_regions(read_image(source), finished.verdict)).save(file, "PNG")
            messages.insert(0, (f"picture/{finished.id}", file.getvalue()))
        return messages

    def _connected(self) -> Any:
        """The client, connected; a new one where the last one failed."""
        if self._client is not None:
            return self._client
        broker, answered, refused = self.broker, Event(), []

        def on_connect(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason))
            answered.set()

        client = self._mqtt.Client(self._mqtt.CallbackAPIVersion.VERSION2)
        client.on_connect = on_connect
        client.connect_timeout = _SECONDS
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.encrypted:
            client.tls_set()
        client.connect(broker.host, broker.port)
        client.loop_start()
        self._client = client
        if not answered.wait(_SECONDS) or refused:
            raise OSError(f"the broker refused: {refused[0]}" if refused else "no answer")
        return client

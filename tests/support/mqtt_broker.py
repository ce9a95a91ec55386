"""A broker of a few lines that takes what is published with QoS 1, as MQTT 3.1.1 describes it."""

import socketserver
import threading
from typing import Any


class FakeBroker:
    """Listens on a port of this machine until it is closed.

    Args:
        port: 0 takes a free one.
        refuses: Whether it refuses every connection.
        silent: Whether it takes messages without confirming them.
    """

    def __init__(self, port: int = 0, refuses: bool = False, silent: bool = False) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.n_connections = 0
        self.user = ""
        broker = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while head := self.rfile.read(1):
                    broker._answer(head[0], self._body(), self.wfile)

            def _body(self) -> bytes:
                length, shift = 0, 0
                while True:
                    (part,) = self.rfile.read(1)
                    length |= (part & 127) << shift
                    shift += 7
                    if not part & 128:
                        return self.rfile.read(length)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.refuses, self.silent = refuses, silent
        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, head: int, body: bytes, out: Any) -> None:
        kind = head >> 4
        if kind == 1:  # CONNECT
            self.n_connections += 1
            self.user = body.decode("latin-1")
            out.write(bytes([0x20, 2, 0, 5 if self.refuses else 0]))
        elif kind == 3:  # PUBLISH
            length = int.from_bytes(body[:2], "big")
            assert head & 6 == 2, "QoS 1"
            number, payload = body[2 + length : 4 + length], body[4 + length :]
            self.messages.append((body[2 : 2 + length].decode(), payload))
            if not self.silent:
                out.write(bytes([0x40, 2]) + number)
        elif kind == 12:  # PINGREQ
            out.write(bytes([0xD0, 0]))

"""A browser, as far as the server of a review sees one."""

import time
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from anomalyncd.review.server import make_app
from anomalyncd.review.session import ReviewSession

TOKEN, PORT = "t" * 43, 8123
HOST = f"127.0.0.1:{PORT}"


class Client(TestClient):
    """Calls the server as its page does."""

    def answer(self, address: str) -> Any:
        """What an address answers that has to succeed."""
        response = self.get(address)
        assert response.status_code == 200, response.text
        return response.json()

    def act(self, action: str, **arguments: Any) -> Any:
        """What an action answers, whether or not it succeeds."""
        body = {"action": action, **arguments}
        return self.post("/api/actions", json=body, headers={"origin": f"http://{HOST}"}).json()


def client_of(session: ReviewSession) -> Client:
    """A browser that has not opened the link yet."""
    return Client(make_app(session, TOKEN, PORT), base_url=f"http://{HOST}")


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)

"""Only pages that were opened with the link are answered."""

import pytest

from anomalyncd.review import guard
from anomalyncd.review.session import ReviewSession
from support.review import HOST, TOKEN, Client, client_of

UNDO = {"action": "undo"}
ORIGIN = {"origin": f"http://{HOST}"}


@pytest.fixture
def stranger(session: ReviewSession) -> Client:
    """A browser without the link."""
    return client_of(session)


@pytest.mark.parametrize(
    "address", ["/", "/?token=wrong", "/?token=", "/api/state?token=" + TOKEN, "/static/x.js"]
)
def test_nothing_is_answered_without_the_link(stranger: Client, address: str) -> None:
    response = stranger.get(address)
    assert response.status_code == 403
    assert response.text == guard._REFUSED


def test_link_sets_a_cookie_that_scripts_and_other_sites_cannot_use(stranger: Client) -> None:
    response = stranger.get(f"/?token={TOKEN}", follow_redirects=False)
    assert response.headers["location"] == "/"
    assert response.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert stranger.get("/api/state").status_code == 200
    stranger.cookies.clear()
    assert stranger.get("/api/state").status_code == 403


@pytest.mark.parametrize("cookie", ["wrong", '"', "=;=", "\xff", TOKEN[:-1]])
def test_wrong_cookies_are_refused(stranger: Client, cookie: str) -> None:
    header = f"anomalyncd-review-8123={cookie}".encode("latin-1")
    assert stranger.get("/api/state", headers={"cookie": header}).status_code == 403


def test_scripts_may_send_the_token_as_a_header(stranger: Client) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert stranger.get("/api/state", headers=headers).status_code == 200
    assert stranger.post("/api/actions", json=UNDO, headers=headers).status_code == 200
    other = {**headers, "origin": "http://evil.example"}
    assert stranger.post("/api/actions", json=UNDO, headers=other).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1", "127.0.0.1:80"])
def test_other_hosts_are_refused(client: Client, host: str) -> None:
    assert client.get("/api/state", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", f"https://{HOST}", "http://127.0.0.1:81", HOST]
)
def test_pages_of_other_sites_cannot_act(client: Client, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert client.post("/api/actions", json=UNDO, headers=headers).status_code == 403
    assert client.post("/api/actions", json=UNDO, headers=ORIGIN).status_code == 200


def test_bodies_are_limited(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 100)
    long = b" " * 101
    assert client.post("/api/actions", content=long, headers=ORIGIN).status_code == 413
    parts = iter([long[:60], long[:60]])  # Sent without a length.
    assert client.post("/api/actions", content=parts, headers=ORIGIN).status_code == 413
    assert client.post("/api/actions", json=UNDO, headers=ORIGIN).status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need(client: Client) -> None:
    for address in ("/api/state", "/label-book", "/nothing", "/static/label-book.css"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    assert client.get("/api/state").headers["cache-control"] == "no-store"


def test_report_runs_apart_from_the_review(client: Client, session: ReviewSession) -> None:
    assert client.get("/report").status_code == 404
    (session.run.folder / "report.html").write_text("<p>report</p>", encoding="utf-8")
    policy = client.get("/report").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")

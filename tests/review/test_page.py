"""The page of a review in a real browser: a whole review, two tabs, a server that was killed."""

import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anomalyncd import AnomalyNCD
from anomalyncd.results.run_folder import read_run
from anomalyncd.workflows import discover_run
from support.quick import picture, use_tiny

pytest.importorskip("fastapi", reason="the review needs pip install 'anomalyncd[review]'")
api = pytest.importorskip(
    "playwright.sync_api", reason="drives the browser; pip install playwright"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed on this machine")

START = "from anomalyncd.cli.main import main; main()"
VIEWS = ("#/", "#/class/1", "#/class/1/split", "#/ask", "#/new", "#/images", "#/map", "#/history")
SIZES = {"desktop": (1280, 800), "tablet": (820, 1180)}
PATIENCE = 60
"""Seconds that a server may take to start."""


class Server:
    """A review in a process of its own, which can be killed and started again."""

    def __init__(self, run: Path) -> None:
        self.run = run
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", START, "review", str(self.run), "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], (
            "the server does not start"
        )
        said = self.process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, said + self.process.stdout.read()
        self.link = found.group()
        for _ in range(100):  # The link is printed shortly before the server listens.
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the server prints its link and does not listen")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture(scope="module")
def discovered(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Iterator[Path]:
    """A run on 36 images; nobody writes into it."""
    folder = tmp_path_factory.mktemp("page")
    for group, kind in enumerate(("good", "line", "spot")):
        (folder / "plates" / kind).mkdir(parents=True)
        for index in range(12):
            pixels = picture(kind, 100 * group + index)
            Image.fromarray(pixels).save(folder / "plates" / kind / f"{index:03}.png")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch, folder / "cache")
        estimator = AnomalyNCD(4, backbone="tiny", weights=tiny_weights)
        discover_run(estimator, folder / "plates", folder / "run")
        yield folder / "run"


@pytest.fixture
def server(discovered: Path, tmp_path: Path) -> Iterator[Server]:
    run = tmp_path / "run"
    shutil.copytree(discovered, run)
    server = Server(run)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def looked_at(discovered: Path) -> Iterator[Server]:
    """A server of which nothing is asked that changes something."""
    server = Server(discovered)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page at its first view; whatever the console calls an error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.goto(server.link)
    page.wait_for_selector("article.card")
    yield page
    context.close()
    # Of a server that was killed, and of an action that was refused, a console may complain.
    assert [text for text in wrong if "ERR_" not in text and "409" not in text] == []


def _state(page: Any) -> dict[str, Any]:
    """What the server says of the classes, once no refit is under way."""
    page.wait_for_function(
        "async () => !(await (await fetch('/api/state')).json()).refitting", timeout=60_000
    )
    state: dict[str, Any] = page.evaluate("async () => (await fetch('/api/state')).json()")
    return state


def _names(page: Any) -> dict[int, str]:
    return {one["id"]: one["name"] for one in _state(page)["classes"]}


def _go(page: Any, view: str) -> None:
    page.evaluate("hash => { location.hash = hash; }", view)
    page.wait_for_selector("h1")


def _toast(page: Any, text: str) -> None:
    api.expect(page.locator(".toast")).to_contain_text(text)


def _open_class(page: Any, class_id: int) -> None:
    _go(page, f"#/class/{class_id}")
    page.wait_for_selector(f".rail a[href='#/class/{class_id}'][aria-current=page]")
    page.wait_for_selector(".cell[data-id]")


def _rename(page: Any, class_id: int, name: str) -> None:
    _go(page, f"#/class/{class_id}")
    page.wait_for_selector(f".rail a[href='#/class/{class_id}'][aria-current=page]")
    page.keyboard.press("l")
    page.wait_for_selector("dialog[open] input")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    _toast(page, name)


def _largest(page: Any) -> list[int]:
    """Ids of the classes of defects, the one with most regions first."""
    classes = [one for one in _state(page)["classes"] if one["id"]]
    return [one["id"] for one in sorted(classes, key=lambda one: -one["n_regions"])]


def test_whole_review(page: Any, server: Server) -> None:
    for class_id in _names(page):
        if class_id:
            _rename(page, class_id, f"kind {chr(64 + class_id)}")
    named = _names(page)
    assert {named[1], named[2], named[3]} == {"kind A", "kind B", "kind C"}

    largest, other, *_ = _largest(page)
    _open_class(page, largest)
    with page.expect_response(lambda one: "order=unsure" in one.url) as sorted_again:
        page.keyboard.press("s")
    first = sorted_again.value.json()["items"][0]["id"]
    page.wait_for_selector("button:has-text('Least sure first')[aria-pressed=true]")
    page.wait_for_selector(f".cell[data-id='{first}']:first-child")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    api.expect(page.locator(".cell.chosen")).to_have_count(2)
    chosen = page.locator(".cell.chosen").evaluate_all("all => all.map(one => +one.dataset.id)")
    page.keyboard.press(str(other))
    _toast(page, f"Moved 2 regions to {named[other]}.")
    labels = read_run(server.run).labels
    assert [labels.said()[row] for row in labels.rows(chosen)] == [other, other]
    page.wait_for_selector(".toast button:has-text('Undo')")

    before = set(_names(page))
    _open_class(page, _largest(page)[0])
    page.wait_for_selector(".candidate h2")
    first = page.locator(".candidate h2").inner_text()
    page.keyboard.press("Space")
    api.expect(page.locator(".candidate h2")).not_to_have_text(first)
    page.keyboard.press("g")
    _toast(page, "Merged")
    merged = set(_names(page))
    assert len(before - merged) == 1

    page.keyboard.press("k")
    page.wait_for_selector(".part .cell[data-id]")
    assert page.locator(".part").count() == 2
    page.keyboard.press("Enter")
    _toast(page, "Split")
    page.wait_for_selector(".rail")
    split = set(_names(page))
    assert len(split - merged) == 1

    page.keyboard.press("Control+z")
    _toast(page, "Undone: ")
    assert set(_names(page)) == merged
    page.keyboard.press("Control+Shift+z")
    _toast(page, "Done again: ")
    assert len(_names(page)) == len(split)

    names = _names(page)
    page.reload()
    page.wait_for_selector("h1")
    _go(page, "#/")
    page.wait_for_selector("article.card")
    shown = page.locator("article.card h3").all_inner_texts()
    assert sorted(shown) == sorted(names[one] if one else "false alarms" for one in names)


def test_moved_confirmed_and_made_by_mouse_and_keys(page: Any, server: Server) -> None:
    class_id = _largest(page)[0]
    _open_class(page, class_id)
    cells = page.locator(".cell[data-id]")
    first = int(cells.nth(0).get_attribute("data-id"))
    cells.nth(0).click()
    page.get_by_role("toolbar").get_by_role("button", name="New class").click()
    page.wait_for_selector("dialog[open] input")
    page.keyboard.type("<b>odd</b>")
    page.keyboard.press("Enter")
    _toast(page, "Made “<b>odd</b>” of 1 region.")
    labels = read_run(server.run).labels
    made = next(one.id for one in labels.state.in_use if one.name == "<b>odd</b>")
    assert labels.said()[labels.rows([first])[0]] == made

    page.wait_for_selector(".cell[data-id]")
    number = cells.count()
    page.keyboard.press("a")
    api.expect(page.locator(".selection-bar strong")).to_contain_text(f"{number} region")
    page.keyboard.press("Escape")
    api.expect(page.locator(".selection-bar")).to_have_count(0)
    page.keyboard.press("Enter")
    _toast(page, "Confirmed")
    said = read_run(server.run).labels.said()
    assert (said == class_id).sum() == number

    page.keyboard.press("h")
    dialog = page.get_by_role("dialog")
    api.expect(dialog).to_contain_text("merge the similar class into this one")
    page.keyboard.press("Escape")
    api.expect(dialog).to_have_count(0)


def test_to_look_at_goes_on_after_each_answer(page: Any) -> None:
    if not (to_ask := _state(page)["n_to_ask"]):
        pytest.skip("no region of this run is uncertain")
    _go(page, "#/ask")
    page.wait_for_selector(".big img")
    before = page.locator(".big img").get_attribute("src")
    page.keyboard.press("Enter")
    _toast(page, "Confirmed 1 region.")
    assert _state(page)["n_to_ask"] != to_ask or to_ask > 50
    if _state(page)["n_to_ask"]:
        api.expect(page.locator(".big img")).not_to_have_attribute("src", before)


def test_question_stays_until_it_is_answered(page: Any, server: Server) -> None:
    if _state(page)["n_to_ask"] < 3:
        pytest.skip("hardly a region of this run is uncertain")
    _go(page, "#/ask")
    page.wait_for_selector(".big img")
    shown = page.locator(".big img")
    before = shown.get_attribute("src")
    region = int(re.findall(r"/region/(\d+)", before)[0])
    labels = read_run(server.run).labels
    labels.move([region], 0)  # As another program does: the region leaves the list.
    api.expect(page.locator(".answer h2")).to_have_text("Is it “false alarms”?")
    _state(page)
    api.expect(shown).to_have_attribute("src", before)
    page.keyboard.press("1")
    _toast(page, "Moved 1 region")
    api.expect(shown).not_to_have_attribute("src", before)
    page.keyboard.press("Control+z")
    _toast(page, "Undone")
    labels.undo()
    api.expect(shown).to_have_attribute("src", before)


def test_only_what_the_page_shows_is_confirmed(page: Any, server: Server) -> None:
    largest, other, *_ = _largest(page)
    _open_class(page, largest)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    api.expect(page.locator(".cell.chosen")).to_have_count(2)
    chosen = page.locator(".cell.chosen").evaluate_all("all => all.map(one => +one.dataset.id)")
    labels = read_run(server.run).labels
    labels.move(chosen[:1], other)
    page.wait_for_selector(f".cell[data-id='{chosen[0]}']", state="detached")
    page.keyboard.press("Enter")
    _toast(page, "1 region changed class meanwhile, so nothing was confirmed")
    assert labels.said()[labels.rows(chosen)].tolist() == [other, -1]


def test_undo_in_a_message_is_for_what_it_tells_of(page: Any, server: Server) -> None:
    largest, other, *_ = _largest(page)
    _open_class(page, largest)
    cells = page.locator(".cell[data-id]")
    chosen = [int(cells.nth(place).get_attribute("data-id")) for place in range(2)]
    cells.nth(0).click()
    page.keyboard.press(str(other))
    _toast(page, "Moved 1 region")
    labels = read_run(server.run).labels
    labels.move(chosen[1:], 0)  # As another program does.
    page.locator(".toast button:has-text('Undo')").click()
    _toast(page, "is not the last one any more")
    assert labels.said()[labels.rows(chosen)].tolist() == [other, 0]


def test_text_stays_while_the_page_is_drawn_again(page: Any, server: Server) -> None:
    _open_class(page, 1)
    page.locator("#tab-definition").click()
    field = page.get_by_role("textbox", name="Description")
    field.click()
    page.keyboard.type("long thin lines")
    labels = read_run(server.run).labels
    labels.edit(1, severity="critical")  # As another program does.
    api.expect(page.get_by_role("combobox", name="Severity")).to_have_value("critical")
    api.expect(field).to_have_value("long thin lines")
    page.keyboard.press("Tab")
    _toast(page, "Saved the description.")
    assert labels.state.classes[1].description == "long thin lines"
    labels.edit(1, description="short thin lines")
    api.expect(field).to_have_value("short thin lines")


def test_parts_with_the_same_name_are_refused(page: Any) -> None:
    before = _state(page)
    _go(page, f"#/class/{_largest(page)[0]}/split")
    page.wait_for_selector(".part input")
    page.get_by_role("group", name="Number of parts").get_by_role("button", name="3").click()
    names = page.locator(".part input")
    api.expect(names).to_have_count(2)
    names.nth(0).fill("pit")
    names.nth(1).fill(" PIT ")
    problem = page.locator(".part-head .problem")
    api.expect(problem).to_have_text("Part 2 has this name already: choose another one.")
    page.get_by_role("button", name="Accept").click()
    _toast(page, "Two parts have the same name")
    assert _state(page)["version"] == before["version"]
    names.nth(1).fill("dent")
    api.expect(problem).to_have_count(0)
    page.get_by_role("button", name="Accept").click()
    _toast(page, "into 3 classes")


def test_a_key_that_is_held_down_acts_once(page: Any) -> None:
    before = set(_names(page))
    _open_class(page, _largest(page)[0])
    page.wait_for_selector(".candidate h2")
    for _ in range(3):  # After the first one, the browser calls them repeated.
        page.keyboard.down("g")
        page.wait_for_timeout(300)
    page.keyboard.up("g")
    _toast(page, "Merged")
    assert len(before - set(_names(page))) == 1
    for _ in range(3):
        page.keyboard.down("l")
    page.keyboard.up("l")
    field = page.locator("dialog[open] input")
    assert field.input_value() != "ll"
    page.keyboard.press("Escape")
    for _ in range(3):
        page.keyboard.down("ArrowRight")
    page.keyboard.up("ArrowRight")
    api.expect(page.locator(".cell[data-place='2'].chosen")).to_have_count(1)


def test_two_tabs_agree(page: Any) -> None:
    other = page.context.new_page()
    other.goto(page.url.split("#")[0])
    other.wait_for_selector("article.card")
    _rename(page, 1, "seen in both")
    card = other.locator("#card-1")
    api.expect(card).to_have_text("seen in both", timeout=1000)


def test_page_connects_again_by_itself(page: Any, server: Server) -> None:
    _rename(page, 1, "before")
    server.kill()
    page.wait_for_selector(".offline")
    server.start()
    page.wait_for_selector(".offline", state="detached")
    assert _names(page)[1] == "before"
    _rename(page, 1, "after")
    assert read_run(server.run).labels.state.classes[1].name == "after"


def test_tap_selects_and_long_press_selects_a_range(browser: Any, looked_at: Server) -> None:
    context = browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True)
    page = context.new_page()
    page.goto(looked_at.link)
    page.wait_for_selector("article.card")
    _open_class(page, _largest(page)[0])
    cells, chosen = page.locator(".cell[data-id]"), page.locator(".cell.chosen")
    cells.nth(0).tap()
    api.expect(chosen).to_have_count(1)
    cells.nth(0).tap()
    api.expect(chosen).to_have_count(0)
    assert "/class/" in page.url
    cells.nth(0).tap()
    box = cells.nth(3).bounding_box()
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    fingers = context.new_cdp_session(page)
    fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [middle]})
    api.expect(chosen).to_have_count(4)
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    api.expect(chosen).to_have_count(4)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_page_is_accessible(
    browser: Any, looked_at: Server, scheme: str, size: tuple[int, int]
) -> None:
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 1000
    )
    page = context.new_page()
    page.goto(looked_at.link)
    page.wait_for_selector("article.card")
    name = page.evaluate(
        "async () => (await (await fetch('/api/images')).json()).items.at(-1).name"
    )
    serious = []
    for view in (*VIEWS, f"#/image/{name.replace('/', '%2F')}"):
        _go(page, view)
        page.wait_for_timeout(500)
        if "class/1" in view and "split" not in view:
            page.keyboard.press("a")
            page.wait_for_selector(".selection-bar")
        serious += [(view, *one) for one in _findings(page)]
    page.keyboard.press("h")
    page.wait_for_selector("dialog[open]")
    serious += [("keys", *one) for one in _findings(page)]
    wide = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert serious == []
    assert wide <= width


def _findings(page: Any) -> list[tuple[str, str]]:
    """What axe-core calls serious or critical: the rule and the first element."""
    found = axe.Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in serious]

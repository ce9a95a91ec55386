"""Every address of a review, and what it answers to names that want to be more than names."""

import json
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from anomalyncd.labels.book import FILE as LABELS
from anomalyncd.labels.book import LabelBook
from anomalyncd.results.run_folder import Run
from anomalyncd.review.session import ReviewSession
from support.review import Client, wait_until


def ids_of(client: Client, class_id: int) -> list[int]:
    items = client.answer(f"/api/regions?view=class&class={class_id}")["items"]
    return [item["id"] for item in items]


def largest_class(client: Client) -> int:
    classes = client.answer("/api/state")["classes"]
    return max(classes[1:], key=lambda one: one["n_regions"])["id"]


def test_state_describes_the_run_and_its_classes(client: Client, session: ReviewSession) -> None:
    state = client.answer("/api/state")
    assert state["n_images"] == 12
    assert state["n_regions"] == len(session.run.regions)
    assert [one["name"] for one in state["classes"]] == ["normal", "class 1", "class 2"]
    assert sum(one["n_regions"] for one in state["classes"]) == state["n_regions"]
    assert sum(one["n_images"] for one in state["classes"]) == 12
    assert all(sum(one["trend"]) == one["n_regions"] for one in state["classes"])
    assert state["undoable"] is None
    assert state["title"] == "plates"
    for one in state["classes"]:
        assert set(one["typical"]) <= set(ids_of(client, one["id"]))


def test_untouched_review_has_the_classes_of_the_run(session: ReviewSession) -> None:
    snapshot = session.now()
    np.testing.assert_array_equal(snapshot.classes, session.run.regions["class"])
    np.testing.assert_array_equal(snapshot.image_classes, session.run.images["class"])
    chances = session.run.images[["p_0", "p_1", "p_2"]].to_numpy()
    np.testing.assert_allclose(snapshot.image_probabilities, chances, atol=1e-5)


def test_regions_come_in_pages_and_in_order(client: Client) -> None:
    class_id = largest_class(client)
    surest = client.answer(f"/api/regions?view=class&class={class_id}&order=sure")
    confidences = [item["confidence"] for item in surest["items"]]
    assert confidences == sorted(confidences, reverse=True)
    assert {item["class"] for item in surest["items"]} == {class_id}
    unsure = client.answer(f"/api/regions?view=class&class={class_id}&order=unsure")
    assert [one["id"] for one in unsure["items"]] == [one["id"] for one in surest["items"]][::-1]
    page = client.answer(f"/api/regions?view=class&class={class_id}&offset=1&limit=2")
    assert page["items"] == surest["items"][1:3]
    assert page["total"] == len(surest["items"])
    everything = client.answer("/api/regions?view=all")
    assert everything["total"] == len(everything["items"])


def test_asked_regions_are_those_of_which_nothing_was_said(client: Client) -> None:
    asked = client.answer("/api/regions?view=ask")["items"]
    assert client.answer("/api/state")["n_to_ask"] == len(asked) > 1
    client.act("confirm", regions={asked[0]["class"]: [asked[0]["id"]]})
    left = client.answer("/api/regions?view=ask")["items"]
    assert asked[0]["id"] not in [one["id"] for one in left]


def test_one_region_and_one_image_tell_everything(client: Client) -> None:
    region = ids_of(client, largest_class(client))[0]
    client.act("move", regions=[region], **{"class": 2})
    found = client.answer(f"/api/regions/{region}")
    assert found["said"] == found["class"] == 2
    assert found["confidence"] == 1
    assert found["probabilities"][0] == {"class": 2, "probability": 1.0}
    assert [line.split(" (")[0] for line in found["history"]] == ["move 1 region to class 2"]
    image = client.answer(f"/api/image?name={found['image']}")
    assert region in [one["id"] for one in image["regions"]]
    assert image["history"] == ["move 1 region to class 2"]
    assert image["map"]
    assert (image["width"], image["height"]) == (96, 72)
    other = client.answer(f"/api/image?name={image['next'] or image['previous']}")
    assert found["image"] in (other["previous"], other["next"])


def test_images_are_listed_by_class(client: Client) -> None:
    state, everything = client.answer("/api/state"), client.answer("/api/images")
    assert everything["total"] == 12
    for one in state["classes"]:
        of_class = client.answer(f"/api/images?class={one['id']}")
        assert of_class["total"] == one["n_images"]
        assert {item["class"] for item in of_class["items"]} <= {one["id"]}


def test_what_is_said_of_a_whole_image_decides_its_class(client: Client) -> None:
    name = client.answer("/api/images")["items"][0]["name"]
    client.act("move_images", images=[name], **{"class": 1})
    assert client.answer(f"/api/image?name={name}")["class"] == 1
    client.act("move_images", images=[name], **{"class": 2})
    assert client.answer(f"/api/image?name={name}")["class"] == 2


def test_regions_of_ignored_classes_do_not_count(client: Client) -> None:
    class_id = largest_class(client)
    before = client.answer("/api/state")["classes"][class_id]
    assert before["n_images"]
    client.act("edit", kind="ignored", **{"class": class_id})
    after = client.answer("/api/state")["classes"][class_id]
    assert after["n_images"] == 0
    assert after["n_regions"] == before["n_regions"]


def test_similar_classes_and_parts_of_a_class(client: Client) -> None:
    class_id = largest_class(client)
    similar = client.answer(f"/api/classes/{class_id}/similar")["items"]
    assert {one["id"] for one in similar} <= {1, 2} - {class_id}
    parts = client.answer(f"/api/classes/{class_id}/split?parts=2")["parts"]
    assert sorted(region for part in parts for region in part) == sorted(ids_of(client, class_id))
    assert len(parts) == 2
    assert len(parts[0]) >= len(parts[1]) > 0


def test_merging_and_splitting_change_counts_at_once(client: Client) -> None:
    before = {one["id"]: one["n_regions"] for one in client.answer("/api/state")["classes"]}
    client.act("merge", into=1, classes=[2])
    merged = {one["id"]: one["n_regions"] for one in client.answer("/api/state")["classes"]}
    assert merged == {0: before[0], 1: before[1] + before[2]}
    first, *others = ids_of(client, 1)
    made = client.act("split", remaining=others, parts={"dent": [first]}, **{"class": 1})
    assert made["classes"] == [3]
    parts = {one["name"]: one["n_regions"] for one in client.answer("/api/state")["classes"]}
    assert parts["dent"] == 1
    assert parts["class 1"] == len(others)


def test_undo_and_redo_are_named_and_done(client: Client) -> None:
    region = ids_of(client, largest_class(client))[0]
    before = client.answer(f"/api/regions/{region}")["class"]
    client.act("move", regions=[region], **{"class": 0})
    assert client.answer("/api/state")["undoable"] == "move 1 region to normal"
    client.act("undo")
    state = client.answer("/api/state")
    assert (state["undoable"], state["redoable"]) == (None, "move 1 region to normal")
    assert client.answer(f"/api/regions/{region}")["class"] == before
    client.act("redo")
    assert client.answer(f"/api/regions/{region}")["class"] == 0
    texts = [one["text"] for one in client.answer("/api/history")["items"]]
    said = "move 1 region to normal"
    assert texts[:3] == [f"redo: {said}", f"undo: {said}", said]


def test_what_changed_class_since_it_was_shown_is_not_confirmed(
    client: Client, session: ReviewSession, settled: Callable[[], None]
) -> None:
    shown = largest_class(client)
    one, other = ids_of(client, shown)[:2]
    session.run.labels.move([other], 3 - shown)
    before = session.labels.state.last
    refused = client.act("confirm", regions={shown: [one, other]})
    assert "changed class meanwhile, so nothing was confirmed" in refused["error"]
    assert session.labels.state.last == before
    settled()
    now = [client.answer(f"/api/regions/{region}")["class"] for region in (one, other)]
    assert now[1] == 3 - shown
    assert "error" not in client.act("confirm", regions={now[0]: [one]})
    assert session.labels.said()[session.labels.rows([one, other])].tolist() == now


def test_undo_of_an_action_leaves_what_others_did_since(
    client: Client, session: ReviewSession
) -> None:
    one, other, *left = ids_of(client, largest_class(client))
    meant = client.act("move", regions=[one], **{"class": 0})["number"]
    session.run.labels.move([other], 0)  # As another program does.
    refused = client.act("undo", number=meant)
    assert refused["error"].startswith(f"action {meant} is not the last one any more")
    assert session.labels.said()[session.labels.rows([one, other])].tolist() == [0, 0]
    session.run.labels.undo()
    assert "error" not in client.act("undo", number=meant)
    assert session.labels.said()[session.labels.rows([one, other])].tolist() == [-1, -1]
    assert "is not the last one" in client.act("undo", number=meant)["error"]
    assert left


def test_every_action_tells_its_number(client: Client, session: ReviewSession) -> None:
    class_id = largest_class(client)
    first, second, *others = ids_of(client, class_id)
    of_class = {"class": class_id}
    done = [
        client.act("new_class", name="dent", regions=[first]),
        client.act("split", remaining=others, parts={"pit": [second]}, **of_class),
        client.act("edit", severity="minor", **of_class),
        client.act("merge", into=class_id, classes=[3]),
    ]
    assert [one["number"] for one in done] == [2, 3, 4, 5]
    assert [action.number for action in session.labels.history] == [1, 2, 3, 4, 5]
    assert client.act("undo")["number"] is None


def test_map_and_assignment_cover_all_regions(client: Client, session: ReviewSession) -> None:
    projection, assigned = client.answer("/api/projection"), client.answer("/api/assignment")
    assert projection["ids"] == assigned["ids"] == session.arrays.ids.tolist()
    for axis in (projection["x"], projection["y"]):
        assert min(axis) == 0
        assert max(axis) == 1
        assert len(axis) == len(projection["ids"])
    assert client.answer("/api/projection")["x"] == projection["x"]


def test_two_pages_see_what_the_other_says(client: Client, session: ReviewSession) -> None:
    region = ids_of(client, 1)[0]
    session.run.labels.move([region], 2)  # As another program does, by a label book of its own.
    assert client.answer(f"/api/regions/{region}")["said"] == 2


def test_refused_actions_say_why(client: Client) -> None:
    headers = {"origin": str(client.base_url)}
    for body, status, words in (
        ({"action": "move", "regions": [1], "class": 77}, 409, "class 77 does not exist"),
        ({"action": "move", "regions": [999], "class": 1}, 409, "region 999 is not in the run"),
        ({"action": "confirm", "regions": {"1": [999]}}, 409, "region 999 is not in the run"),
        ({"action": "confirm", "regions": [1]}, 400, "regions cannot be used"),
        ({"action": "confirm", "regions": {"1": []}}, 400, "regions.1 cannot be used"),
        ({"action": "undo", "number": 1}, 409, "action 1 is not the last one any more"),
        ({"action": "edit", "class": 1, "name": ""}, 409, "cannot be the name"),
        ({"action": "edit", "class": 1, "colour": "red;}"}, 409, "is no colour"),
        ({"action": "edit", "class": 1, "path": "/etc"}, 400, "path cannot be used"),
        ({"action": "move", "regions": "all", "class": 1}, 400, "regions cannot be used"),
        ({"action": "dance"}, 400, "cannot be used"),
        (["move"], 400, "cannot be used"),
    ):
        response = client.post("/api/actions", json=body, headers=headers)
        assert response.status_code == status, body
        assert words in response.json()["error"], body
    assert client.post("/api/actions", content=b"{", headers=headers).status_code == 400
    assert client.answer("/api/state")["version"] == 1


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/regions/999", 404),
        ("/api/regions/x", 400),
        ("/api/regions?view=secret", 400),
        ("/api/regions?view=class", 400),
        ("/api/regions?view=class&class=99", 400),
        ("/api/regions?limit=-1", 400),
        ("/api/classes/99/similar", 400),
        ("/api/classes/1/split?parts=1", 400),
        ("/api/image?name=../../etc/passwd", 404),
        ("/picture/image.jpg?name=/etc/passwd", 404),
        ("/picture/outlines.json?name=..%2Frun", 404),
        ("/picture/region/0.jpg", 404),
        ("/static/../server.py", 404),
        ("/static/%2e%2e/server.py", 404),
        ("/openapi.json", 404),
        ("/report-of-others", 404),
    ],
)
def test_addresses_that_lead_nowhere(client: Client, address: str, status: int) -> None:
    response = client.get(address)
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def test_pictures(client: Client, session: ReviewSession) -> None:
    row = int(np.flatnonzero(session.arrays.found)[0])
    region, name = session.arrays.ids[row], session.arrays.names[session.arrays.image[row]]
    small = client.get(f"/picture/region/{region}.jpg?side=64")
    assert small.headers["content-type"] == "image/jpeg"
    assert max(Image.open(BytesIO(small.content)).size) == 64
    whole = Image.open(BytesIO(client.get(f"/picture/image.jpg?name={name}").content))
    assert whole.size == (96, 72)
    overlay = Image.open(BytesIO(client.get(f"/picture/map.png?name={name}").content))
    assert overlay.size == (96, 72)
    assert overlay.mode == "RGBA"
    assert np.asarray(overlay)[..., 3].max() > 100
    outlines = client.answer(f"/picture/outlines.json?name={name}")["regions"]
    x, y = np.array(outlines[str(region)][0]).T
    left, top, right, bottom = session.arrays.box[row]
    assert (x >= left - 1).all()
    assert (x <= right).all()
    assert (y >= top - 1).all()
    assert (y <= bottom).all()


def test_pictures_are_made_once_and_without_a_cache_too(
    client: Client, session: ReviewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/picture/region/{session.arrays.ids[0]}.jpg"
    first = client.get(address).content
    made: list[int] = []
    monkeypatch.setattr("anomalyncd.review.pictures.draw_regions", lambda *_: made.append(1) or ())
    assert client.get(address).content == first
    assert not made
    assert client.get(f"{address}?side=99").status_code == 404
    assert made == [1]


def test_pictures_come_without_a_cache(
    run_folder: object, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("ANOMALYNCD_CACHE_GB", "0")
    client: Client = request.getfixturevalue("client")
    region = client.answer("/api/regions")["items"][0]["id"]
    assert client.get(f"/picture/region/{region}.jpg").status_code == 200
    assert len(client.answer("/api/projection")["x"]) > 0


def test_pictures_of_images_that_are_gone_say_so(
    client: Client, session: ReviewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyncd.review.pictures.read_images", lambda *_: iter(()))
    response = client.get(f"/picture/region/{session.arrays.ids[0]}.jpg")
    assert response.status_code == 404
    assert "is gone" in response.json()["error"]


def test_names_are_never_read_as_html(client: Client) -> None:
    name = "<img src=x onerror=alert(1)>"
    client.act("edit", name=name, description="<script>alert(1)</script>", **{"class": 1})
    page = client.get("/label-book").text
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert client.answer("/api/state")["classes"][1]["name"] == name
    response = client.get("/api/state")
    assert response.headers["content-type"] == "application/json"


def test_attention_is_drawn_where_it_was_guided(client: Client, session: ReviewSession) -> None:
    region = int(session.arrays.ids[0])
    response = client.get(f"/picture/attention/{region}.jpg")
    guided = session.run.attention is not None
    assert response.status_code == (200 if guided else 404)
    assert client.answer(f"/api/regions/{region}")["attention"] == guided


def test_label_book_shows_examples_and_counter_examples(client: Client) -> None:
    one, other = ids_of(client, largest_class(client))[:2]
    client.act("edit", examples=[one], counter_examples=[other], severity="major", **{"class": 1})
    page = client.get("/label-book").text
    assert f"/picture/region/{one}.jpg" in page
    assert f"not class 1, region {other}" in page
    assert "major" in page
    assert "style=" not in page


def test_a_refit_says_what_it_changed(client: Client, session: ReviewSession) -> None:
    wait_until(lambda: not client.answer("/api/state")["refitting"])
    assert client.answer("/api/state")["change"] is None
    client.act("move", regions=[ids_of(client, 1)[0]], **{"class": 2})
    wait_until(lambda: client.answer("/api/state")["change"] is not None)
    change = client.answer("/api/state")["change"]
    assert change["text"].startswith("refitted")
    assert change["n_regions"] >= 0


def test_answers_are_json_in_utf_8(client: Client) -> None:
    client.act("edit", name="Kratzer, größer", **{"class": 1})
    content = client.get("/api/state").content
    assert json.loads(content.decode("utf-8"))["classes"][1]["name"] == "Kratzer, größer"


def test_nothing_is_said_of_a_run_that_was_made_again(
    client: Client, session: ReviewSession, run: Run
) -> None:
    made_again = np.zeros(len(run.regions), np.int64)
    names = ["normal", "class 1"]
    LabelBook(run.folder / LABELS, run.regions, made_again, names)
    before = session.labels.state.last
    answer = client.act("move", regions=[int(session.arrays.ids[0])], **{"class": 1})
    assert "was made again" in answer["error"]
    assert client.get("/api/state").status_code == 400
    assert session.labels.state.last == before

"""Each bad input ends with one line that names it and the remedy; run as a script, the page.

`python tests/end_to_end/test_bad_inputs.py` writes docs/guide/bad-inputs.md anew.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from end_to_end.bad_inputs import (
    base_and_normals,
    images,
    manifests,
    maps,
    masks_and_boxes,
    models,
    options,
    results,
    runs,
)
from support.bad_inputs import Case, call, link, put_in_order, row, tree, use_weights

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "bad-inputs.md"
INTRODUCTION = """# Bad inputs

Each of these mistakes ends with exit code 2 and one line on standard error, before long work; the
lines below are made by the tests.
"""
SECONDS = 10

SUBJECTS = {
    "Images": images.CASES,
    "Manifests": manifests.CASES,
    "Maps": maps.CASES,
    "Masks, boxes and places to ignore": masks_and_boxes.CASES,
    "Base sets and normal images": base_and_normals.CASES,
    "Options and weights": options.CASES,
    "Folders for results": results.CASES,
    "Predictions and models": models.CASES,
    "Finished runs": runs.CASES,
}
ALL = [case for cases in SUBJECTS.values() for case in cases]


@pytest.mark.parametrize("case", ALL, ids=[case.wrong.replace(" ", "-") for case in ALL])
def test_bad_input_is_one_line(case: Case, place: Path) -> None:
    case.make(place)
    before, started = tree(place), time.perf_counter()
    result = call(case.line)
    assert time.perf_counter() - started < SECONDS
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    for words in case.said:
        assert words in result.stderr
    assert tree(place) == before
    shown = PAGE.read_text(encoding="utf-8").splitlines()
    assert row(case, result.stderr, place) in shown, "run this file as a script"


def test_the_page_holds_every_case_and_no_other() -> None:
    assert len(ALL) >= 120
    assert len({case.wrong for case in ALL}) == len(ALL)
    listed = re.findall(r"^## (.+)$|^\| (.+?) \| `", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    expected: list[str] = []
    for subject, cases in SUBJECTS.items():
        expected += [subject, *(case.wrong for case in cases)]
    assert [subject or wrong for subject, wrong in listed] == expected


def page(order: Path, patch: pytest.MonkeyPatch) -> str:
    """The table of all cases, a section for each subject."""
    lines = [INTRODUCTION]
    use_weights(order, patch)
    for number, (subject, cases) in enumerate(SUBJECTS.items()):
        lines += [f"## {subject}\n", "| what is wrong | what is said |", "|---|---|"]
        for index, case in enumerate(cases):
            place = order.parent / f"{number}-{index}"
            link(order, place)
            patch.chdir(place)
            case.make(place)
            lines.append(row(case, call(case.line).stderr, place))
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Writes the page."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        order = Path(folder).resolve() / "order"
        put_in_order(order, patch)
        written = page(order, patch)
        patch.undo()
    PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()

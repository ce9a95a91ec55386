"""The page of the command line lists every command and option as their help does.

python tests/docs/test_command_line.py    # writes the page
"""

from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from anomalyncd.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
START = """# Command line

This page is made from the help of the commands by `python tests/docs/test_command_line.py`; do not
change it by hand. What only the [config](config.md) sets, such as the share that is called unseen
or the side of tiles, is set from [Python](../guide/python.md).
"""


def command_line() -> str:
    """The text of the page."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="anomalyncd")
    listed = get_docs_for_click(obj=command, ctx=context, name="anomalyncd")
    return f"{START}\n{listed.removeprefix('# `anomalyncd`').strip()}\n"


def test_page_lists_every_command_and_option() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == command_line()
    assert "* `--preset <str>`" in page
    assert "### `anomalyncd labels edit`" in page


if __name__ == "__main__":
    PAGE.write_text(command_line(), encoding="utf-8", newline="\n")

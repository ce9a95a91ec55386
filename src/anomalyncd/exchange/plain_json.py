"""JSON files as other programs read them."""

import json
from pathlib import Path
from typing import Any

from anomalyncd.io.writing import write_atomically


def write_plain_json(path: Path, content: Any) -> None:
    """Writes dictionaries, lists, finite numbers and text in UTF-8, completely or not at all."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")

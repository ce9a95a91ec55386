"""Names of classes: what can be read is allowed, what hides or turns other text is not."""

import pytest

from anomalyncd.errors import InputError
from anomalyncd.labels.names import checked_name


@pytest.mark.parametrize(
    "name",
    [
        "scratch",
        "\u05e9\u05e8\u05d9\u05d8\u05d4",  # Hebrew needs no marks.
        "\U0001f469\u200d\U0001f52c",
        "heart on fire \u2764\ufe0f\u200d\U0001f525",
        "\U0001f9d1\U0001f3fd\u200d\U0001f3ed worker",
    ],
)
def test_names_that_can_be_read(name: str) -> None:
    assert checked_name(f" {name} ", []) == name


@pytest.mark.parametrize(
    ("name", "character"),
    [
        ("\u202escratch", "U+202E (right-to-left override)"),
        ("a\u2066b", "U+2066 (left-to-right isolate)"),
        ("scratch\u200f", "U+200F (right-to-left mark)"),
        ("scra\u200dtch", "U+200D (zero width joiner)"),
        ("\U0001f469\u200d", "U+200D (zero width joiner)"),
        ("\u200d\U0001f469", "U+200D (zero width joiner)"),
        ("pit\x07", "U+0007 (without a name)"),
    ],
)
def test_the_character_that_is_refused_is_named(name: str, character: str) -> None:
    with pytest.raises(InputError) as refused:
        checked_name(name, [])
    assert character in str(refused.value)
    assert str(refused.value).isprintable()

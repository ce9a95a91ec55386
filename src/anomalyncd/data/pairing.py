"""Files paired with parts by name, never by position."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from anomalyncd.data.files import and_more
from anomalyncd.data.parts import Parts
from anomalyncd.errors import InputError


def refuse_strangers(
    files: Mapping[str, Path | str], parts: Parts, what: str, expected: Sequence[str] = ()
) -> None:
    """Raises if no file belongs to a part, or some file belongs to none.

    Args:
        files: Name to file.
        parts: The parts.
        what: What the files are, for messages: "map", "mask".
        expected: Names that are no parts but may have files all the same.

    Raises:
        InputError: Names the first file without a part and where its image is expected.
    """
    if files and not set(files) & set(parts.names):
        raise InputError(
            f"no {what} belongs to a part: {what}s are named like '{min(files)}', "
            f"parts like '{parts.names[0]}'; name each {what} like its image"
        )
    strangers = sorted(set(files) - set(parts.names) - set(expected))
    if not strangers:
        return
    first = strangers[0]
    where = f" under '{parts.root}'" if parts.root else " among the parts"
    raise InputError(
        f"{what} '{files[first]}'{and_more(len(strangers))} has no image; "
        f"expected {first}.(png|jpg|tif|...){where}{_nearest(first, files, parts)}"
    )


def refuse_missing(
    files: Collection[str], parts: Parts, what: str, where: str, suffixes: Collection[str]
) -> None:
    """Raises if a part has no file.

    Args:
        files: Names of the files.
        parts: The parts.
        what: What the files are, for messages.
        where: Where they were looked for, for messages.
        suffixes: Suffixes the file may have, with the dot.

    Raises:
        InputError: Names the first part without a file and counts the others.
    """
    missing = [name for name in parts.names if name not in files]
    if missing:
        endings = "|".join(sorted(suffix[1:] for suffix in suffixes))
        raise InputError(
            f"image '{missing[0]}'{and_more(len(missing))} has no {what}; "
            f"expected {missing[0]}.({endings}) {where}"
        )


def _nearest(name: str, files: Collection[str], parts: Parts) -> str:
    # Most misses are a matter of case, of a typing error or of one folder level.
    alone = {other.casefold(): other for other in parts.names if other not in files}
    close = get_close_matches(name.casefold(), alone, n=1)
    return f"; the image nearest in name is '{alone[close[0]]}'" if close else ""

"""Files paired with images by name, never by position."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.io.files import and_more


def refuse_strangers(
    files: Mapping[str, Path | str], images: ImageSet, what: str, expected: Sequence[str] = ()
) -> None:
    """Raises if no file belongs to a image, or some file belongs to none.

    Args:
        files: Name to file.
        images: The images.
        what: What the files are, for messages: "map", "mask".
        expected: Names that are no images but may have files all the same.

    Raises:
        InputError: Names the first file without a image and where its image is expected.
    """
    if files and not set(files) & set(images.names):
        raise InputError(
            f"no {what} belongs to a image: {what}s are named like '{min(files)}', "
            f"images like '{images.names[0]}'; name each {what} like its image"
        )
    strangers = sorted(set(files) - set(images.names) - set(expected))
    if not strangers:
        return
    first = strangers[0]
    where = f" under '{images.root}'" if images.root else " among the images"
    raise InputError(
        f"{what} '{files[first]}'{and_more(len(strangers))} has no image; "
        f"expected {first}.(png|jpg|tif|...){where}{_nearest(first, files, images)}"
    )


def refuse_missing(
    files: Collection[str], images: ImageSet, what: str, where: str, suffixes: Collection[str]
) -> None:
    """Raises if a image has no file.

    Args:
        files: Names of the files.
        images: The images.
        what: What the files are, for messages.
        where: Where they were looked for, for messages.
        suffixes: Suffixes the file may have, with the dot.

    Raises:
        InputError: Names the first image without a file and counts the others.
    """
    missing = [name for name in images.names if name not in files]
    if missing:
        endings = "|".join(sorted(suffix[1:] for suffix in suffixes))
        raise InputError(
            f"image '{missing[0]}'{and_more(len(missing))} has no {what}; "
            f"expected {missing[0]}.({endings}) {where}"
        )


def _nearest(name: str, files: Collection[str], images: ImageSet) -> str:
    # Most misses are a matter of case, of a typing error or of one folder level.
    alone = {other.casefold(): other for other in images.names if other not in files}
    close = get_close_matches(name.casefold(), alone, n=1)
    return f"; the image nearest in name is '{alone[close[0]]}'" if close else ""

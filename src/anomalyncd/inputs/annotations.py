"""Annotations that labelling tools write, found and paired with images."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.inputs.annotation_formats import CLASS_LISTS, FORMATS, read_file
from anomalyncd.inputs.boxes import Shapes
from anomalyncd.inputs.pairing import refuse_strangers
from anomalyncd.io.files import files_by_name, name_of

_SUFFIXES = (".json", ".xml", ".txt")


def is_annotations(path: Path, images: ImageSet) -> bool:
    """Whether a path is a file of annotations, or a folder of them without any mask."""
    if path.is_file():
        return path.suffix.lower() in (".json", ".xml")
    if not path.is_dir() or not _files(path, images.names):
        return False
    pictures = files_by_name(path, IMAGE_SUFFIXES, "mask").values()
    own = {source.resolve() for source in images.sources if isinstance(source, Path)}
    return all(picture.resolve() in own for picture in pictures)


def read_annotations(
    path: str | Path, images: ImageSet, expected: Sequence[str] = ()
) -> dict[str, Shapes]:
    """Reads the annotations of images in any known format.

    Polygons, boxes, circles, ellipses, lines, and masks in run-length encoding are read; points
    are not. A format is recognised by its content.

    Args:
        path: A file of COCO, Label Studio or CVAT for images; or a folder of YOLO, Pascal VOC or
            labelme, with a file named like each image.
        images: The images.
        expected: Further names that may have annotations although they are not among the images.

    Returns:
        The shapes of each image by its name; images without a shape are left out.

    Raises:
        InputError: The format is unknown, a file is damaged, a shape is invalid or empty, or an
            image with shapes is not among the images or is named ambiguously.
    """
    source = Path(path).expanduser()
    found: dict[str, Shapes] = {}
    texts: dict[str, str] = {}
    for name, text, shapes in read_shapes(source, [*images.names, *expected]):
        if name in found:
            if texts[name] != text or found[name].size != shapes.size:
                raise InputError(
                    f"'{texts[name]}' and '{text}' in '{source}' are both image "
                    f"'{name}', or of different sizes; keep one of them"
                )
            shapes = replace(shapes, shapes=found[name].shapes + shapes.shapes)
        found[name], texts[name] = shapes, text
    if not found:
        raise InputError(f"no shape is drawn in '{source}'; give annotations that mark the defects")
    refuse_strangers(texts, images, "description", expected)
    return {name: shapes for name, shapes in found.items() if name in set(images.names)}


def read_shapes(source: Path, names: Sequence[str]) -> Iterator[tuple[str, str, Shapes]]:
    """Reads annotations in any known format and finds the image of each.

    Args:
        source: See `read_annotations`.
        names: Names of the images.

    Yields:
        The name of an image, or the name in the file if none of the images has it; the text that
        the file calls it; and its shapes, at least one.

    Raises:
        InputError: The format is unknown, a file is damaged, or a name fits several images.
    """
    files = {source.stem: source} if source.is_file() else _files(source, names)
    if not files:
        raise InputError(f"no annotations for these images in '{source}'; expected {FORMATS}")
    finder = ImageNames(names)
    for stem, file in files.items():
        for candidates, shapes in read_file(file, stem, needed=source.is_file()):
            if shapes.shapes:
                yield finder.find(candidates, file), candidates[0], shapes


def holds_annotations(folder: Path, names: Sequence[str]) -> bool:
    """Whether a folder holds a file of annotations that is named like one of the images."""
    return bool(_files(folder, names))


class ImageNames:
    """Finds images by the names and paths that tools give them."""

    def __init__(self, names: Iterable[str]) -> None:
        """Takes the names of all images."""
        self._names = set(names)
        self._last: dict[str, list[str]] = {}
        for name in self._names:
            self._last.setdefault(name.rsplit("/", 1)[-1], []).append(name)

    def find(self, candidates: Sequence[str], file: Path) -> str:
        """The image that a name or path means; the name itself if there is none.

        Args:
            candidates: Names and paths of one image, the most certain first.
            file: The file that names it, for messages.

        Raises:
            InputError: A name fits several images.
        """
        for text in candidates:
            name = _name(text)
            if name in self._names:
                return name
            alike = self._last.get(name.rsplit("/", 1)[-1], [])
            ends = [one for one in alike if f"/{name}".endswith(f"/{one}")]
            fitting = (
                [max(ends, key=len)] if ends else [one for one in alike if one.endswith(f"/{name}")]
            )
            if len(fitting) > 1:
                raise InputError(
                    f"'{file}' names an image '{text}', which fits '{min(fitting)}' and "
                    f"'{max(fitting)}'; write the folder of the image as well"
                )
            if fitting:
                return fitting[0]
        return _name(candidates[0])


def _name(text: str) -> str:
    return name_of(Path(text.strip().replace("\\", "/")), IMAGE_SUFFIXES).lstrip("/")


def _files(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The annotation files of a folder, if any is named like an image."""
    last = {name.rsplit("/", 1)[-1] for name in names}
    for suffix in _SUFFIXES:
        found = files_by_name(folder, frozenset({suffix}), "annotation")
        if any(name.rsplit("/", 1)[-1] in last for name in found):
            return {name: path for name, path in found.items() if path.name not in CLASS_LISTS}
    return {}

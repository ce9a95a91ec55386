"""Masks that mark defects or other places on images: image files, boxes, or annotations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from anomalyncd.errors import InputError
from anomalyncd.inputs.annotations import read_annotations
from anomalyncd.inputs.boxes import Shapes, draw_mask, read_boxes
from anomalyncd.inputs.findings import Findings
from anomalyncd.inputs.image_files import IMAGE_SUFFIXES
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.manifest import MASK, Manifest
from anomalyncd.inputs.pairing import (
    masks_by_image,
    refuse_other_aspect,
    refuse_strangers,
    training_names,
)
from anomalyncd.io.decoding import decode, upright
from anomalyncd.io.files import and_more, files_by_name, require_folder
from anomalyncd.runtime.wording import counted

MaskSource: TypeAlias = Path | tuple[Path, ...] | Shapes | NDArray[np.float64]

_MOST_CLASS_INDICES = 15
_FEWEST_EDGE_VALUES = 3
_VOID = 255
_NOISE = 0.2
"""Share of the highest value below which values that spread are noise; a JPEG file of quality 75
spreads white by less, and defects of 60 beside 240 lie above it."""
_MOST_MARKED = 0.6
_FEWEST_BOXES, _PERCENT = 4, 100


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of some images, in the order of the images; `masks[i]` reads one, HxW bool."""

    images: ImageSet
    """The images."""
    sources: tuple[MaskSource | None, ...]
    """For each image the file of its mask or several files, of which all marks count; shapes; or
    boxes (n, 4): left, top, right, bottom in pixels of the image. None for an image without a
    defect."""
    ignored: "Masks | None" = None
    """Where nothing counts as a defect."""
    turns: tuple[int, ...] = ()
    """For each image the EXIF orientation that makes the file of its mask upright; empty if all
    files are."""
    labels: tuple[str, ...] | None = None
    """For each image the class of its shapes, for evaluation: "good" without a shape, "combined"
    where shapes are of several classes; None where the masks name no classes."""

    @classmethod
    def from_folder(cls, folder: str | Path, images: ImageSet) -> "Masks":
        """Pairs the masks of a folder with images by relative name.

        Args:
            folder: Holds NAME_mask.png or NAME.png (any image format) for each image NAME with a
                defect, as `ground_truth/` of MVTec AD does; or several masks, see `masks_by_image`.
            images: The images; one without a mask has no defect. Masks of images in the folder
                `train/` beside `test/` are ignored.

        Returns:
            The masks; none of them has been opened.

        Raises:
            InputError: There is no such folder, no mask belongs to an image, or a mask is doubled,
                without an image, or fits two images.
        """
        root = require_folder(folder)
        files = files_by_name(root, IMAGE_SUFFIXES, "mask")
        if not files:
            raise InputError(f"no mask under '{root}'; expected files such as NAME_mask.png")
        training = training_names(images)
        paired = masks_by_image(files, {*images.names, *training})
        first = {name: one[0] if isinstance(one, tuple) else one for name, one in paired.items()}
        refuse_strangers(first, images, "mask", training)
        return cls(images, tuple(paired.get(name) for name in images.names))

    @classmethod
    def from_manifest(cls, path: str | Path, images: ImageSet) -> "Masks":
        """Takes the masks that the column `mask` of a manifest names.

        Args:
            path: The manifest; a row without a mask has no defect.
            images: The images of that manifest, or images of the same names.

        Returns:
            The masks; none of them has been opened.

        Raises:
            InputError: See `Manifest`; or an image is not in the manifest.
        """
        manifest = Manifest.read(path)
        files = dict(zip(manifest.names, manifest.files(MASK), strict=True))
        lacking = [name for name in images.names if name not in files]
        if lacking:
            raise InputError(
                f"image '{lacking[0]}'{and_more(len(lacking))} has no row in manifest "
                f"'{manifest.path}', where images are named like '{manifest.names[0]}'; add it"
            )
        return cls(images, tuple(files[name] for name in images.names))

    @classmethod
    def from_boxes(cls, path: str | Path, images: ImageSet) -> "Masks":
        """Takes boxes in place of masks.

        Args:
            path: A table, see `read_boxes`.
            images: The images; one without a box has no defect.

        Raises:
            InputError: See `read_boxes`.
        """
        boxes = read_boxes(path, images)
        shared = boxes.get(None)
        return cls(images, tuple(boxes.get(name, shared) for name in images.names))

    @classmethod
    def from_annotations(cls, path: str | Path, images: ImageSet) -> "Masks":
        """Takes the shapes that an annotation tool wrote, with the names of their classes.

        Args:
            path: A file or folder, see `read_annotations`.
            images: The images; one without a shape has no defect.

        Raises:
            InputError: See `read_annotations`.
        """
        found = read_annotations(path, images, training_names(images))
        shapes = tuple(found.get(name) for name in images.names)
        labels = tuple("good" if one is None else one.label for one in shapes)
        return cls(images, shapes, labels=labels)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """Returns one mask, HxW bool, at the size of its file, or of its image without a file."""
        source = self.sources[index]
        if isinstance(source, Path | tuple):
            mask = self._upright(_read_joined(source)[0], index)
        elif isinstance(source, Shapes) and source.size is not None:
            mask = source.mask(*source.size)
        else:
            height, width = self.images.image(index).shape[:2]
            mask = draw_mask(source, height, width)
        ignored = None if self.ignored is None else self.ignored.at_size(index, mask.shape)
        return mask if ignored is None else mask & ~ignored

    def _upright(self, mask: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
        """A mask as its file holds it, turned as its image was."""
        return upright(mask, self.turns[index] if self.turns else 1)

    def at_size(self, index: int, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Returns one mask at another size, None where nothing is marked.

        Args:
            index: Index of the image.
            shape: Height and width of the result.

        Returns:
            True in every pixel that the mask covers at least in part.
        """
        if self.sources[index] is None:
            return None
        levels = self[index].astype(np.float32)
        resized = cv2.resize(levels, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        return np.asarray(resized > 0)

    def select(self, indices: Sequence[int]) -> "Masks":
        """Returns the masks of the images at `indices`, in that order."""
        sources = tuple(self.sources[index] for index in indices)
        turns = tuple(self.turns[index] for index in indices) if self.turns else ()
        ignored = None if self.ignored is None else self.ignored.select(indices)
        labels = None if self.labels is None else tuple(self.labels[index] for index in indices)
        return Masks(self.images.select(indices), sources, ignored, turns, labels)

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        return (self[index] for index in range(len(self)))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Reads a mask from an image file.

    - Every value above 0 marks a defect, in any channel; of a palette image every index above 0,
      whatever its colour. Transparent pixels mark nothing.
    - 255 beside class indices of at most 15, or beside other indices of a palette, is void and
      marks nothing.
    - Where values spread, less than a fifth of the highest value is noise. They do so in JPEG
      files, and in smoothed masks, in which few pixels between 0 and the highest value have
      neighbours of the same value. In a smoothed mask, each connected piece is marked where it is
      above half of its own highest value.

    Args:
        path: A file in any image format.

    Returns:
        HxW bool, True where something is marked.

    Raises:
        InputError: The file is missing, damaged or empty, or holds NaN.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[NDArray[np.bool_], str]:
    """A mask, and what had to be assumed to read it: "void", "JPEG" or nothing."""
    values, kind = _values(path)
    peak = values.max()
    if not np.isfinite(peak):
        raise InputError(
            f"mask '{path}' holds NaN or infinite values; save it as a black and white .png"
        )
    between = (values > 0) & (values < peak)
    if not between.any() or values.dtype.kind == "b":
        return values > 0, ""
    if kind == "JPEG":
        return np.asarray(values > _NOISE * peak), "JPEG"
    if kind == "palette":
        return (between, "void") if peak == _VOID else (values > 0, "")
    flat = _share_in_squares(values, between)
    if values.dtype.kind in "iu" and values[between].max() <= _MOST_CLASS_INDICES:
        # Resizing leaves single pixels of low values around marks of 255; those are no classes.
        return (between, "void") if peak == _VOID and flat >= 0.5 else (values > 0, "")
    smoothed = flat < 0.5 and len(np.unique(values[between])) >= _FEWEST_EDGE_VALUES
    return (_marked_by_piece(values) if smoothed else values > 0), ""


def _values(path: Path) -> tuple[NDArray[Any], str]:
    """One value a pixel, 0 where nothing is marked; and "JPEG", "palette" or nothing."""
    kind = ""
    try:
        with Image.open(path) as image:
            kind = "JPEG" if image.format in ("JPEG", "MPO") else ""
            if image.mode in ("P", "PA"):
                return _palette_values(image)
    except Exception:  # Pillow raises a dozen types; `decode` names the fault.
        pass
    pixels = decode(path, "mask")
    if pixels.ndim == 2:
        return pixels, kind
    values = pixels[..., :3].max(axis=2)
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3]
        if not values.any():  # Black strokes on a transparent ground.
            return opacity, kind
        values = np.ceil(values * (opacity / max(opacity.max(), 1))).astype(values.dtype)
    return values, kind


def _palette_values(image: Image.Image) -> tuple[NDArray[np.uint8], str]:
    """The indices, or the greys of a palette that rises from black; 0 where it is transparent."""
    upright = ImageOps.exif_transpose(image)
    indices = np.array(upright)
    indices = indices if indices.ndim == 2 else indices[..., 0]
    opaque = np.array(upright.convert("RGBA"))[..., 3] > 0
    used = np.unique(indices)
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    greys = colours[used[used < len(colours)]].astype(int)
    is_grey = (greys == greys[:, :1]).all() and (np.diff(greys[:, 0]) > 0).all()
    if len(greys) == len(used) > 1 and is_grey and colours[0].max() == 0:
        return colours[indices, 0] * opaque, ""
    return indices * opaque, "palette"


def _share_in_squares(values: NDArray[Any], chosen: NDArray[np.bool_]) -> float:
    """The share of the chosen pixels that are in a square of four pixels of one value.

    Areas of one class are full of such squares, and smoothed edges have almost none.
    """
    alike = (values[1:, 1:] == values[:-1, 1:]) & (values[1:, 1:] == values[1:, :-1])
    squares = np.zeros(values.shape, np.uint8)
    squares[1:, 1:] = alike & (values[1:, 1:] == values[:-1, :-1])
    flat = cv2.dilate(squares, np.ones((2, 2), np.uint8), anchor=(0, 0)) > 0
    return np.count_nonzero(flat & chosen) / np.count_nonzero(chosen)


def _marked_by_piece(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where each connected piece above the noise exceeds half of its own highest value."""
    above = (values > _NOISE * values.max()).astype(np.uint8)
    count, pieces = cv2.connectedComponents(above, connectivity=8)
    peaks = np.asarray(ndimage.maximum(values, pieces, np.arange(count)))
    return np.asarray((above > 0) & (values > peaks[pieces] / 2))


def _read_joined(source: Path | tuple[Path, ...]) -> tuple[NDArray[np.bool_], str]:
    """The union of the masks of one image, and what had to be assumed; see `_read`."""
    paths = source if isinstance(source, tuple) else (source,)
    joined, assumed = _read(paths[0])
    for path in paths[1:]:
        mask, further = _read(path)
        if mask.shape != joined.shape:
            raise InputError(
                f"the masks '{paths[0]}' and '{path}' of one image differ in size; save both at "
                "the size of the image"
            )
        joined, assumed = joined | mask, assumed or further
    return joined, assumed


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """Encodes a mask without loss as a PNG file of one bit a pixel.

    Args:
        mask: (H, W), bool.

    Returns:
        The contents of the file; True is white.
    """
    _, code = cv2.imencode(".png", mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
    return code.tobytes()


def check_masks(
    masks: Masks,
    sizes: NDArray[np.int64],
    findings: Findings | None = None,
    what: str = "masks",
    places: bool = False,
) -> None:
    """Reads every mask once, so that an unusable one is found before long work.

    Args:
        masks: The masks; a few are in memory at a time, and a file for all images is read once.
        sizes: Height and width of the images, (N, 2), px; 0 x 0 where an image cannot be read.
        findings: Where faults, warnings and facts go; by default the first fault is raised.
        what: What the masks are, for the facts.
        places: Whether they mark places and not defects: they may have another aspect ratio than
            their image, and mark most of it.

    Raises:
        InputError: A mask is unusable or has another aspect ratio than its image; names the first
            and counts the others. Or most of the images is marked.
    """
    findings = findings or Findings()
    marked = [
        index for index, size in enumerate(sizes) if masks.sources[index] is not None and size.all()
    ]
    distinct: dict[object, int] = {}
    for index in marked:
        distinct.setdefault(_file_or_index(masks, index), index)
    indices = list(distinct.values())

    def read(number: int) -> tuple[float, str]:
        index = indices[number]
        source, size, assumed = masks.sources[index], sizes[index], ""
        if isinstance(source, Path | tuple):
            mask, assumed = _read_joined(source)
            mask = masks._upright(mask, index)
        else:
            if isinstance(source, Shapes):
                source.refuse_misfit(masks.images.names[index], size)
            mask = draw_mask(source, *size)
        if not places:
            refuse_other_aspect(mask.shape, masks.images.names[index], size)
        return np.count_nonzero(mask) / mask.size, assumed

    outcomes = findings.read_each(read, len(indices), "Checking masks")
    read_ones = {
        item: outcome
        for item, outcome in zip(distinct, outcomes, strict=True)
        if outcome is not None
    }
    assumed = [(masks.sources[distinct[item]], said) for item, (_, said) in read_ones.items()]
    _warn_of_assumptions(assumed, findings)
    _warn_of_percent(masks, sizes, findings)
    items = (_file_or_index(masks, index) for index in marked)
    covered = [share for item in items if item in read_ones and (share := read_ones[item][0])]
    if covered and not places:
        findings.attempt(lambda: _refuse_mostly_marked(covered, what))
    fact = f"{len(covered):,} of {counted(len(masks), 'image')}"
    if covered:
        fact += f", on average {np.mean(covered):.2%} of the pixels of these images"
    if n_joined := sum(isinstance(source, tuple) for source in masks.sources):
        fact += f"; {n_joined} of them have several masks, which are joined"
    findings.add_fact(what, fact)


def _file_or_index(masks: Masks, index: int) -> object:
    """The same for all images that share a file; boxes cover another share of each image."""
    source = masks.sources[index]
    return source if isinstance(source, Path | tuple) else index


def _warn_of_percent(masks: Masks, sizes: NDArray[np.int64], findings: Findings) -> None:
    """Warns where boxes of large images end at 100, as those do that Label Studio exports."""
    points = [
        shape.points
        for source in masks.sources
        if isinstance(source, Shapes) and not source.relative
        for shape in source.shapes
    ]
    if len(points) < _FEWEST_BOXES or sizes.max() < 4 * _PERCENT:
        return
    highest = max(float(one.max()) for one in points)
    if _PERCENT / 2 < highest <= _PERCENT:
        findings.warn(
            f"no box reaches beyond pixel {highest:.0f} of images of {sizes.max()} pixels. If the "
            "boxes are in percent, as in exports of Label Studio, convert them to pixels."
        )


def _refuse_mostly_marked(covered: list[float], what: str) -> None:
    if (share := float(np.median(covered))) > _MOST_MARKED:
        raise InputError(
            f"the {what} mark most of the images (half of them on {share:.0%} of their area "
            "or more); give masks that are 0 where there is no defect: inverted masks have to be "
            "inverted once more, and the area of the product goes into `foreground`"
        )


def _warn_of_assumptions(assumed: Sequence[tuple[object, str]], findings: Findings) -> None:
    texts = {
        "JPEG": "whose values spread around each mark: values above a fifth of the highest one "
        "count as a defect. Edges and faint marks may be lost; save masks as .png",
        "void": "hold 255 beside the indices of classes: 255 counts as void, neither a defect nor "
        "a class. If it marks defects, save all defects with the same value",
    }
    for kind, text in texts.items():
        first = [source for source, said in assumed if said == kind]
        if first:
            path = first[0][0] if isinstance(first[0], tuple) else first[0]
            files = "are JPEG files, " if kind == "JPEG" else ""
            findings.warn(f"{len(first)} masks, for instance '{path}', {files}{text}.")

"""Masks that mark defects or other places on images: image files, boxes, or annotations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.manifest import MASK, Manifest
from anomalyncd.images.pixels import IMAGE_SUFFIXES
from anomalyncd.inputs.annotations import read_annotations
from anomalyncd.inputs.boxes import Shape, Shapes, draw_mask, read_boxes
from anomalyncd.inputs.mask_files import decode_mask, read_by_kind, read_joined
from anomalyncd.inputs.pairing import (
    masks_by_image,
    refuse_other_aspect,
    refuse_strangers,
    training_names,
)
from anomalyncd.io.decoding import upright
from anomalyncd.io.files import and_more, files_by_name, require_folder
from anomalyncd.runtime.wording import counted

MaskSource: TypeAlias = Path | tuple[Path, ...] | Shapes | NDArray[np.float64] | bytes

_MOST_MARKED = 0.6
_FEWEST_BOXES, _PERCENT = 4, 100


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of some images, in the order of the images; `masks[i]` reads one, HxW bool."""

    images: ImageSet
    """The images."""
    sources: tuple[MaskSource | None, ...]
    """For each image the file of its mask or several files, of which all marks count; shapes; or
    boxes (n, 4): left, top, right, bottom in pixels of the image; or a mask in memory, see
    `encode_mask`. None for an image without a defect."""
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
            mask = self._upright(read_joined(source)[0], index)
        elif isinstance(source, bytes):
            mask = decode_mask(source)
        else:
            mask = draw_mask(source, *self._drawn_size(index))
        return self._not_ignored(mask, index)

    def by_kind(self, index: int) -> dict[str, NDArray[np.bool_]] | None:
        """Returns the mask of each kind of defect on an image, for evaluation.

        Args:
            index: Index of the image.

        Returns:
            Name of the kind, "" where it has none, to its mask, HxW bool, as of `masks[index]`;
            kinds without a pixel are left out. The kinds are the classes of annotations, or the
            values of mask files as text. None where the mask names no kinds, see `read_kinds`.
        """
        source = self.sources[index]
        if source is None:
            return {}
        if isinstance(source, Path | tuple):
            numbered = read_by_kind(source)
            if numbered is None:
                return None
            kinds = {str(one): self._upright(mask, index) for one, mask in numbered.items()}
        elif isinstance(source, Shapes) and self.labels is not None:
            of_kind: dict[str, list[Shape]] = {}
            for shape in source.shapes:
                of_kind.setdefault(shape.label, []).append(shape)
            size = self._drawn_size(index)
            kinds = {
                kind: replace(source, shapes=tuple(shapes)).mask(*size)
                for kind, shapes in of_kind.items()
            }
        else:
            return None
        kinds = {kind: self._not_ignored(mask, index) for kind, mask in kinds.items()}
        return {kind: mask for kind, mask in kinds.items() if mask.any()}

    def _drawn_size(self, index: int) -> tuple[int, int]:
        """Height and width of a mask that no file holds."""
        source = self.sources[index]
        if isinstance(source, Shapes) and source.size is not None:
            return source.size
        height, width = self.images.image(index).shape[:2]
        return height, width

    def _not_ignored(self, mask: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
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

    @property
    def shared(self) -> MaskSource | None:
        """The one source that was given for all images; None where each has its own."""
        first = self.sources[0]
        return first if all(source is first for source in self.sources) else None

    def select(self, indices: Sequence[int]) -> "Masks":
        """Returns the masks of the images at `indices`, in that order."""
        sources = tuple(self.sources[index] for index in indices)
        turns = tuple(self.turns[index] for index in indices) if self.turns else ()
        ignored = None if self.ignored is None else self.ignored.select(indices)
        labels = None if self.labels is None else tuple(self.labels[index] for index in indices)
        return Masks(self.images.select(indices), sources, ignored, turns, labels)

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        return (self[index] for index in range(len(self)))


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
            mask, assumed = read_joined(source)
            mask = masks._upright(mask, index)
        elif isinstance(source, bytes):
            mask = decode_mask(source)
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
        "JPEG": (
            ("mask is a JPEG file", "masks are JPEG files"),
            "values spread around each mark there, and those above a fifth of the highest one "
            "count as a defect. Edges and faint marks may be lost; save masks as .png",
        ),
        "void": (
            ("mask holds 255", "masks hold 255"),
            "255 beside the indices of classes counts as void, neither a defect nor a class. If "
            "it marks defects, save all defects with the same value",
        ),
    }
    for kind, ((one, several), text) in texts.items():
        first = [source for source, said in assumed if said == kind]
        if first:
            path = first[0][0] if isinstance(first[0], tuple) else first[0]
            findings.warn(f"{counted(len(first), one, several)}, for instance '{path}': {text}.")

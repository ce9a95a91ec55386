"""Masks that mark defects or other places on images: black and white image files, or boxes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.inputs.boxes import mask_of_boxes, read_boxes
from anomalyncd.inputs.findings import Findings
from anomalyncd.inputs.image_files import IMAGE_SUFFIXES, to_rgb
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.manifest import MASK, Manifest
from anomalyncd.inputs.pairing import refuse_other_aspect, refuse_strangers
from anomalyncd.io.decoding import decode
from anomalyncd.io.files import and_more, files_by_name, require_folder
from anomalyncd.runtime.wording import counted

_ENDING = "_mask"
_MOST_CLASS_INDICES = 15


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of some images, in the order of the images; `masks[i]` reads one, HxW bool."""

    images: ImageSet
    """The images."""
    sources: tuple[Path | NDArray[np.float64] | None, ...]
    """For each image the file of its mask, or boxes (n, 4): left, top, right, bottom in pixels of
    the image; None for an image without a defect."""
    ignored: "Masks | None" = None
    """Where nothing counts as a defect."""

    @classmethod
    def from_folder(cls, folder: str | Path, images: ImageSet) -> "Masks":
        """Pairs the masks of a folder with images by relative name.

        Args:
            folder: Holds NAME_mask.png or NAME.png (any image format) for each image NAME with a
                defect, as `ground_truth/` of MVTec AD does.
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
        training = _training_names(images)
        paired = _by_image(files, {*images.names, *training})
        refuse_strangers(paired, images, "mask", training)
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

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """Returns one mask, HxW bool, at the size of its file, or of its image without a file."""
        source = self.sources[index]
        if isinstance(source, Path):
            mask = read_mask(source)
        else:
            height, width = self.images.image(index).shape[:2]
            mask = mask_of_boxes(np.empty((0, 4)) if source is None else source, height, width)
        ignored = None if self.ignored is None else self.ignored.at_size(index, mask.shape)
        return mask if ignored is None else mask & ~ignored

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

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        return (self[index] for index in range(len(self)))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Reads a mask from an image file.

    A pixel is marked if its brightest channel is above half of the largest value in the file, so
    0/1, 0/255, smoothed and coloured masks all mean the same. Integers of at most 15 are taken for
    class indices, and every one above 0 is marked.

    Args:
        path: A file in any image format; transparent pixels count as black.

    Returns:
        HxW bool, True where something is marked.

    Raises:
        InputError: The file is missing, damaged or empty, or holds NaN.
    """
    pixels = decode(path, "mask")
    values = pixels if pixels.ndim == 2 else to_rgb(pixels, str(path)).max(axis=2)
    highest = values.max()
    if not np.isfinite(highest):
        raise InputError(
            f"mask '{path}' holds NaN or infinite values; save it as a black and white .png"
        )
    indices = values.dtype.kind in "iu" and highest <= _MOST_CLASS_INDICES
    return np.asarray(values > (0 if indices else highest / 2))


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
    any_aspect: bool = False,
) -> None:
    """Reads every mask once, so that an unusable one is found before long work.

    Args:
        masks: The masks; a few are in memory at a time, and a file for all images is read once.
        sizes: Height and width of the images, (N, 2), px; 0 x 0 where an image cannot be read.
        findings: Where faults and facts go; by default the first fault is raised.
        what: What the masks are, for the facts.
        any_aspect: Whether a mask may have another aspect ratio than its image.

    Raises:
        InputError: A mask is unusable or has another aspect ratio than its image; names the first
            and counts the others.
    """
    findings = findings or Findings()
    marked = [
        index for index, size in enumerate(sizes) if masks.sources[index] is not None and size.all()
    ]
    distinct: dict[object, int] = {}
    for index in marked:
        distinct.setdefault(_file_or_index(masks, index), index)
    indices = list(distinct.values())

    def read(number: int) -> float:
        index = indices[number]
        source, size = masks.sources[index], sizes[index]
        assert source is not None
        mask = read_mask(source) if isinstance(source, Path) else mask_of_boxes(source, *size)
        if not any_aspect:
            refuse_other_aspect(mask.shape, masks.images.names[index], size)
        return np.count_nonzero(mask) / mask.size

    outcomes = findings.read_each(read, len(indices), "Checking masks")
    shares = dict(zip(distinct, outcomes, strict=True))
    covered = [share for index in marked if (share := shares[_file_or_index(masks, index)])]
    fact = f"{len(covered):,} of {counted(len(masks), 'image')}"
    if covered:
        fact += f", on average {np.mean(covered):.2%} of the pixels of these images"
    findings.add_fact(what, fact)


def _file_or_index(masks: Masks, index: int) -> object:
    """The same for all images that share a file; boxes cover another share of each image."""
    source = masks.sources[index]
    return source if isinstance(source, Path) else index


def _by_image(files: Mapping[str, Path], names: set[str]) -> dict[str, Path]:
    paired: dict[str, Path] = {}
    for stem, path in files.items():
        bare = stem.removesuffix(_ENDING)
        if bare != stem and bare in names and stem in names:
            raise InputError(
                f"mask '{path}' fits the images '{bare}' and '{stem}'; rename one of them"
            )
        name = stem if stem in names else bare
        if name in paired:
            raise InputError(
                f"image '{name}' has two masks: '{paired[name].name}' and '{path.name}'; keep one"
            )
        paired[name] = path
    return paired


def _training_names(images: ImageSet) -> tuple[str, ...]:
    # MTD has a mask for every image, training images included.
    if images.root is None or images.root.name != "test":
        return ()
    training = images.root.parent / "train"
    return tuple(files_by_name(training, IMAGE_SUFFIXES, "image")) if training.is_dir() else ()

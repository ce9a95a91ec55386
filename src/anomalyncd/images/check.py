"""What one look at every image shows: sizes, depths, damage, and what a warning has to say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.findings import MOST_NAMED, Findings, count_values
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.level_values import refuse_levels
from anomalyncd.images.levels import Depth, Levels, depth_of, learn_levels
from anomalyncd.images.pixels import to_pixels
from anomalyncd.images.warnings import ImageLook, look_at_image, warn_about_images
from anomalyncd.io.decoding import Decoded, decode_file
from anomalyncd.io.files import and_more, attempt_each


class _Selectable(Protocol):
    def select(self, indices: Sequence[int]) -> Self: ...


Selectable = TypeVar("Selectable", bound=_Selectable)


@dataclass(frozen=True, eq=False)
class CheckedImages:
    """Images of which every file has been read once."""

    named: ImageSet
    """All images, those that were left out among them; maps and masks are paired with these."""
    kept: tuple[int, ...]
    """Indices of the images that are used."""
    images: ImageSet
    """The images that are used."""
    sizes: NDArray[np.int64]
    """Height and width of each image that is used, (N, 2), px; 0 x 0 where it cannot be read."""
    orientations: tuple[int, ...]
    """The EXIF orientation that was applied to each image that is used, 1 to 8."""
    depths: tuple[Depth, ...]
    """What the images of more than 8 bits say about the levels."""
    grey: NDArray[np.bool_]
    """(N,): which images that are used have no colour; False where it cannot be read."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of the images that were left out."""
        return tuple(sorted(set(self.named.names) - set(self.images.names)))

    def with_levels(self, levels: Levels | None) -> "CheckedImages":
        """Returns the same images, read with these levels."""
        return replace(self, images=replace(self.images, levels=levels))

    def of_kept(self, marks: Selectable) -> Selectable:
        """Returns the maps or masks of the images that are used."""
        return marks if len(self.kept) == len(self.named) else marks.select(self.kept)


def check_images(
    images: ImageSet,
    findings: Findings | None = None,
    what: str = "images",
    skip_damaged: bool = False,
) -> CheckedImages:
    """Decodes every image once, so that an unusable file is found before long work.

    Args:
        images: The images; a few are in memory at a time.
        findings: Where faults, warnings and facts go; by default the first fault is raised.
        what: What the images are, for the facts.
        skip_damaged: Whether images that cannot be read are left out, with a warning.

    Returns:
        The images with their sizes; `set_levels` learns their levels.

    Raises:
        InputError: An image cannot be read, or none can; names the first and counts the others.
    """
    findings = findings or Findings()
    looked = _look_at_each(images, findings, skip_damaged)
    kept = tuple(looked)
    readable = {index: one for index, one in looked.items() if one is not None}
    findings.add_fact(what, f"{len(images)}, of which {len(readable)} can be read")
    sizes = [one.size for one in readable.values()]
    findings.add_fact(f"{what}: width x height", _describe_sizes(sizes))
    findings.add_fact(f"{what}: pixels", count_values(one.kind for one in readable.values()))
    _report_pages(images, readable, findings, what)
    _warn_of_cut_files(images, readable, findings)
    looks = {images.names[index]: one.look for index, one in readable.items()}
    warn_about_images(looks, findings, what)
    return CheckedImages(
        images,
        kept,
        images if len(kept) == len(images) else images.select(kept),
        np.array([one.size if one else (0, 0) for one in looked.values()], np.int64).reshape(-1, 2),
        tuple(one.file.orientation if one else 1 for one in looked.values()),
        tuple(one.depth for one in readable.values() if one.depth is not None),
        np.array([one is not None and one.look.grey for one in looked.values()]),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one image shows."""

    size: tuple[int, ...]
    kind: str
    depth: Depth | None
    file: Decoded
    """What is known of its file, without the pixels."""
    look: ImageLook


def _look_at_each(
    images: ImageSet, findings: Findings, skip_damaged: bool
) -> dict[int, _Seen | None]:
    """What each image shows, by its index; None where it cannot be read but is not left out."""

    def look(index: int) -> _Seen:
        source = images.sources[index]
        decoded = decode_file(source, "image") if isinstance(source, Path) else Decoded(source)
        label = str(source) if isinstance(source, Path) else images.names[index]
        pixels = to_pixels(decoded.pixels, label)
        depth = None if pixels.dtype == np.uint8 else depth_of(pixels, decoded.levels)
        kind = _describe_pixels(decoded.pixels)
        file = replace(decoded, pixels=np.empty(0))
        return _Seen(pixels.shape[:2], kind, depth, file, look_at_image(pixels))

    count, title = len(images), "Checking images"
    if not skip_damaged:
        return dict(enumerate(findings.read_each(look, count, title)))
    looked: dict[int, _Seen | None] = {}
    faults: dict[str, InputError] = {}
    for index, outcome in enumerate(attempt_each(look, count, title)):
        if isinstance(outcome, InputError):
            faults[images.names[index]] = outcome
        else:
            looked[index] = outcome
    if not faults:
        return looked
    first = next(iter(faults.values()))
    if not looked:
        findings.attempt(lambda: _raise(InputError(f"{first}{and_more(count)}")))
        return dict.fromkeys(range(count))
    findings.warn(
        f"{len(faults)} of {count} images cannot be read and are left out, with their maps and "
        f"masks: {_some(list(faults))}. The first one says: {first}."
    )
    return looked


def set_levels(
    checked: Sequence[CheckedImages],
    given: tuple[int | None, int | None],
    fitted: Levels | None,
    findings: Findings,
) -> Levels | None:
    """Finds the levels that images of one product share.

    Args:
        checked: The images, and the normal images if there are some.
        given: The black and the white level that the user gave; None where there is none.
        fitted: The levels of the model by which the images will be classified.
        findings: Where facts and warnings go.

    Returns:
        The levels; None if no image has more than 8 bits.

    Raises:
        InputError: The black level that was given is not below the white level of the images.
    """
    depths = [depth for one in checked for depth in one.depths]
    if not depths:
        if given != (None, None):
            findings.warn(
                "`white_level` and `black_level` change nothing, since no image has more than 8 "
                "bits; leave them out."
            )
        return fitted
    levels, why = (fitted, "as in the model") if fitted else learn_levels(depths)
    black = levels.black if given[0] is None else given[0]
    white = levels.white if given[1] is None else given[1]
    refuse_levels(black, white)
    levels = Levels(int(black), int(white))
    findings.add_fact("white level", f"{white} ({why if given[1] is None else 'given'})")
    if black:
        findings.add_fact("black level", f"{black} ({why if given[0] is None else 'given'})")
    brighter = sum(depth.brightest > white for depth in depths)
    if brighter:
        highest = max(depth.brightest for depth in depths)
        findings.warn(
            f"{brighter} of {len(depths)} images of more than 8 bits are brighter than the white "
            f"level {white}: values up to {highest} are read as white. If details are lost there, "
            "give a higher `white_level`, and discover classes anew with it."
        )
    return levels


def _raise(error: InputError) -> None:
    raise error


def _some(names: Sequence[str]) -> str:
    """The first names, in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:MOST_NAMED])
    rest = len(names) - MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _report_pages(
    images: ImageSet, seen: Mapping[int, _Seen], findings: Findings, what: str
) -> None:
    several = [index for index, one in seen.items() if one.file.n_pages > 1]
    if several:
        findings.add_fact(f"{what}: several pages", f"{len(several)}; the largest one is read")
    stacks = [index for index in several if seen[index].file.n_full_pages > 1]
    if stacks:
        first = seen[stacks[0]].file
        findings.warn(
            f"Image '{images.sources[stacks[0]]}'{and_more(len(stacks))} has {first.n_full_pages} "
            "pages or frames of the same size, and only the first of them is read. If the others "
            "are photographs as well, save each page as a file of its own."
        )


def _warn_of_cut_files(images: ImageSet, seen: Mapping[int, _Seen], findings: Findings) -> None:
    cut = [index for index, one in seen.items() if one.file.cut]
    if cut:
        most = max(seen[index].file.lost for index in cut)
        findings.warn(
            f"Image '{images.sources[cut[0]]}'{and_more(len(cut))} is not complete: the end of the "
            f"file is missing, and with it up to {most:.1%} of the pixels, where no defect can be "
            "found. Copy it again from where it came."
        )


def _describe_sizes(sizes: list[tuple[int, ...]]) -> str:
    """Sizes and how many images have them, or their range if there are many."""
    if len(set(sizes)) <= MOST_NAMED:
        return count_values(f"{width}x{height}" for height, width in sizes)
    heights, widths = zip(*sizes, strict=True)
    return f"{min(widths)} to {max(widths)} x {min(heights)} to {max(heights)}"


def _describe_pixels(pixels: NDArray[np.generic]) -> str:
    n_channels = pixels.shape[2] if pixels.ndim == 3 else 1
    colour = {1: "grey", 3: "colour", 4: "colour and transparency"}[n_channels]
    return f"{colour}, {'1' if pixels.dtype == np.bool_ else pixels.dtype.itemsize * 8} bit"

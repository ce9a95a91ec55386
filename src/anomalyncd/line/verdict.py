"""The verdict on one image: what a line needs to sort a product, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anomalyncd.errors import InputError

Decision: TypeAlias = Literal["class", "normal", "unseen", "unsure"]
"""`class`: a class of defects; `normal`: a class that counts as normal; `unseen`: resembles no
known class; `unsure`: lies between classes."""


@dataclass(frozen=True)
class RunLength:
    """A mask as the lengths of its runs, column by column: COCO's uncompressed run lengths."""

    counts: tuple[int, ...]
    """Lengths of the runs, px; the first one is of pixels outside the mask, and may be 0."""
    height: int
    """Height of the mask, px."""
    width: int
    """Width of the mask, px."""

    @classmethod
    def of_window(
        cls, marks: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]
    ) -> Self:
        """Encodes a mask that is empty outside a window.

        Args:
            marks: The window, (h, w).
            corner: Left and top of the window within the mask, px.
            size: Height and width of the mask, px.
        """
        (left, top), (height, width) = corner, size
        padded = np.pad(marks.T.astype(np.int8), ((0, 0), (1, 1)))
        steps = np.diff(padded, axis=1)
        # In the order of the columns, so that each start stands beside its end.
        starts, ends = (
            (left + column) * height + top + row
            for column, row in (np.nonzero(steps == step) for step in (1, -1))
        )
        # Runs that go on at the top of the next column are one.
        joined = np.flatnonzero(starts[1:] == ends[:-1])
        starts, ends = np.delete(starts, joined + 1), np.delete(ends, joined)
        edges = np.concatenate([[0], np.column_stack([starts, ends]).ravel(), [height * width]])
        lengths = np.diff(edges).tolist()
        return cls(tuple(lengths if lengths[-1] else lengths[:-1]), height, width)

    def to_mask(self) -> NDArray[np.bool_]:
        """Decodes the mask, (height, width)."""
        marked = np.arange(len(self.counts)) % 2 == 1
        flat = np.repeat(marked, self.counts)
        return np.ascontiguousarray(flat.reshape(self.width, self.height).T)


@dataclass(frozen=True)
class ClassShare:
    """How much of one class an image shows."""

    id: int
    """Id of the class; 0 is the normal class."""
    name: str
    """Its name."""
    probability: float
    """Probability that the image belongs to it, 0..1, before calibration."""
    area: int
    """Anomalous pixels of its regions."""


@dataclass(frozen=True)
class RegionVerdict:
    """An anomalous region and its class."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the anomalous pixels, px of the image."""
    area: int
    """Anomalous pixels."""
    score: float
    """Highest anomaly score, 0..1."""
    decision: Decision
    """What the region is."""
    class_id: int
    """Id of the most likely class, whatever the decision."""
    class_name: str
    """Its name."""
    confidence: float | None
    """Calibrated probability of the class, 0..1; None for what is unseen."""
    mask: RunLength
    """The anomalous pixels, over the whole image."""


@dataclass(frozen=True)
class Verdict:
    """What a model says of one image."""

    name: str
    """Name of the image."""
    width: int
    """Width of the image, px."""
    height: int
    """Height of the image, px."""
    score: float
    """Anomaly score, 0..1."""
    ok: bool | None
    """Whether the image is good by the operating point; None where none was chosen."""
    decision: Decision
    """What the image is."""
    class_id: int
    """Id of the most likely class, whatever the decision."""
    class_name: str
    """Its name."""
    confidence: float | None
    """Calibrated probability of the class, 0..1; None for what is unseen."""
    severity: str
    """How serious the class is by the label book: `minor`, `major` or `critical`; "" where nobody
    said, and for what is unseen."""
    classes: tuple[ClassShare, ...]
    """All classes, the most probable first."""
    regions: tuple[RegionVerdict, ...]
    """The anomalous regions, the largest first; none on an image without one."""
    novelty: float = 0.0
    """Share of the regions of the fit that are less of an outlier, 0..1."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them; a mask as COCO does, `counts` and `size`."""
        classes = [dict(vars(one)) for one in self.classes]
        return vars(self) | {"classes": classes, "regions": [*map(_region_fields, self.regions)]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Restores what `to_dict` returned; fields of later versions are left out.

        Raises:
            InputError: A field is missing or of another kind.
        """
        try:
            # Verdicts of earlier versions state no novelty.
            fields = {"novelty": 0.0, **fields}
            known = {name: fields[name] for name in cls.__dataclass_fields__}
            known["classes"] = tuple(ClassShare(**one) for one in known["classes"])
            known["regions"] = tuple(_region_of(one) for one in known["regions"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"the verdict is damaged ({error!r}); give what `Verdict.to_dict` returned"
            ) from error
        return cls(**known)


def _region_fields(region: RegionVerdict) -> dict[str, Any]:
    mask = region.mask
    coded = {"counts": list(mask.counts), "size": [mask.height, mask.width]}
    return vars(region) | {"box": list(region.box), "mask": coded}


def _region_of(fields: Mapping[str, Any]) -> RegionVerdict:
    known = {name: fields[name] for name in RegionVerdict.__dataclass_fields__}
    height, width = fields["mask"]["size"]
    mask = RunLength(tuple(fields["mask"]["counts"]), height, width)
    return RegionVerdict(**known | {"box": tuple(fields["box"]), "mask": mask})

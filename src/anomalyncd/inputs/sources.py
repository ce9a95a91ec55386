"""What a caller names as inputs, declared once for Python and for the command line.

Nothing slow is imported here, so that the command line can refuse a wrong path at once.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from anomalyncd.errors import InputError
from anomalyncd.images.level_values import refuse_levels

if TYPE_CHECKING:
    from anomalyncd.inputs.anomaly_maps import MapsLike
    from anomalyncd.inputs.inputs import BaseLike, ImagesLike, MasksLike


@dataclass(frozen=True, eq=False)
class InputSources:
    """The inputs of a discovery or a prediction as a caller names them: paths or objects.

    The description of each field is the help of the option of the same name.
    """

    images: Annotated[
        "ImagesLike",
        "Folder of images, folder in the layout of MVTec AD, or manifest of images.",
    ]
    maps: Annotated[
        "MapsLike | None",
        "Folder of anomaly maps that are named like the images; without it, a built-in detector "
        "makes the maps.",
    ] = None
    masks: Annotated[
        "MasksLike | None",
        "Folder of masks NAME.png or NAME_mask.png that mark the defects in place of anomaly maps, "
        "a manifest with the column mask, or annotations (COCO, YOLO, Pascal VOC, Label Studio, "
        "CVAT, labelme).",
    ] = None
    boxes: Annotated[
        "str | Path | None",
        "Table of boxes that mark the defects in place of anomaly maps, with the columns name or "
        "image, left, top, right and bottom, in pixels.",
    ] = None
    ignore: Annotated[
        "MasksLike | None",
        "Places where nothing counts as a defect: one mask for all images, which becomes part of "
        "the model, or a folder of masks, annotations, or a table of boxes, which predict needs "
        "again.",
    ] = None
    foreground: Annotated[
        "MasksLike | None",
        "Where the product is on the images: one mask for all images, a folder of masks, or a "
        "table of boxes.",
    ] = None
    base: Annotated[
        "BaseLike | None",
        "Base set of labelled defects of other products: a folder in the layout of MVTec AD, or a "
        "manifest.",
    ] = None
    normals: Annotated[
        "ImagesLike | None",
        "Folder of normal images, or a manifest whose rows with the split train are normal.",
    ] = None
    normal_maps: Annotated[
        "MapsLike | None",
        "Folder of anomaly maps of the normal images, needed wherever maps of the images are "
        "given.",
    ] = None
    white_level: Annotated[
        int | None,
        "Value that is white in images of more than 8 bits, such as 4095 for a camera of 12 bits; "
        "without it, it is taken from the files, or from the brightest places of all images.",
    ] = None
    black_level: Annotated[
        int | None,
        "Value that is black in images of more than 8 bits; without it, it is taken from the "
        "files, or 0.",
    ] = None
    skip_damaged: Annotated[
        bool, "Leave out images that cannot be read, and list them in the run."
    ] = False

    def further(self) -> dict[str, Any]:
        """Returns the inputs that are given besides the images, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {
            name: value for name, value in named.items() if value is not None and value is not False
        }

    def refuse_combination(self) -> None:
        """Raises if inputs are given together that exclude each other, or one without another.

        Raises:
            InputError: Names the arguments.
        """
        refuse_levels(self.black_level, self.white_level)
        marks = (self.maps, self.masks, self.boxes)
        if sum(source is not None for source in marks) > 1:
            raise InputError(
                "several of `maps`, `masks` and `boxes` are given; give only one of them"
            )
        if self.normal_maps is not None and self.normals is None:
            raise InputError(
                "`normal_maps` needs the normal images; give `normals`, `maps` and `normal_maps`"
            )

"""Masks, boxes and places to ignore that are damaged or do not fit the images."""

from support.bad_inputs import (
    DISCOVER,
    GREY,
    NAN,
    Case,
    both,
    copied,
    cut,
    empty,
    gone,
    image,
    text,
)

BOXES = f"{DISCOVER} --boxes boxes.csv"
HEAD = "name,left,top,right,bottom\n"

CASES = [
    Case(
        "both masks and maps",
        f"{DISCOVER} --masks masks --maps maps",
        ("several of --maps, --masks and --boxes", "give only one"),
    ),
    Case(
        "a folder without masks",
        f"{DISCOVER} --masks empty",
        ("'empty'", "NAME_mask.png"),
        empty("empty"),
    ),
    Case(
        "a damaged mask",
        f"{DISCOVER} --masks masks",
        ("000_mask.png", "save it again"),
        cut("masks/line/000_mask.png"),
    ),
    Case(
        "two masks of one image",
        f"{DISCOVER} --masks masks",
        ("line/000", "keep one"),
        copied("masks/line/000_mask.png", "masks/line/000.png"),
    ),
    Case(
        "a mask of NaN",
        f"{DISCOVER} --masks masks",
        ("001.tif", "black and white"),
        both(image("masks/line/001.tif", NAN), gone("masks/line/001_mask.png")),
    ),
    Case(
        "masks from a manifest without that column",
        f"{DISCOVER} --masks m.csv",
        ("'mask'", "add it"),
        text("m.csv", "image\nphotos/good/000.png\n"),
    ),
    Case(
        "boxes without a column",
        BOXES,
        ("'bottom'", "in pixels"),
        text("boxes.csv", "name,left,top,right\nline/000,1,2,3\n"),
    ),
    Case(
        "a box of no size",
        BOXES,
        ("left '9'", "left < right"),
        text("boxes.csv", f"{HEAD}line/000,9,2,3,4\n"),
    ),
    Case(
        "a box in words",
        BOXES,
        ("left 'a'", "give numbers"),
        text("boxes.csv", f"{HEAD}line/000,a,2,inf,4\n"),
    ),
    Case(
        "a box on an image that is not there",
        BOXES,
        ("line/999", "has no image"),
        text("boxes.csv", f"{HEAD}line/000,1,2,3,4\nline/999,1,2,3,4\n"),
    ),
    Case(
        "a box outside its image",
        BOXES,
        ("row 1", "outside image 'line/000'", "give pixels of this image"),
        text("boxes.csv", f"{HEAD}line/000,900,2,930,4\n"),
    ),
    Case(
        "boxes from 0 to 1",
        BOXES,
        ("seem relative", "multiply them"),
        text("boxes.csv", f"{HEAD}line/000,.1,.2,.3,.4\n"),
    ),
    Case(
        "inverted masks",
        f"{DISCOVER} --masks white",
        ("mark most of the images", "inverted once more"),
        image("white/line/000.png", GREY + 255),
    ),
    Case(
        "masks that Label Studio named",
        f"{DISCOVER} --masks white",
        ("task of Label Studio", "JSON"),
        image("white/task-3-annotation-5-by-1-tag-Dent-0.png", GREY + 255),
    ),
    Case(
        "annotations in a format that is not known",
        f"{DISCOVER} --masks a.json",
        ("a.json", "expected COCO"),
        text("a.json", '{"boxes": []}'),
    ),
    Case(
        "annotations of an image that is not there",
        f"{DISCOVER} --masks a.json",
        ("line/999", "name each description like its image"),
        text(
            "a.json",
            '{"images": [{"id": 1, "file_name": "line/999.png"}], '
            '"annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}',
        ),
    ),
    Case(
        "a damaged picture of places to ignore",
        f"{DISCOVER} --ignore ignore.png",
        ("ignore.png", "save it again"),
        text("ignore.png", "x"),
    ),
    Case(
        "places to ignore that do not exist",
        f"{DISCOVER} --ignore nowhere.png",
        ("nowhere.png", "check the path"),
    ),
]

"""Images that cannot be read or named, and too few of them."""

import numpy as np

from support.bad_inputs import DISCOVER, Case, both, copied, cut, empty, image, raw, text

CASES = [
    Case(
        "a folder that does not exist",
        "discover nowhere --classes 3 --out out",
        ("'nowhere'", "check the path"),
    ),
    Case(
        "a picture in place of a folder",
        "discover photos/good/000.png --classes 3 --out out",
        ("000.png", "give the folder"),
    ),
    Case(
        "an empty folder",
        "discover empty --classes 3 --out out",
        ("'empty'", "expected"),
        empty("empty"),
    ),
    Case(
        "a folder of pictures in a format that cannot be read",
        "discover raw --classes 3 --out out",
        ("a.heic", "convert"),
        raw("raw/a.heic", b"x"),
    ),
    Case(
        "an empty picture",
        DISCOVER,
        ("001.png", "empty", "save it again"),
        raw("photos/line/001.png", b""),
    ),
    Case(
        "a picture that is text",
        DISCOVER,
        ("001.png", "known image format"),
        text("photos/line/001.png", "hello"),
    ),
    Case(
        "a truncated picture",
        DISCOVER,
        ("001.png", "save it again"),
        cut("photos/line/001.png", 900),
    ),
    Case(
        "three damaged pictures",
        DISCOVER,
        ("000.png", "and 2 more"),
        both(*(cut(f"photos/spot/00{i}.png") for i in range(3))),
    ),
    Case(
        "a picture with too many pixels",
        DISCOVER,
        ("big.ppm", "too many pixels", "tiles"),
        raw("photos/big.ppm", b"P6 40000 40000 255\n"),
    ),
    Case(
        "a picture of floats beyond 0..1",
        DISCOVER,
        ("f.tif", "scale floats"),
        image("photos/f.tif", np.full((9, 9), 7.5, np.float32)),
    ),
    Case(
        "two pictures of one name",
        DISCOVER,
        ("good/000", "keep one"),
        copied("photos/good/000.png", "photos/good/000.bmp"),
    ),
    Case(
        "a file name with a line break",
        DISCOVER,
        ("a\\nb.png", "rename"),
        copied("photos/good/000.png", "photos/a\nb.png"),
    ),
    Case(
        "a file name that is not in UTF-8",
        DISCOVER,
        ("udcff.png", "rename"),
        copied("photos/good/000.png", "photos/\udcff.png"),
    ),
    Case(
        "fewer images than classes",
        "discover photos --classes 13 --out out",
        ("12 images", "fewer classes"),
    ),
    Case(
        "one image and no maps",
        "maps one --out out",
        ("1 image", "give two or more"),
        copied("photos/good/000.png", "one/000.png"),
    ),
    Case(
        "a black level above the white level",
        f"{DISCOVER} --black-level 300 --white-level 200",
        ("300", "200", "give a smaller one"),
    ),
    Case(
        "a white level that is no number",
        f"{DISCOVER} --white-level bright",
        ("'--white-level'", "--help"),
    ),
]

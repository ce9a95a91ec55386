"""Anomaly maps that are missing, damaged or of other images."""

import numpy as np

from support.bad_inputs import (
    DISCOVER,
    NAN,
    Case,
    array,
    both,
    cut,
    empty,
    gone,
    image,
    moved,
    swap,
)
from support.quick import picture

CASES = [
    Case(
        "a map is missing",
        f"{DISCOVER} --maps maps",
        ("line/001", "has no map", "expected line/001.("),
        gone("maps/line/001.npy"),
    ),
    Case(
        "a map without an image",
        f"{DISCOVER} --maps maps",
        ("0O1.npy", "has no image", "nearest in name"),
        moved("maps/line/001.npy", "maps/line/0O1.npy"),
    ),
    Case(
        "a folder without maps",
        f"{DISCOVER} --maps empty",
        ("'empty'", "expected .npy"),
        empty("empty"),
    ),
    Case(
        "maps of other images",
        f"{DISCOVER} --maps masks",
        ("no map belongs to an image", "name each map like its image"),
        array("masks/x.npy", NAN),
    ),
    Case(
        "a map of NaN",
        f"{DISCOVER} --maps maps",
        ("001.npy", "NaN", "finite scores"),
        array("maps/line/001.npy", NAN),
    ),
    Case(
        "a map of text",
        f"{DISCOVER} --maps maps",
        ("001.npy", "array of numbers"),
        array("maps/line/001.npy", "hello"),
    ),
    Case(
        "a map of three dimensions",
        f"{DISCOVER} --maps maps",
        ("001.npy", "(3, 36, 48)", "expected HxW"),
        array("maps/line/001.npy", np.zeros((3, 36, 48))),
    ),
    Case(
        "a map with objects in it",
        f"{DISCOVER} --maps maps",
        ("001.npy", "save it again"),
        array("maps/line/001.npy", np.array([{}], object)),
    ),
    Case(
        "a map that claims to be huge",
        f"{DISCOVER} --maps maps",
        ("001.npy", "save it again"),
        both(
            array("maps/line/001.npy", NAN),
            swap("maps/line/001.npy", "(36, 48), }      ", "(99999, 99999), }"),
        ),
    ),
    Case(
        "a truncated map",
        f"{DISCOVER} --maps maps",
        ("001.npy", "save it again"),
        cut("maps/line/001.npy", 200),
    ),
    Case(
        "a map in colours",
        f"{DISCOVER} --maps maps",
        ("001.png", "save the scores"),
        both(gone("maps/line/001.npy"), image("maps/line/001.png", picture("spot", 1))),
    ),
    Case(
        "a map turned on its side",
        f"{DISCOVER} --maps maps",
        ("line/001", "not turned"),
        array("maps/line/001.npy", np.zeros((48, 24))),
    ),
    Case(
        "an archive of two arrays",
        f"{DISCOVER} --maps maps",
        ("a, b", "'anomaly_map'"),
        both(gone("maps/line/001.npy"), lambda p: np.savez(p / "maps/line/001.npz", a=NAN, b=NAN)),
    ),
    Case(
        "maps of normal images without normal images",
        f"{DISCOVER} --maps maps --normal-maps maps",
        ("--normal-maps needs", "give --normals"),
    ),
    Case(
        "normal images without maps beside maps",
        f"{DISCOVER} --maps maps --normals photos/good",
        ("next to given maps", "give --normal-maps"),
    ),
]

"""Finished runs that are damaged or are none, and operating points that cannot be chosen."""

import numpy as np

from support.bad_inputs import Case, array, both, cut, edited, gone, raw, swap, text

CASES = [
    Case(
        "comparing with what is no run",
        "compare run photos",
        ("'photos'", "folder of a finished run"),
    ),
    Case(
        "comparing runs over other images",
        "compare run run_of_maps",
        ("share no image", "same images"),
        swap("run_of_maps/images.csv", "0", "9"),
    ),
    Case(
        "a report with images of something else",
        "report run --images photos/good",
        ("'good/000'", "same folder as for the run"),
    ),
    Case(
        "normal images for a run without any",
        "add-normals run photos",
        ("no memory bank", "--normals"),
    ),
    Case(
        "a run of another version",
        "report run",
        ("another version", "make it again"),
        edited("run/run.json", lambda one: one.update(format=99)),
    ),
    Case(
        "a run of which nothing but a list is recorded",
        "report run",
        ("run.json", "make it again"),
        text("run/run.json", "[]"),
    ),
    Case(
        "a record without stages",
        "report run",
        ("run.json", "make the run again"),
        edited("run/run.json", lambda one: one.pop("stages")),
    ),
    Case(
        "a truncated record",
        "report run",
        ("run.json", "make it again"),
        cut("run/run.json"),
    ),
    Case(
        "a table of images without scores",
        "report run",
        ("'score'", "make the run again"),
        swap("run/images.csv", "score", "scores"),
    ),
    Case(
        "a table of images with text for scores",
        "report run",
        ("'normal'", "make the run again"),
        swap("run/images.csv", ",True,", ",perhaps,", 1),
    ),
    Case(
        "an empty table of images",
        "evaluate run",
        ("images.csv", "make the run again"),
        raw("run/images.csv", b""),
    ),
    Case(
        "a table of images of random bytes",
        "evaluate run",
        ("images.csv", "make the run again"),
        raw("run/images.csv", bytes(range(256))),
    ),
    Case(
        "a table of regions of another run",
        "report run",
        ("'run'", "do not belong together"),
        swap("run/regions.csv", "spot/000", "spot/777"),
    ),
    Case(
        "damaged descriptors",
        "report run",
        ("features.npy", "make the run again"),
        cut("run/features.npy"),
    ),
    Case(
        "descriptors of another run",
        "report run",
        ("do not belong together", "make it again"),
        array("run/features.npy", np.zeros((1, 4))),
    ),
    Case(
        "a mask of a run is missing",
        "report run_of_masks",
        ("masks", "check the path"),
        gone("run_of_masks/masks"),
    ),
    Case(
        "an operating point of a run without known images",
        "operate run --max-overkill 0.1",
        ("which images are OK", "--normals"),
        both(*(swap(f"run/{one}.csv", "good/", "fine/") for one in ("images", "regions"))),
    ),
    Case(
        "an operating point for a prediction",
        "operate run --max-overkill 0.1",
        ("run.json", "finished"),
        gone("run/run.json"),
    ),
    Case(
        "an operating point of no costs",
        "operate run",
        ("--escape-cost", "--max-overkill"),
    ),
    Case(
        "a negative cost",
        "operate run --escape-cost -5",
        ("-5", "from 0"),
    ),
    Case(
        "a cost that is no number",
        "operate run --escape-cost nan",
        ("nan", "from 0"),
    ),
    Case(
        "more overkill than there can be",
        "operate run --max-overkill 7",
        ("overkill 7", "0..1"),
    ),
    Case(
        "a share that is none",
        "operate run --escape-cost 9 --defect-share 2",
        ("2", "0..1"),
    ),
    Case(
        "a damaged operating point",
        "report run",
        ("operating.json", "choose the point again"),
        text("run/operating.json", '{"threshold": "x", "overkill": 0, "escapes": 0}'),
    ),
]

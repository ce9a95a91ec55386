"""Places where results cannot be written."""

from support.bad_inputs import DISCOVER, Case, text

CASES = [
    Case(
        "a file in place of the run folder",
        DISCOVER,
        ("'out' is a file", "name a new or empty folder"),
        text("out", "x"),
    ),
    Case(
        "a run folder below a file",
        "discover photos --classes 3 --out file/run",
        ("'file' is a file", "name a new or empty folder"),
        text("file", "x"),
    ),
    Case(
        "a run folder that holds something else",
        DISCOVER,
        ("notes.txt", "new or empty folder"),
        text("out/notes.txt", "x"),
    ),
    Case(
        "a run folder that holds a run",
        "discover photos --classes 3 --out run",
        ("'run'", "--overwrite"),
    ),
    Case(
        "results among the images",
        "discover photos --classes 3 --out photos/run",
        ("'photos/run' lies within the images", "name a folder elsewhere"),
    ),
    Case(
        "a name that is too long",
        f"discover photos --classes 3 --out {'n' * 300}",
        ("nnn", "shorten the names"),
    ),
    Case(
        "a folder for maps that is a file",
        "maps photos --out out",
        ("'out' is a file", "name a new or empty folder"),
        text("out", "x"),
    ),
    Case(
        "a sheet below a file",
        "data check photos --sheet file/sheet.png",
        ("'file' is a file", "name a new or empty folder"),
        text("file", "x"),
    ),
    Case(
        "a folder with maps of others",
        "maps photos --out maps",
        ("not made by this command", "without maps"),
    ),
    Case(
        "a sheet that is no picture",
        "data check photos --sheet sheet.pdf",
        ("sheet.pdf", ".jpg or .png"),
    ),
    Case(
        "a layout that there is not",
        "data prepare coco photos --out m.csv",
        ("'coco'", "use one of"),
    ),
    Case(
        "a data set in another layout",
        "data prepare mtd photos --out m.csv",
        ("MT_*", "give the folder"),
    ),
    Case(
        "a manifest that is no table",
        "data prepare folders photos --out m.txt",
        ("m.txt", ".csv"),
    ),
]

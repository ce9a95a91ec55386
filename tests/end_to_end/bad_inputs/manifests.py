"""Tables of images that are damaged or say too little."""

from support.bad_inputs import DISCOVER, MANIFEST, Case, raw, text

CASES = [
    Case(
        "an empty manifest",
        MANIFEST,
        ("'images.csv'", "no rows"),
        raw("images.csv", b""),
    ),
    Case(
        "a manifest without rows",
        MANIFEST,
        ("'images.csv'", "no rows"),
        text("images.csv", "image,label\n"),
    ),
    Case(
        "a manifest in another encoding",
        MANIFEST,
        ("'images.csv'", "CSV UTF-8"),
        raw("images.csv", "image\nm\u00fcll.png\n".encode("latin-1")),
    ),
    Case(
        "a manifest without a column image",
        MANIFEST,
        ("'image'", "rename 'Image'"),
        text("images.csv", "Image,lot\na.png,1\n"),
    ),
    Case(
        "a manifest with two columns of one name",
        MANIFEST,
        ("'lot'", "rename"),
        text("images.csv", "image,lot,lot\na.png,1,2\n"),
    ),
    Case(
        "a manifest with a column that results have",
        MANIFEST,
        ("'score'", "my_score"),
        text("images.csv", "image,score\nphotos/good/000.png,1\n"),
    ),
    Case(
        "a manifest with a row too long",
        MANIFEST,
        ("line 2", "in quotes"),
        text("images.csv", "image,lot\na.png,1,2\n"),
    ),
    Case(
        "a manifest with an open quote",
        MANIFEST,
        ("line 2", "save it again"),
        text("images.csv", 'image,lot\n"a.png,1\n'),
    ),
    Case(
        "a manifest that names no such image",
        MANIFEST,
        ("photos/b.png", "relative to the folder of the manifest"),
        text("images.csv", "image\nphotos/good/000.png\nphotos/b.png\n"),
    ),
    Case(
        "a manifest with places on the internet",
        MANIFEST,
        ("'https://host/b.png'", "paths relative to the folder of the manifest"),
        text("images.csv", "image\nphotos/good/000.png\nhttps://host/b.png\n"),
    ),
    Case(
        "a workbook in place of a manifest",
        "discover images.xlsx --classes 2 --out out",
        ("images.xlsx", "save its sheet as 'CSV UTF-8'"),
        raw("images.xlsx", b"PK\x03\x04"),
    ),
    Case(
        "a manifest with a blank image",
        MANIFEST,
        ("row 2", "fill it in"),
        text("images.csv", "image,lot\nphotos/good/000.png,1\n,2\n"),
    ),
    Case(
        "a manifest that names an image twice",
        MANIFEST,
        ("000.png", "keep one row"),
        text("images.csv", "image\nphotos/good/000.png\nphotos/./good/000.png\n"),
    ),
    Case(
        "a manifest with a map for some images",
        "discover images.csv --classes 2 --out out",
        ("good/001", "fill it in"),
        text(
            "images.csv",
            "image,anomaly_map\nphotos/good/000.png,maps/good/000.npy\nphotos/good/001.png,\n",
        ),
    ),
    Case(
        "a damaged JSONL manifest",
        "discover images.jsonl --classes 2 --out out",
        ("line 2", "save it again"),
        text("images.jsonl", '{"image": "photos/good/000.png"}\n{"image": \n'),
    ),
    Case(
        "a JSONL manifest nested without end",
        "discover images.jsonl --classes 2 --out out",
        ("line 1", "save it again"),
        text("images.jsonl", "[" * 100_000),
    ),
    Case(
        "a JSONL manifest with half a character",
        "discover images.jsonl --classes 2 --out out",
        ("ud800", "write it again"),
        text("images.jsonl", '{"image": "photos/good/000.png", "lot": "\\ud800"}\n'),
    ),
    Case(
        "a damaged Parquet manifest",
        "discover images.parquet --classes 2 --out out",
        ("images.parquet", "save it again"),
        raw("images.parquet", b"PAR1 nothing PAR1"),
    ),
    Case(
        "normals from a manifest without training rows",
        f"{DISCOVER} --normals images.csv",
        ("'train'", "mark the normal images"),
        text("images.csv", "image,split\nphotos/good/000.png,test\n"),
    ),
]

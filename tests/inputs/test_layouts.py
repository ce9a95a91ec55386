"""Public data sets, laid out as they are published, become manifests."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.base_set import BaseSet
from anomalyncd.inputs.layouts import LAYOUTS, prepare, write_manifest


def _save(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), 255, np.uint8)).save(root / name)


def _rows(table: pd.DataFrame, root: Path) -> list[tuple[str, ...]]:
    """Rows as tuples, sorted, with paths relative to the data set."""
    relative = table.copy()
    for column in {"image", "mask"} & set(table):
        relative[column] = [
            Path(cell).relative_to(root).as_posix() if cell else "" for cell in table[column]
        ]
    return sorted(relative.itertuples(index=False, name=None))


def test_mvtec(tmp_path: Path) -> None:
    for category in ("bottle", "pill"):
        _save(
            tmp_path / category,
            "train/good/000.png",
            "test/good/000.png",
            "test/crack/000.png",
            "ground_truth/crack/000_mask.png",
        )
    wanted = [
        ("test/crack/000.png", "ground_truth/crack/000_mask.png", "crack", "test"),
        ("test/good/000.png", "", "good", "test"),
        ("train/good/000.png", "", "good", "train"),
    ]
    table = prepare("mvtec", tmp_path, "pill")
    assert list(table) == ["image", "mask", "label", "split"]
    assert _rows(table, tmp_path / "pill") == wanted
    assert _rows(prepare("mvtec", tmp_path / "bottle"), tmp_path / "bottle") == wanted
    with pytest.raises(InputError, match="holds the categories bottle, pill; name one"):
        prepare("mvtec", tmp_path)
    with pytest.raises(InputError, match="no category 'Pill'; use one of bottle, pill"):
        prepare("mvtec", tmp_path, "Pill")
    with pytest.raises(InputError, match="has no folder 'test'"):
        prepare("mvtec", tmp_path / "pill" / "train")


def test_aebad_is_a_base_set(tmp_path: Path) -> None:
    _save(
        tmp_path / "AeBAD_S",
        "train/good/view/1.png",
        "test/good/view/1.png",
        "test/groove/background/1.png",
        "test/groove/view/1.png",
        "test/fracture/view/2.png",
        "ground_truth/groove/background/1.png",
        "ground_truth/groove/view/1.png",
        "ground_truth/fracture/view/2.png",
    )
    table = prepare("aebad", tmp_path)
    assert list(table) == ["image", "mask", "label", "split", "domain"]
    assert sorted(table["domain"]) == ["background", "view", "view", "view", "view"]
    pd.testing.assert_frame_equal(table, prepare("aebad", tmp_path / "AeBAD_S"))
    write_manifest(table, tmp_path / "lists/aebad.csv")
    base = BaseSet.from_manifest(tmp_path / "lists/aebad.csv")
    assert base.class_names == ("fracture", "groove")
    assert base.labels.tolist() == [0, 1, 1]
    with pytest.raises(InputError, match="'aebad' has no categories"):
        prepare("aebad", tmp_path, "groove")


def test_mtd_with_its_split_list(tmp_path: Path) -> None:
    names = ("MT_Free/Imgs/a", "MT_Free/Imgs/b", "MT_Crack/Imgs/c")
    _save(tmp_path, *(f"{name}.{suffix}" for name in names for suffix in ("jpg", "png")))
    (tmp_path / "train.txt").write_text("b.jpg\n\n", encoding="utf-8")
    table = prepare("mtd", tmp_path, split_list=tmp_path / "train.txt")
    assert _rows(table, tmp_path) == [
        ("MT_Crack/Imgs/c.jpg", "MT_Crack/Imgs/c.png", "MT_Crack", "test"),
        ("MT_Free/Imgs/a.jpg", "MT_Free/Imgs/a.png", "MT_Free", "test"),
        ("MT_Free/Imgs/b.jpg", "MT_Free/Imgs/b.png", "MT_Free", "train"),
    ]
    assert list(prepare("mtd", tmp_path)) == ["image", "mask", "label"]
    (tmp_path / "train.txt").write_text("b.jpg\nd.jpg\ne.jpg\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"names 'd\.jpg' \(and 1 more\), which is not among"):
        prepare("mtd", tmp_path, split_list=tmp_path / "train.txt")
    with pytest.raises(InputError, match=r"split list .* cannot be read"):
        prepare("mtd", tmp_path, split_list=tmp_path / "none.txt")
    with pytest.raises(InputError, match="give the folder that holds MT_"):
        prepare("mtd", tmp_path / "MT_Free")


def _real_iad(root: Path, images: str = "realiad_1024/") -> None:
    ok, ng = "OK/S0001/audiojack_0001_OK_C1_2023.jpg", "NG/BX/S0002/audiojack_0002_NG_BX_C5_2023"
    _save(root / images / "audiojack", ok, f"{ng}.jpg", f"{ng}.png")
    entries = {
        "meta": {"prefix": "audiojack/", "normal_class": "OK"},
        "train": [{"anomaly_class": "OK", "image_path": ok, "mask_path": None}],
        "test": [{"anomaly_class": "BX", "image_path": f"{ng}.jpg", "mask_path": f"{ng}.png"}],
    }
    path = root / "realiad_jsons/realiad_jsons/audiojack.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries), encoding="utf-8")


def test_real_iad(tmp_path: Path) -> None:
    _real_iad(tmp_path)
    _real_iad(tmp_path, "realiad_256/")
    table = prepare("real-iad", tmp_path)
    assert list(table) == ["image", "mask", "label", "split", "camera", "sample"]
    ng = "NG/BX/S0002/audiojack_0002_NG_BX_C5_2023"
    assert _rows(table, tmp_path / "realiad_1024/audiojack") == [
        (f"{ng}.jpg", f"{ng}.png", "BX", "test", "C5", "S0002"),
        ("OK/S0001/audiojack_0001_OK_C1_2023.jpg", "", "OK", "train", "C1", "S0001"),
    ]
    (tmp_path / f"realiad_1024/audiojack/{ng}.png").unlink()
    with pytest.raises(InputError, match=r"mask '.*C5_2023\.png' does not exist; unpack"):
        prepare("real-iad", tmp_path, "audiojack")


def test_real_iad_laid_out_otherwise(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no 'CATEGORY\.json' under"):
        prepare("real-iad", tmp_path)
    path = tmp_path / "mint.json"
    for content, message in (
        ("{", "is damaged"),
        ("{}", "is no Real-IAD file"),
        ('{"meta": {"prefix": "mint/"}, "test": [{}]}', "has no folder 'mint/'"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            prepare("real-iad", tmp_path)
    (tmp_path / "mint").mkdir()
    with pytest.raises(InputError, match=r"is no Real-IAD file \(KeyError\('image_path'\)\)"):
        prepare("real-iad", tmp_path)
    path.write_text('{"meta": {"prefix": "mint/"}}', encoding="utf-8")
    with pytest.raises(InputError, match="names no image"):
        prepare("real-iad", tmp_path)


def test_visa(tmp_path: Path) -> None:
    images = "candle/Data/Images"
    masks = "candle/Data/Masks/Anomaly"
    _save(tmp_path, *(f"{images}/{name}.jpg" for name in ("Normal/1", "Anomaly/2", "Anomaly/3")))
    _save(tmp_path, f"{masks}/2.png", f"{masks}/3.png")
    (tmp_path / "candle/image_anno.csv").write_text(
        "image,label,mask\r\n"
        f"{images}/Normal/1.jpg,normal,\r\n"
        f"{images}/Anomaly/2.jpg,wax missing,{masks}/2.png\r\n"
        f'{images}/Anomaly/3.jpg,"wax missing,bent wick",{masks}/3.png\r\n',
        encoding="utf-8",
    )
    assert list(prepare("visa", tmp_path)) == ["image", "mask", "label"]
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text(
        "object,split,label,image,mask\r\n"
        f"candle,test,anomaly,{images}/Anomaly/2.jpg,{masks}/2.png\r\n"
        f"candle,train,normal,{images}/Normal/1.jpg,\r\n"
        "pcb1,train,normal,pcb1/Data/Images/Normal/1.jpg,\r\n",
        encoding="utf-8",
    )
    assert _rows(prepare("visa", tmp_path, "candle"), tmp_path) == [
        (f"{images}/Anomaly/2.jpg", f"{masks}/2.png", "wax missing", "test"),
        (f"{images}/Anomaly/3.jpg", f"{masks}/3.png", "combined", ""),
        (f"{images}/Normal/1.jpg", "", "normal", "train"),
    ]
    (tmp_path / "split_csv/1cls.csv").write_text("object\npcb1\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no column 'image'"):
        prepare("visa", tmp_path)
    with pytest.raises(InputError, match="no 'CATEGORY/image_anno"):
        prepare("visa", tmp_path / "candle")


def test_a_folder_a_class(tmp_path: Path) -> None:
    _save(tmp_path, "dent/1.png", "scratch/monday/1.png")
    table = prepare("folders", tmp_path)
    assert list(table) == ["image", "label"]
    assert list(table["label"]) == ["dent", "scratch"]
    _save(tmp_path, "loose.png")
    with pytest.raises(InputError, match=r"loose\.png' is in no class"):
        prepare("folders", tmp_path)


def test_what_cannot_be_prepared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'coco' is not known; use one of {', '.join(LAYOUTS)}"):
        prepare("coco", tmp_path)
    with pytest.raises(InputError, match="'visa' has a split already; leave `split_list` out"):
        prepare("visa", tmp_path, split_list="train.txt")
    with pytest.raises(InputError, match="does not exist"):
        prepare("visa", tmp_path / "nowhere")


def test_a_manifest_moves_with_its_images(tmp_path: Path) -> None:
    _save(tmp_path / "set/photos", "dent/1.png", "ä/1.png")
    table = prepare("folders", tmp_path / "set/photos")
    write_manifest(table, tmp_path / "set/lists/images.csv")
    text = (tmp_path / "set/lists/images.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines()[:2] == ["image,label", "../photos/dent/1.png,dent"]
    (tmp_path / "set").rename(tmp_path / "moved")
    assert ImageSet.from_manifest(tmp_path / "moved/lists/images.csv").names == ("dent/1", "ä/1")
    with pytest.raises(InputError, match=r"cannot be written; name a \.csv file"):
        write_manifest(table, tmp_path / "images.xlsx")


def test_real_data_become_a_manifest(tmp_path: Path) -> None:
    root = os.environ.get("ANOMALYNCD_DATA")
    if root is None:
        pytest.skip("set ANOMALYNCD_DATA to the folder with the real data sets")
    write_manifest(prepare("mvtec", Path(root) / "mvtec_ad", "bottle"), tmp_path / "bottle.csv")
    images = ImageSet.from_manifest(tmp_path / "bottle.csv")
    folder = ImageSet.from_folder(Path(root) / "mvtec_ad" / "bottle")
    assert images.names == tuple(f"test/{name}" for name in folder.names)
    assert len(ImageSet.from_manifest(tmp_path / "bottle.csv", "train")) == 100
    assert len(BaseSet.from_manifest(tmp_path / "bottle.csv")) == 63

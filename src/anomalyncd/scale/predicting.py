"""Predictions of many images on many machines, written as Parquet while they are made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from anomalyncd.errors import InputError
from anomalyncd.io.key import content_digest, keep_only_files_of, key_of_version
from anomalyncd.io.lock import only_writer
from anomalyncd.io.writing import refuse_unwritable, writing
from anomalyncd.line.predictor import Predictor
from anomalyncd.results.run_writing import refuse_folder_within
from anomalyncd.runtime.logs import LOG
from anomalyncd.runtime.wording import counted
from anomalyncd.scale.cluster import (
    NO_PROCESSOR,
    cluster,
    import_ray,
    original,
    use_one_thread,
    workers,
)
from anomalyncd.scale.rows import (
    BYTES,
    GROUP,
    NAME,
    PATH,
    image_rows,
    is_place,
    read_group,
    read_place,
)
from anomalyncd.workflows import warn_of_pending_labels

PARTS = "images"
"""Folder of the parts of the table; pandas and others read it as one table."""
_SUFFIX = ".parquet"
_LARGEST_PART = 128
_PARTS_A_WORKER = 8
"""So that workers end at about the same time, and little is lost with one of them."""
_WORKERS_A_WRITER = 16

Row = dict[str, Any]


def predict_with_ray(
    run: str | Path,
    images: str | Path,
    folder: str | Path,
    *,
    address: str | None = None,
    skip_damaged: bool = False,
    weights: str | Path | None = None,
    device: str | None = None,
) -> int:
    """Classifies images on a cluster of Ray and writes a table of Parquet in parts.

    Each row is an image: the columns of `images.csv` of `predict_run`, `regions`, a list of the
    rows of its `regions.csv`, and `mask`, the content of a PNG file. The same call goes on with the
    images that are not in the table yet. Workers look at each image alone, as `Predictor` does.

    Args:
        run: Folder of a finished run, on a disk that all machines see at the same path.
        images: See `image_rows`; files on disks too have the same path on all machines.
        folder: A new or empty folder on such a disk, or one that this call wrote; the parts of
            another model are deleted.
        address: See `cluster`.
        skip_damaged: Whether images that cannot be read are left out; the same call tries them
            again.
        weights: See `AnomalyNCD.load`.
        device: See `AnomalyNCD.load`.

    Returns:
        Number of images in the table.

    Raises:
        InputError: The folder, the run or an image cannot be used, or Ray is not installed. What
            was written before stays.
    """
    import_ray()
    folder = Path(folder).expanduser().absolute()
    refuse_unwritable(folder)
    refuse_folder_within(folder, images)
    rows = image_rows(images)
    predictor = Predictor(run, weights=weights, device=device, threads=None)
    warn_of_pending_labels(Path(run))
    parts = folder / PARTS
    # Nothing is deleted before it is certain that no other command writes these parts.
    with only_writer(folder):
        with writing(folder):
            parts.mkdir(parents=True, exist_ok=True)
            keep_only_files_of(_made_from(predictor), folder, frozenset({_SUFFIX}), "table")
        done = _names_in(parts)
        if done:
            LOG.info("%s predicted before", counted(len(done), "image is", "images are"))
        with cluster(address):
            _run(predictor, rows, parts, done, skip_damaged)
        total = len(_names_in(parts))
    if NAME in rows and (left := len(rows) - total) > 0:
        LOG.warning("%s left out; mend them and give the same command", counted(left, "image is"))
    return total


def read_predictions(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads what `predict_with_ray` wrote as two tables, as `images.csv` and `regions.csv` are.

    Args:
        folder: As for `predict_with_ray`.

    Returns:
        One row an image and one row a region, sorted by the names of the images; without masks.

    Raises:
        InputError: The folder holds no part.
    """
    from pyarrow import concat_tables, parquet

    files = sorted((Path(folder).expanduser() / PARTS).glob(f"*{_SUFFIX}"))
    if not files:
        raise InputError(f"'{folder}' holds no predictions of Ray; give the folder of some")
    table = concat_tables(
        [parquet.read_table(path) for path in files], promote_options="permissive"
    )
    images = table.to_pandas().sort_values(NAME, ignore_index=True)
    regions = [_region(row, one) for _, row in images.iterrows() for one in row["regions"]]
    return images.drop(columns=["regions", "mask"]), pd.DataFrame(regions)


class PredictRow:
    """Turns the row of an image into that of its prediction; one is warm in each worker.

    Args:
        predictor: Pickled, it is loaded in the worker.
        done: Names of images to pass over.
        skip_damaged: Whether an image that cannot be read gives no row.
    """

    def __init__(self, predictor: Predictor, done: frozenset[str], skip_damaged: bool) -> None:
        use_one_thread()
        self._predictor, self._done, self._skip = predictor, done, skip_damaged

    def __call__(self, row: Row) -> list[Row]:
        """Returns the rows of predictions of an image, or of a group of rows of Parquet.

        Raises:
            InputError: An image cannot be read.
        """
        images = read_group(row[PATH], row[GROUP]) if GROUP in row else [row]
        predicted = []
        for image in images:
            if image[NAME] in self._done:
                continue
            try:
                predicted.append(_predicted(self._predictor, image))
            except InputError:
                if not self._skip:
                    raise
        return predicted


def _predicted(predictor: Predictor, row: Row) -> Row:
    further = {name: value for name, value in row.items() if name not in (NAME, PATH, BYTES)}
    place = row.get(PATH) or row[NAME]
    picture = row[BYTES] if BYTES in row else read_place(place) if is_place(place) else place
    tables = predictor.tables(picture, row[NAME])
    images = tables.images
    if predictor.threshold is not None:
        images = images.assign(ok=images["score"] <= predictor.threshold)
    regions = tables.regions.drop(columns=[NAME, PATH]).to_dict("records")
    return {
        **{str(name): value for name, value in images.to_dict("records")[0].items()},
        PATH: place,
        **further,
        "regions": regions,
        "mask": tables.masks.codes[0],
    }


def _run(
    predictor: Predictor, rows: pd.DataFrame, parts: Path, done: frozenset[str], skip: bool
) -> None:
    ray = import_ray()
    n_workers, asked = workers(predictor.device)
    dataset = _dataset(rows, done, n_workers)
    if dataset is None:
        return
    predicted = dataset.flat_map(
        PredictRow,
        fn_constructor_args=(predictor, done, skip),
        compute=ray.data.ActorPoolStrategy(size=n_workers),
        **asked,
    )
    try:
        predicted.write_parquet(
            str(parts), ray_remote_args=NO_PROCESSOR, concurrency=1 + n_workers // _WORKERS_A_WRITER
        )
    except Exception as error:
        found = original(error)
        if found is error:
            raise
        raise found from None


def _dataset(rows: pd.DataFrame, done: frozenset[str], n_workers: int) -> Any:
    """The images that are not done as a data set of Ray; None where none is left."""
    left = rows[~rows[NAME].isin(done)] if NAME in rows else rows
    if left.empty:
        return None
    part = min(_LARGEST_PART, -(-len(left) // (n_workers * _PARTS_A_WORKER)))
    parts = [left.iloc[start : start + part] for start in range(0, len(left), part)]
    return import_ray().data.from_pandas(parts)


def _made_from(predictor: Predictor) -> str:
    """Key of the model and its operating point."""
    files = sorted(path for path in predictor.model.rglob("*") if path.is_file())
    return key_of_version([content_digest(path) for path in files], predictor.threshold)


def _names_in(parts: Path) -> frozenset[str]:
    """Names of the images in all parts; parts that an interruption left incomplete are deleted."""
    from pyarrow import ArrowException, parquet

    names: set[str] = set()
    for path in sorted(parts.glob(f"*{_SUFFIX}")):
        try:
            names.update(parquet.read_table(path, columns=[NAME])[NAME].to_pylist())
        except ArrowException:
            path.unlink()
    return frozenset(names)


def _region(image: "pd.Series[Any]", region: Mapping[str, Any]) -> Row:
    return {NAME: image[NAME], PATH: image[PATH], **region}

"""Ablations on real images: what NMI, ARI and F1 become when one thing is changed.

The rows are those of `ablation_rows.py`. Maps are those of the default detector, made once a set,
except for rows that change it.
Tokens are read once for all seeds and all rows that need the same. Each row is written when it is
measured, one file a set, so that an interrupted run goes on; a row is measured again when what it
stands for, or the maps, have changed. `docs/ablations.md` is written anew from the files.

    ANOMALYNCD_DATA=... python benchmarks/ablations.py [--sets mtd] [--untrained] [--page]
"""

import argparse
import copy
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from anomalyncd.steps import (
    RunContext,
    find_and_read,
    fit_objects,
    score_parts,
)
from numpy.typing import NDArray

from ablation_page import PAGE, RESULT, page
from ablation_rows import Row, distinct_rows, tokens_of
from anomalyncd.config import PRESETS
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.base_regions import BaseRegions, read_base
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import LEFT_OUT
from anomalyncd.evaluation.ground_truth import NORMAL_LABELS, labels_from_names
from anomalyncd.evaluation.metrics import cluster_scores, match_classes
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.io.key import key
from anomalyncd.regions.finding import Found
from anomalyncd.results.predictions import aggregate
from anomalyncd.runtime.measurement import Stages
from common import (
    FOLDERS,
    RESULTS,
    keep_no_tokens,
    machine,
    new_encoder,
    real_data,
    with_built_in_maps,
)


@dataclass(frozen=True)
class Tokens:
    """What several rows share."""

    context: RunContext
    found: Found
    cache: TokenStore
    base: BaseRegions | None


def read(row: Row, inputs: Inputs, source: Path, work: Path) -> Tokens:
    """Regions and tokens for a row and for all that need the same."""
    config = row.config
    if row.masks:
        marked = Masks.from_folder(source / "ground_truth", inputs.images)
        inputs = replace(inputs, masks=marked)
    if row.other_maps:
        inputs = with_built_in_maps(inputs, config, work / f"maps_{row.digest}")
    context = RunContext(new_encoder(config, row.backbone), config, 0, work, Stages())
    foreground = fit_objects(context, inputs).masks
    found, cache = find_and_read(context, inputs, score_parts(context, inputs), foreground)
    base = None
    if row.base is not None:
        known = check_inputs(source, maps=inputs.maps, base=real_data() / row.base).base
        assert known is not None
        with context.stages("base"):
            base = read_base(known, context.encoder, config, 0, work / "base")
    return Tokens(context, found, cache, base)


def measure(row: Row, inputs: Inputs, tokens: Tokens, seeds: int) -> dict[str, Any]:
    """Scores of a row over seeds, with the seconds that all of them took."""
    labels = np.array(labels_from_names(inputs.images.names))
    counted = ~np.isin(labels, LEFT_OUT)
    n_classes = len(set(labels[counted]))
    scores, stages = [], Stages()
    for seed in range(seeds):
        encoder = copy.deepcopy(tokens.context.encoder)
        with stages("train"):
            classes = discover_classes(
                encoder,
                tokens.cache,
                tokens.found.regions.score,
                n_classes,
                tokens.base,
                row.config,
                seed,
                tokens.found.max_normal_score,
                tokens.found.regions.found,
            )
        tables = aggregate(
            inputs.images,
            inputs.sizes,
            tokens.found,
            classes.features,
            classes.probabilities,
            rule=row.config.aggregation.rule,
        )
        found = tables.images["class"].to_numpy()[counted]
        score = cluster_scores(labels[counted], found)
        scores.append((score.nmi, score.ari, score.f1, normal_recall(labels[counted], found)))
    means, spreads = np.mean(scores, 0), np.std(scores, 0)
    names = ("nmi", "ari", "f1", "normal_recall")
    return {
        "config": row.digest,
        "n_regions": len(tokens.found.regions),
        **{
            name: {"mean": round(float(mean), 3), "std": round(float(spread), 3)}
            for name, mean, spread in zip(names, means, spreads, strict=True)
        },
        "seconds": dict(tokens.context.stages.seconds) | dict(stages.seconds),
    }


def normal_recall(labels: NDArray[np.str_], found: NDArray[np.int64]) -> float:
    """Share of the normal images whose class is the one that is matched with the normal one."""
    normal = np.array([label.lower() in NORMAL_LABELS for label in labels])
    matched = match_classes(labels, found)
    hit = [matched.get(one) == label for one, label in zip(found, labels, strict=True)]
    return float(np.mean(np.array(hit)[normal]))


def measured_before(path: Path, header: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Results that still hold, by the name of the row."""
    with suppress(InputError):
        before = read_json(path, "result")
        same = all(before.get(name) == header[name] for name in ("set", "n_seeds", "maps_digest"))
        digests = {row.name: row.digest for row in rows}
        kept = before["rows"].items() if same else ()
        return {name: row for name, row in kept if row["config"] == digests.get(name)}
    return {}


def run_set(name: str, options: argparse.Namespace, work: Path) -> None:
    """Measures what is missing of a set, row by row."""
    source, path = real_data() / FOLDERS[name], options.out / RESULT.format(name)
    if options.maps is None:
        inputs = with_built_in_maps(check_inputs(source), PRESETS["default"], work / "maps")
    else:
        inputs = check_inputs(source, maps=options.maps / f"{name}_zero_shot")
    assert inputs.maps is not None
    digest = key(*(np.asarray(scores, np.float16) for scores in inputs.maps))[:12]
    header = {"set": name, "n_seeds": options.seeds, "maps": "zero_shot", "maps_digest": digest}
    rows = distinct_rows()
    results = measured_before(path, header, rows)
    held, tokens = None, None
    for row in rows:
        skipped = options.untrained and row.config.training.epochs > 0
        if skipped or row.name in results:
            continue
        try:
            if held != tokens_of(row):
                held, tokens = None, None  # Before more is read, what is not needed is let go.
                tokens = read(row, inputs, source, work)
                held = tokens_of(row)
            assert tokens is not None
            results[row.name] = measure(row, inputs, tokens, options.seeds)
        except InputError as error:
            print(f"{name}: {row.name}: left out: {error}", flush=True)
            continue
        write_json(path, {**header, **machine(), "rows": results})
        print(f"{name}: {row.name}: {results[row.name]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--maps", type=Path, help="ready-made maps, a folder SET_zero_shot a set")
    parser.add_argument("--untrained", action="store_true", help="leave out rows that train")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="only write docs/ablations.md anew")
    options = parser.parse_args()
    if not options.page:
        keep_no_tokens()
        options.out.mkdir(parents=True, exist_ok=True)
        for name in options.sets:
            with tempfile.TemporaryDirectory() as work:
                run_set(name, options, Path(work))
    if options.out == RESULTS:
        PAGE.write_text(page(RESULTS), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

"""Builds `report.html` from a finished run."""

import json
from pathlib import Path
from typing import Any

from anomalyncd.errors import InputError
from anomalyncd.evaluation.evaluate import evaluate_if_labelled
from anomalyncd.evaluation.map_evaluation import evaluate_maps
from anomalyncd.evaluation.operating_point import curve_of_run
from anomalyncd.images.image_set import as_image_set
from anomalyncd.inputs.inputs import ImagesLike
from anomalyncd.io.writing import refuse_unwritable, remove_abandoned
from anomalyncd.regions.mebin import select_threshold
from anomalyncd.report import plots
from anomalyncd.report.album import Choice, make_album
from anomalyncd.report.axes import Mark
from anomalyncd.report.contents import (
    N_LISTED,
    by_turns,
    class_cards,
    composite_images,
    detection_line,
    doubtful_images,
    foreground_images,
    foreground_line,
    images_by_class,
    maps_line,
    normal_images,
    reliability_line,
    summary,
    title,
)
from anomalyncd.report.label_book import label_book_section
from anomalyncd.report.page import class_number_plot, write_page
from anomalyncd.report.projection import projection
from anomalyncd.report.trends import pareto_charts, trend_chart
from anomalyncd.results.operating_point import read_point
from anomalyncd.results.run_folder import Run, read_run

REPORT = "report.html"
_N_SHOWN = 24
"""Number of images that a section shows at medium size."""
_N_ATTENTION = 6
"""Number of regions of each class whose attention is shown."""


def write_report(folder: str | Path, images: ImagesLike | None = None) -> Path:
    """Writes a page about a run that loads nothing from elsewhere.

    Args:
        folder: A finished run.
        images: The images, where they are now, as they were given to the run; they are found by
            their names. None reads them from their original paths.

    Returns:
        `folder/report.html`.

    Raises:
        InputError: The folder contains no finished run, nothing can be written there, or most
            images are not found. An earlier report stays as it is.
    """
    run = read_run(folder)
    refuse_unwritable(run.folder)
    run = run if images is None else run.with_images(as_image_set(images))
    run.refuse_lost_images()
    remove_abandoned(run.folder)
    path = run.folder / REPORT
    write_page(path, **contents(run))
    return path


def contents(run: Run) -> dict[str, Any]:
    """Collects the variables of the template."""
    cards, number, names = class_cards(run), run.class_number, run.class_names
    composite, normal, doubtful = composite_images(run), normal_images(run), doubtful_images(run)
    foreground, listed = foreground_images(run), images_by_class(run)
    choice = Choice(
        [*by_turns([card.typical for card in cards]), *by_turns([c.uncertain for c in cards])],
        [*list(doubtful)[:_N_SHOWN], *list(composite)[:_N_SHOWN], *normal],
        by_turns(list(listed.values())),
        [row for card in cards for row in card.typical[:_N_ATTENTION]],
        list(foreground),
    )
    return {
        "run": run,
        "title": title(run),
        "summary": summary(run),
        "warnings": run.record.get("warnings", []),
        "maps_line": maps_line(run),
        "foreground_line": foreground_line(run),
        "reliability_line": reliability_line(run),
        "detection_line": detection_line(evaluate_maps(run)),
        "record": json.dumps(run.record, indent=2, ensure_ascii=False, default=str),
        "cards": cards,
        "label_book": label_book_section(run),
        "heat_maps": {
            card.index: plots.heat_map(card.positions, f"Where {card.name} occurs")
            for card in cards
        },
        "colour": plots.colour,
        "class_number": number,
        "class_number_plot": class_number_plot(number) if number else None,
        "sizes_plot": _sizes_plot(run),
        "projection": projection(run),
        "paretos": dict(pareto_charts(run.images)),
        "trend": trend_chart(run.images, names),
        "n_without": int((run.images["n_regions"] == 0).sum()),
        "score_plot": _score_plot(run),
        "count_curve": _count_curve(run),
        "evaluation": evaluate_if_labelled(run.images),
        "n_shown": _N_SHOWN,
        "most_listed": N_LISTED,
        "album": make_album(run, choice),
        "normal": normal,
        "composite": composite,
        "doubtful": doubtful,
        "listed": listed,
        "foreground": foreground,
        **_operating(run),
    }


def _sizes_plot(run: Run) -> str:
    table = run.classes.sort_values("n_images", ascending=False, kind="stable")
    rows = [
        (row["class_name"], [(row["class"], float(row["n_images"]))])
        for row in table.to_dict("records")
    ]
    return plots.bars(rows, "Number of images of each class")


def _score_plot(run: Run) -> str:
    scores, without = run.images["score"].to_numpy(), run.images["n_regions"].to_numpy() == 0
    groups = [("no region", 0, scores[without]), ("with a region", 1, scores[~without])]
    return plots.histogram(groups, "Anomaly scores of the images")


def _count_curve(run: Run) -> tuple[str, str] | None:
    """Returns the name of the image with a median score, of those with a region, and its counts."""
    with_region = run.images[run.images["n_regions"] > 0].sort_values("score", kind="stable")
    if not run.counts.shape[1] or not len(with_region):
        return None
    index = int(str(with_region.index[len(with_region) // 2]))
    mebin = run.record["config"]["mebin"]
    if mebin["binarisation"] != "mebin":
        return None
    chosen, _ = select_threshold(run.counts[index], mebin["min_interval_length"])
    name = str(run.images["name"].iloc[index])
    return name, plots.count_curve(run.counts[index], chosen, f"Regions of {name}")


def _operating(run: Run) -> dict[str, Any]:
    """Plots escapes and overkill, with the operating point where one was chosen."""
    point = read_point(run.folder)
    try:
        curve = curve_of_run(run, point.normal if point else None)
    except InputError:
        return {"operating_plot": None, "point": None}
    lines = [("overkill", 2, list(zip(curve.thresholds, 100 * curve.overkill, strict=True)))]
    if curve.escapes is not None:
        escapes = list(zip(curve.thresholds, 100 * curve.escapes, strict=True))
        lines.append(("escapes", 1, escapes))
    mark = Mark(point.threshold, f"NG above {point.threshold:.3f}") if point else None
    labels = "threshold on the score", "% of images"
    plot = plots.curves(lines, labels, "Escapes and overkill", mark=mark)
    return {"operating_plot": plot, "point": point}

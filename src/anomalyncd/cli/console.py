"""What commands print: tables and lines, without colours where the output is no terminal."""

import re
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from anomalyncd.discovery.class_number import ClassNumber
    from anomalyncd.evaluation.comparison import Comparison
    from anomalyncd.evaluation.evaluate import Evaluation
    from anomalyncd.evaluation.map_evaluation import MapEvaluation
    from anomalyncd.evaluation.region_evaluation import RegionEvaluation
    from anomalyncd.regions.inspection import MapInspection


def say(line: str) -> None:
    """Prints a line as it is, on standard output."""
    Console(highlight=False, markup=False).print(line, soft_wrap=True)


def complain(line: str) -> None:
    """Prints a red line on standard error."""
    console = Console(stderr=True, highlight=False, markup=False)
    console.print(_on_one_line(line), style="red", soft_wrap=True)


def warn(warning: str) -> None:
    """Prints a warning in yellow on standard output."""
    console = Console(highlight=False, markup=False)
    console.print(f"Warning: {_on_one_line(warning)}", style="yellow", soft_wrap=True)


def _on_one_line(text: str) -> str:
    # Messages contain names of files, and on Linux these may contain any character.
    joined = " ".join(text.splitlines())
    return re.sub("[\0-\x1f\x7f-\x9f\ud800-\udfff]", lambda match: ascii(match[0])[1:-1], joined)


def print_frame(frame: "pd.DataFrame", title: str) -> None:
    """Prints a data frame without its index."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(frame.columns):
        table.add_column(Text(str(column)), justify="right" if index else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(value)) for value in row))
    Console().print(table)


def print_facts(facts: "Iterable[tuple[str, str]]") -> None:
    """Prints pairs of a word and a finding, one on each line."""
    table = Table(show_header=False, box=None)
    for what, finding in facts:
        table.add_row(Text(what), Text(finding))
    Console().print(table)


def print_classes(classes: "pd.DataFrame") -> None:
    """Prints how many images and regions each class has; see `Predictions.classes`."""
    counted = (classes["class"] >= 0) | (classes["n_images"] + classes["n_regions"] > 0)
    shown = classes.loc[counted, ["class_name", "n_images", "n_regions", "mean_area"]].copy()
    # The mean of a class without regions is not a number.
    shown["mean_area"] = shown["mean_area"].map("{:.0f}".format).replace("nan", "-")
    shown.columns = ["class", "images", "regions", "mean area in px"]
    print_frame(shown, "Classes")


def print_class_number(number: "ClassNumber") -> None:
    """Prints the estimate of each criterion, then the number of classes."""
    import pandas as pd

    if number.votes:
        votes = pd.DataFrame(number.votes.items(), columns=["criterion", "classes"])
        print_frame(votes, "Number of classes")
    say(str(number))


def print_scores(evaluations: "dict[str, Evaluation]") -> None:
    """Prints the scores of one or several methods over the same images."""
    table = Table(title="Scores", title_justify="left")
    for column in ("", "NMI", "ARI", "F1", "images"):
        table.add_column(column, justify="right" if column else "left")
    for name, evaluation in evaluations.items():
        scores = evaluation.scores
        if scores is None:
            continue
        values = (f"{score:.3f}" for score in (scores.nmi, scores.ari, scores.f1))
        table.add_row(Text(name), *values, str(evaluation.n_images))
    Console().print(table)


_MAP_SCORES = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO, false positive rate up to 0.3",
    "normal_with_region": "normal images with a region",
    "defective_without_region": "defective images without a region",
    "pixel_precision": "pixel precision of the masks",
    "pixel_recall": "pixel recall of the masks",
    "region_precision": "regions that touch a defect",
    "region_recall": "defects that a mask touches",
}


def print_detection(detection: "MapEvaluation | None") -> None:
    """Prints the scores of maps and regions, as far as they are known."""
    if detection is None:
        return
    table = Table(title="Maps and regions", title_justify="left")
    table.add_column("")
    table.add_column("score", justify="right")
    groups = detection.to_dict().values()
    values = {name: value for group in groups for name, value in group.items()}
    for name, meaning in _MAP_SCORES.items():
        if values.get(name) is not None:
            table.add_row(meaning, f"{values[name]:.3f}")
    Console().print(table)
    if detection.n_unmarked:
        say(
            f"pixels and regions of {counted(detection.n_unmarked, 'image')} are left out, since "
            "the defects are not marked"
        )


def print_kinds(regions: "RegionEvaluation | None") -> None:
    """Prints the scores of the classes of regions, where masks name the kinds of the defects."""
    if regions is None:
        return
    table = Table(title="Kinds of defects in the true masks", title_justify="left")
    for column in ("kind", "defects found", "regions", "matched class"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for name, kind in regions.kinds.items():
        found = f"{kind.touched:,} of {kind.defects:,}"
        table.add_row(Text(name), found, f"{kind.regions:,}", Text(kind.class_name or "-"))
    Console().print(table)
    total = regions.n_regions + regions.n_false_alarms
    say(
        f"regions that touch a true defect: {regions.n_regions:,} of {total:,} "
        f"(false alarms: {regions.n_false_alarms:,})"
    )
    if regions.scores is not None:
        nmi, ari, f1 = regions.scores.nmi, regions.scores.ari, regions.scores.f1
        say(
            f"classes of these regions against the kinds: NMI {nmi:.3f}, ARI {ari:.3f}, F1 {f1:.3f}"
        )
    if regions.image_f1 is not None:
        say(
            f"kinds on an image against the matched classes on it: F1 {regions.image_f1:.3f} over "
            f"{counted(regions.n_images, 'image')}"
        )


_MOST_CHANGES = 30


def print_changes(comparison: "Comparison", first: str, second: str) -> None:
    """Prints how classes correspond between two runs, and the images that changed theirs."""
    import pandas as pd

    matched = pd.DataFrame(comparison.matched.items(), columns=[first, second])
    print_frame(matched, "Classes that share most images")
    changed = comparison.changed
    if len(changed):
        shown = changed.head(_MOST_CHANGES).set_axis(["image", first, second], axis=1)
        hidden = len(changed) - len(shown)
        more = f" ({hidden} more are not shown)" if hidden else ""
        print_frame(shown, f"Images that changed their class{more}")
    say(
        f"{len(changed)} of {counted(comparison.n_shared, 'image')} changed their class; "
        f"agreement NMI {comparison.agreement.nmi:.3f}, ARI {comparison.agreement.ari:.3f}"
    )
    for names, where in ((comparison.only_first, first), (comparison.only_second, second)):
        if names:
            say(f"{counted(len(names), 'image is', 'images are')} only in {where}")


_N_BARS, _BAR = 12, 36


def print_inspection(inspection: "MapInspection", name_options: "Callable[[str], str]") -> None:
    """Prints the regions that MEBin finds in anomaly maps, and warnings about the maps.

    Args:
        inspection: The regions.
        name_options: Replaces the arguments that a warning names by options.
    """
    from anomalyncd.regions.inspection import facts
    from anomalyncd.regions.map_warnings import map_warnings

    print_facts(facts(inspection))
    _print_maxima(inspection)
    warnings = map_warnings(inspection)
    for warning in warnings:
        warn(name_options(warning))
    if not warnings:
        say("No warnings.")


def _print_maxima(inspection: "MapInspection") -> None:
    """Prints a histogram of the maxima of the maps, the highest first."""
    import numpy as np

    edges = inspection.edges(_N_BARS)
    total, _ = np.histogram(inspection.maxima, edges)
    without, _ = np.histogram(inspection.maxima[inspection.without_region], edges)
    table = Table(title="Highest score of each map", title_justify="left", box=None)
    table.add_column("score", justify="right")
    table.add_column("images", justify="right")
    table.add_column("no region", justify="right")
    table.add_column("")
    for index in reversed(range(_N_BARS)):
        bar = "#" * -(-_BAR * int(total[index]) // int(total.max()))
        counts = (str(total[index]), str(without[index]))
        table.add_row(f"{edges[index]:.3g} to {edges[index + 1]:.3g}", *counts, bar)
    Console().print(table)

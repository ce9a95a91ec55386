"""Writes docs/results.md from the benchmarks whose results are committed; `make results`."""

from pathlib import Path

from anomalyncd.io.files import write_atomically
from anomalyncd_bench.writing import results_page

FOLDER = Path("benchmarks/results/bench")
PAGE = Path("docs/results.md")


def main() -> None:
    folders = sorted(path.parent for path in FOLDER.glob("*/plan.json"))
    with write_atomically(PAGE) as temporary:
        temporary.write_text(results_page(folders), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

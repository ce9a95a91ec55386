"""Faults injected for real, each with what happens and what is lost.

Tiny images and a tiny backbone make a whole run take a second, so that hundreds of faults can be
tried. Each kind of fault prints a line for each thing that it was done to: how often it was tried,
how often everything went on as if nothing had happened, and what went wrong in the other cases.

    python benchmarks/faults.py kill [--only discover,watch] [--tries 200]
    python benchmarks/faults.py bits [--tries 400]
    python benchmarks/faults.py all --out runs/faults.json

`kill` ends a command by SIGKILL at random moments, half of them at a random change of a file. What
is left has to be whole, and the same command again has to give the same bytes as one that was never
killed. `bits` turns bits of files around that a command reads, and cuts them off. `vanish` takes
the folder of the images or of the results away, `stall` lets a drive stall or fail, `memory` limits
the memory, and `two` starts a command a second time while it runs.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / one) for one in ("src", "tests", "benchmarks")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

from fault_kinds import bits, drives, kills, others  # noqa: E402
from fault_kinds.trials import Trials  # noqa: E402

KINDS = {
    "kill": kills.try_all,
    "bits": bits.try_all,
    "memory": others.too_little_memory,
    "vanish": others.vanishing,
    "two": others.two_at_once,
    "stall": drives.stalling,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=[*KINDS, "all"])
    parser.add_argument("--only", default="", help="names of what the fault is done to")
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=1e6, help="at most for each of these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/faults.json"))
    options = parser.parse_args()
    only = tuple(one for one in options.only.split(",") if one)
    out = options.out.absolute()  # The commands work in a folder that is gone at the end.
    out.parent.mkdir(parents=True, exist_ok=True)
    found = []
    with tempfile.TemporaryDirectory() as work:
        for kind in KINDS if options.kind == "all" else (options.kind,):
            rng = random.Random(options.seed)
            place, seconds = Path(work) / kind, 60 * options.minutes
            for row in KINDS[kind](Trials(place, only, options.tries, seconds, rng)):
                found.append({"fault": kind} | row)
                print(json.dumps(found[-1]), flush=True)
    out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

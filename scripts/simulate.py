"""How often the claims of a report hold: thousands of synthetic sweeps through the code of camri_exp.report.

python scripts/simulate.py                    (about half an hour of one core; writes docs/statistics.md)
python scripts/simulate.py --seconds 400      (stops after this time; the same command continues)
python scripts/simulate.py --page             (rebuilds docs/statistics.md from docs/statistics.json)

Each cell has its own random numbers, so that the result does not depend on the order or on interruptions.
"""

import argparse
import time
import zlib
from pathlib import Path

import numpy as np
from simulation import page
from simulation.measures import Cell, Counts

ROOT = Path(__file__).resolve().parents[1]
DATA, PAGE = ROOT / "docs" / "statistics.json", ROOT / "docs" / "statistics.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after this time")
    parser.add_argument("--page", action="store_true", help="rebuild the page without simulating")
    parser.add_argument("--data", type=Path, default=DATA, help="where the results are kept")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--sweeps", type=float, default=1.0, metavar="SHARE", help="draw this share of the sweeps")
    parser.add_argument("--table", help="simulate the cells of this table only, such as promise")
    options = parser.parse_args()
    kept, end = page.read(options.data), time.monotonic() + options.seconds
    for cell in [] if options.page else page.cells():
        if cell.key in kept or options.table not in (None, cell.table):
            continue
        if time.monotonic() > end:
            print(f"{len(kept)} of {len(page.cells())} cells are done. The same command continues.")
            break
        kept[cell.key] = simulated(cell, max(round(cell.sweeps * options.sweeps), 1))
        page.keep(kept, options.data)
        print(cell.key, kept[cell.key], flush=True)
    options.output.write_text(page.text(kept), encoding="utf-8")


def simulated(cell: Cell, sweeps: int) -> Counts:
    """The mean of each measure over the sweeps of ``cell``, and their number, ``sweeps``."""
    rng = np.random.default_rng(zlib.crc32(cell.key.encode()))
    made = [cell.measure(rng) for _ in range(sweeps)]
    means = {name: mean([counts[name] for counts in made]) for name in made[0]}
    return {**means, "sweeps": sweeps}


def mean(values: list[float]) -> float:
    """The mean of the values that are defined, to five digits."""
    known = np.array(values)[~np.isnan(values)]
    return round(float(known.mean()), 5) if len(known) else float("nan")


if __name__ == "__main__":
    main()

"""Measure how fast camri_exp is, side by side with the alternatives, and write down what came out.

python scripts/benchmark.py                                    (everything, some half an hour on two idle cores)
python scripts/benchmark.py --only training --quick            (does it run? one short repeat; its numbers mean nothing)
python scripts/benchmark.py --json docs/performance/NAME.json  (keeps the measurements there that are not made now)
python scripts/benchmark.py --docs                             (docs/performance.md from docs/performance/*.json)

A benchmark is one file in scripts/benchmarks with a docstring, whose first line is its title, and a function
``measure(quick: bool) -> list[Row]``. Real pictures are read from $CAMRI_DATA.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import _page
from benchmarks._frame import UnavailableError, load, machine, names

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="one short repeat of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here")
    parser.add_argument("--docs", action="store_true", help="measure nothing, rebuild docs/performance.md")
    asked = parser.parse_args()
    if asked.docs:
        (DOCS / "performance.md").write_text(_page.page(_page.read(DOCS / "performance")), encoding="utf-8")
        return 0
    for name in asked.only:
        measure(name, asked.quick, asked.json)
    return 0


def measure(name: str, quick: bool, output: Path | None) -> None:
    """Run one benchmark, print its table, and put it into the file ``output``."""
    module, begin, about = load(name), time.perf_counter(), machine()
    print(f"\n{name}: {_page.title(module)}", flush=True)
    try:
        rows = module.measure(quick)
    except UnavailableError as reason:
        print(f"left out: {reason}")
        return
    seconds = round(time.perf_counter() - begin, 1)
    print(f"{_page.table(rows)}\n({seconds:.0f} s)", flush=True)
    if output is not None:
        known = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
        section = {
            "date": time.strftime("%Y-%m-%d"),
            "quick": quick,
            "seconds": seconds,
            "machine": about,
            "rows": [row.as_dict() for row in rows],
        }
        benchmarks = known.get("benchmarks", {}) | {name: section}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps({"schema": 1, "benchmarks": benchmarks}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

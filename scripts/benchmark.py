"""Measure the speed and memory of camri_exp, compared with baselines, and store the measurements.

python scripts/benchmark.py                                    (all benchmarks; about half an hour on two idle cores)
python scripts/benchmark.py --only training --quick            (one short repeat: a test, whose numbers mean nothing)
python scripts/benchmark.py --json docs/performance/NAME.json  (store; measurements of other benchmarks are kept)
python scripts/benchmark.py --docs                             (rebuild docs/performance.md, without measuring)

A benchmark is a file in scripts/benchmarks with a docstring, whose first line is its title, and a function
``measure(quick: bool) -> list[Measurement]``. Real images are read from $CAMRI_DATA.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import _render
from benchmarks._harness import UnavailableError, load, machine, names

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="measure one short repeat; the numbers mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the measurements in this file")
    parser.add_argument("--docs", action="store_true", help="rebuild docs/performance.md without measuring")
    arguments = parser.parse_args()
    if arguments.docs:
        (DOCS / "performance.md").write_text(_render.page(_render.read(DOCS / "performance")), encoding="utf-8")
        return 0
    for name in arguments.only:
        measure(name, arguments.quick, arguments.json)
    return 0


def measure(name: str, quick: bool, output: Path | None) -> None:
    """Run one benchmark, print its table, and store its measurements in the JSON file ``output``."""
    module, begin, hardware = load(name), time.perf_counter(), machine()
    print(f"\n{name}: {_render.title(module)}", flush=True)
    try:
        measurements = module.measure(quick)
    except UnavailableError as reason:
        print(f"skipped: {reason}")
        return
    seconds = round(time.perf_counter() - begin, 1)
    print(f"{_render.table(measurements)}\n({seconds:.0f} s)", flush=True)
    if output is not None:
        known = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
        section = {
            "date": time.strftime("%Y-%m-%d"),
            "quick": quick,
            "seconds": seconds,
            "machine": hardware,
            "rows": [measurement.to_dict() for measurement in measurements],
        }
        benchmarks = known.get("benchmarks", {}) | {name: section}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps({"schema": 1, "benchmarks": benchmarks}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

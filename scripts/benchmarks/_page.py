"""Rows as tables, and all measurements as docs/performance.md. No number in that page is typed by hand."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks._frame import Row, load, names, row

HEADER = ("what", "ours", "against", "ratio (quartiles)", "target", "met")
OPENING = """# Performance

Made by `python scripts/benchmark.py --docs` from the measurements in [docs/performance](performance); every number here
comes from there. To measure on your own machine:

    python scripts/benchmark.py --json docs/performance/NAME.json

Everything is measured beside its alternative in one process or in processes started in turn, after a warm-up of each:
medians, and in brackets the quartiles of the ratio over the repeats (of the number itself where there is no rival).
Where the machine had other work beside the measuring, the load average says so: ratios then mean more than the numbers.
"""


def title(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[0].rstrip(".")


def reading(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[2].strip()


def table(rows: Iterable[Row]) -> str:
    """A Markdown table, its columns aligned for those who read it as text."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def cells(one: Row) -> tuple[str, ...]:
    low, high = one.spread
    against = f"{number(one.against)} {one.unit}" if one.against is not None else ""
    quartiles = f"({number(low)}-{number(high)})"
    return (
        one.what + (f" ({one.note})" if one.note else ""),
        f"{number(one.ours)} {one.unit}" + ("" if one.ratio is not None else f" {quartiles}"),
        f"{one.rival}: {against}" if one.rival else "",
        f"{number(one.ratio)} {quartiles}" if one.ratio is not None else "",
        one.target,
        {None: "", True: "yes", False: "**no**"}[one.met],
    )


def number(value: float | None) -> str:
    """Three figures, never an exponent."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


def read(folder: Path) -> dict[str, Any]:
    """The measurements in ``folder``, by the name of their file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def page(measurements: Mapping[str, Any]) -> str:
    """docs/performance.md: a section a benchmark, in it a table a machine."""
    parts = [OPENING]
    for name in names():
        module = load(name)
        parts.append(f"## {title(module)}\n\n`python scripts/benchmark.py --only {name}`\n\n{reading(module)}\n")
        sections = [found["benchmarks"][name] for found in measurements.values() if name in found["benchmarks"]]
        parts += [f"{machine_line(one)}\n\n{table(map(row, one['rows']))}\n" for one in sections]
        if not sections:
            parts.append("Not measured yet.\n")
        parts += [f"![{path.stem}]({path})\n" for path in figures(module)]
    return "\n".join(parts)


def figures(module: ModuleType) -> Sequence[Path]:
    """The pictures that a benchmark writes, as the page beside ``figures/`` links them: its constant ``FIGURES``."""
    return [Path("figures") / name for name in getattr(module, "FIGURES", ())]


def machine_line(section: Mapping[str, Any]) -> str:
    machine = section["machine"]
    devices = ", ".join(machine["gpus"]) or "no GPU"
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    quick = " `--quick`: these numbers mean nothing." if section["quick"] else ""
    load = f", load average {machine['load']}" if "load" in machine else ""
    return (
        f"*{section['date']}: {machine['processor']}, {machine['cores']} cores ({machine['threads']} threads used), "
        f"{machine['memory_gib']} GiB, {devices}{load}; Python {machine['python']}, {packages}; "
        f"measured in {number(section['seconds'])} s.{quick}*"
    )

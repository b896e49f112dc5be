"""Reading what a run left on disk."""

import json
from pathlib import Path
from typing import Any


def result_of(run: Path) -> dict[str, Any]:
    """``result.json`` as plain values, independent of the code under test."""
    return json.loads((run / "result.json").read_text(encoding="utf-8"))


def metrics_of(run: Path) -> dict[str, Any]:
    """The metrics of validation and test."""
    return {split: result_of(run)[split] for split in ("val", "test")}

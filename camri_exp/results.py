"""What a run leaves on disk, and how it is read back. Reports, evaluation and dashboards need nothing else."""

import hashlib
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from camri_exp.errors import UserError

SCHEMA = 1
# What changes where or how a run is told about, but not what it computes.
NOT_HASHED = ("logger", "sweep", "resume", "baseline", "important_class_names")
# What NumPy raises for files that are damaged, no archives, or hold objects (seen with mutated files).
REFUSED = (
    OSError, ValueError, EOFError, RuntimeError, SyntaxError, TypeError, MemoryError, TokenError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def config_hash(cfg: DictConfig) -> str:
    """Sixteen hex digits that two configs share exactly when their runs compute the same.

    Where a machine keeps its data sets (``$CAMRI_DATA``, else ``data``) makes no difference, so that a sweep goes on
    elsewhere; a folder given as ``data.root`` does.
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    kept = {key: value for key, value in plain.items() if key not in NOT_HASHED}
    if kept.get("data", {}).get("root") == os.environ.get("CAMRI_DATA", "data"):
        kept["data"] = kept["data"] | {"root": "$CAMRI_DATA"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


def as_typed(path: Path) -> Path:
    """A run's folder as a command given here would name it: relative where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write to a temporary name, then rename: the file is whole or not there. NaN becomes null, as JSON wants it."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(_without_nan(content), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_predictions(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``predictions.npz``, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)


def read_predictions(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a ``predictions.npz``, or those of ``names`` that it has.

    Raises:
        UserError: a file that is damaged, or holds more than numbers and text.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if names is None or name in names}
    except REFUSED as error:
        raise UserError(
            f"{path} was refused: it is damaged, or holds more than numbers and text. Copy it again, or evaluate the "
            "run's checkpoint instead: checkpoint=PATH"
        ) from error


def read_result(run: Path) -> dict[str, Any]:
    """``result.json`` of a finished run.

    Raises:
        UserError: no finished run there, or one written by a newer version of this project.
    """
    path = Path(run) / "result.json"
    if not path.is_file():
        raise UserError(f"{run} holds no result.json: not the folder of a finished run.")
    result = json.loads(path.read_text(encoding="utf-8"))
    if result.get("schema") != SCHEMA:
        raise UserError(f"{path} has schema {result.get('schema')}; this version of camri_exp reads {SCHEMA}.")
    return result


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

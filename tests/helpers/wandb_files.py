"""Read W&B run files: LevelDB's log format around protocol buffers."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 32768, 7  # bytes
FULL, LAST = 1, 4  # record types that end a record; FIRST is 2, MIDDLE 3


@dataclass
class Run:
    """The content of one run file."""

    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    artifacts: dict[str, list[str]] = field(default_factory=dict)  # the files of each, by name and aliases
    exit_code: int | None = None

    def logged(self) -> set[str]:
        return {key for row in self.history for key in row} | set(self.summary)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("run-*.wandb") if not path.parent.is_symlink())


def read(file: Path) -> Run:
    wandb.teardown()  # after run.finish, the end of a file that this process wrote may not be on disk yet
    run = Run()
    for data in records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        _take(run, record)
    return run


def records(data: bytes) -> list[bytes]:
    """The payloads of the records. Records are split into chunks, each with a header, that fit into blocks."""
    payloads, chunks, position = [], [], HEADER
    while position + HEADER <= len(data):
        if BLOCK - position % BLOCK < HEADER:
            position += BLOCK - position % BLOCK
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        chunks.append(data[position + HEADER : position + HEADER + length])
        position += HEADER + length
        if kind in (FULL, LAST):
            payloads.append(b"".join(chunks))
            chunks = []
    return payloads


def _items(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _take(run: Run, record: Record) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        run.id, run.name, run.group = record.run.run_id, record.run.display_name, record.run.run_group
        run.job_type, run.tags = record.run.job_type, list(record.run.tags)
        run.config |= _items(record.run.config.update)
    elif kind == "history":
        run.history.append(_items(record.history.item))
    elif kind == "summary":
        run.summary |= _items(record.summary.update)
    elif kind == "files":
        run.files += [file.path for file in record.files.files]
    elif kind == "artifact":
        name = f"{record.artifact.name}:{','.join(sorted(record.artifact.aliases))}"
        run.artifacts[name] = [entry.path for entry in record.artifact.manifest.contents]
    elif kind == "exit":
        run.exit_code = record.exit.exit_code

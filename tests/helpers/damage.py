"""Damaged versions of a file: cut off, changed, of another encoding, or JSON of another shape."""

import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

DEEP = 200_000  # levels of nesting
WRONG_VALUES = {
    "null": None,
    "a list": [],
    "an object": {"x": [1]},
    "a word": "\u202eword",
    "minus one": -1,
    "NaN": float("nan"),
    "huge": 1e308,
    "a huge integer": 10**40,
}


def damaged_bytes(content: bytes, flips: int = 6) -> Iterator[tuple[str, bytes]]:
    """The file cut off, with single bits flipped, empty, or of random bytes."""
    generator, size = random.Random(len(content)), len(content)
    for length in sorted({0, 1, 2, 10, size // 4, size // 2, 3 * size // 4, size - 30, size - 1} & set(range(size))):
        yield f"the first {length} bytes", content[:length]
    for _ in range(flips):
        position, bit = generator.randrange(size), generator.randrange(8)
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        yield f"bit {bit} of byte {position} flipped", bytes(changed)
    for length in (1, 100, size):
        yield f"{length} random bytes", generator.randbytes(length)
    yield "zeros", bytes(size)
    middle = size // 2
    yield "zeros in the middle", content[:middle] + bytes(min(512, size - middle)) + content[middle + 512 :]
    yield "twice", content + content


def damaged_npz(content: bytes) -> Iterator[tuple[str, bytes]]:
    """``damaged_bytes``, and arrays that are missing, of other shapes or of other types."""
    yield from damaged_bytes(content)
    with np.load(io.BytesIO(content)) as file:
        arrays = {name: file[name] for name in file.files}
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "flat": np.ravel,
        "transposed": np.transpose,
        "cut": lambda array: array[:-1],
        "empty": lambda array: array[:0],
        "a number": lambda array: np.float32(1),
        "text": lambda array: array.astype(str),
        "complex": lambda array: np.zeros(array.shape, complex),
        "of other classes": lambda array: array[..., :3] if array.ndim > 1 else np.full(array.shape, 99),
    }
    for name in ("test_scores", "test_target", "val_scores", "val_target"):
        yield f"{name} missing", _npz({key: array for key, array in arrays.items() if key != name})
        for what, change in changes.items():
            yield f"{name} {what}", _npz({**arrays, name: change(arrays[name])})
    yield "no arrays", _npz({})
    yield "objects", _npz({**arrays, "test_scores": np.array([{}], dtype=object)})


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def damaged_text(content: bytes) -> Iterator[tuple[str, bytes]]:
    """``damaged_bytes``, and text of other encodings or nested too deeply."""
    yield from damaged_bytes(content)
    text = content.decode()
    yield "UTF-16", text.encode("utf-16")
    yield "UTF-32", text.encode("utf-32")
    yield "a byte order mark", text.encode("utf-8-sig")
    yield "Latin-1", (text + "\xe9").encode("latin-1")
    yield "an unpaired surrogate", content.replace(b"a", b"\xed\xa0\x80", 1)
    yield "nested lists", b"[" * DEEP
    yield "nested objects", b'{"a":' * DEEP
    yield "nested lists, closed", b"[" * DEEP + b"]" * DEEP


def damaged_json(content: bytes) -> Iterator[tuple[str, bytes]]:
    """``damaged_text``, and JSON of another shape: other types, missing fields, fields of wrong types."""
    yield from damaged_text(content)
    for name, value in {**WRONG_VALUES, "a number": 5, "true": True, "a list of lists": [[[]]]}.items():
        yield name, json.dumps(value).encode()
    yield "a number of 5000 digits", b"9" * 5000
    plain = json.loads(content)
    for path in _paths(plain):
        yield f"{'.'.join(map(str, path))} missing", json.dumps(_changed(plain, path)).encode()
        for name, value in WRONG_VALUES.items():
            yield f"{'.'.join(map(str, path))} is {name}", json.dumps(_changed(plain, path, value)).encode()


def _paths(node: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The fields of the outer two levels, and the first item of each list."""
    items = node.items() if isinstance(node, dict) else enumerate(node[:1]) if isinstance(node, list) else ()
    for key, value in items:
        yield (*prefix, key)
        if len(prefix) < 1:
            yield from _paths(value, (*prefix, key))


def _changed(node: Any, path: tuple[Any, ...], *value: Any) -> Any:
    """A copy of ``node`` with another value at ``path``, or without that field."""
    copy = json.loads(json.dumps(node))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if value:
        parent[path[-1]] = value[0]
    else:
        del parent[path[-1]]
    return copy

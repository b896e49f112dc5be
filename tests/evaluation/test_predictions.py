"""Reading the predictions of a run whose files are damaged."""

import io
import random
import shutil

import numpy as np

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import from_run


def damaged(run, into):
    """Damage the files of a copy of ``run`` in many ways, one at a time; yields the name of the damaged file."""
    whole, draw = (run / "predictions.npz").read_bytes(), random.Random(0)
    heads = [i for i in range(len(whole)) if whole[i : i + 2] == b"PK"]
    contents = [b"", b"hello", whole[: len(whole) // 2], whole[:-30]]
    for _ in range(100):
        copy = bytearray(whole)
        copy[min(draw.choice(heads) + draw.randrange(120), len(copy) - 1)] = draw.randrange(256)
        contents.append(bytes(copy))
    objects, single = io.BytesIO(), io.BytesIO()
    np.savez(objects, test_scores=np.array([print, {}], dtype=object))
    np.save(single, np.eye(3))
    contents += [objects.getvalue(), single.getvalue()]
    shutil.copytree(run, into)
    for content in contents:
        (into / "predictions.npz").write_bytes(content)
        yield "predictions.npz"
    (into / "predictions.npz").write_bytes(whole)
    for content in ("", '{"schema": 1,', "[]", '{"schema": 1}'):
        (into / "result.json").write_text(content)
        yield "result.json"


def test_damaged_files_of_a_run_are_refused_in_one_line(runs, tmp_path):
    messages = []
    for name in damaged(runs["ce"], tmp_path / "damaged"):
        try:
            from_run(tmp_path / "damaged", "val", "test")
        except UserError as error:
            messages.append((name, str(error)))
    assert len(messages) > 40
    for name, message in messages:
        assert name in message or "stored no predictions" in message
        assert len(message.splitlines()) == 1

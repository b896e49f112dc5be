"""The program for an exported file, on images of a range that the user gave."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from camri_exp.models.checkpoint import load
from tests.helpers.runs import trained

ROOT = Path(__file__).parents[2]


def scans(root: Path) -> Path:
    """CT values as signed 16-bit images, which a range tells apart, and which would wrap modulo 256 without one."""
    random = np.random.default_rng(0)
    for name, level in (("air", -900), ("bone", 1500)):
        (root / name).mkdir(parents=True)
        for i in range(20):
            values = (level + random.normal(0, 300, (12, 9))).astype(np.int16)
            Image.fromarray(values.view(np.uint16)).save(root / name / f"{i}.tiff", tiffinfo={339: 2})
    return root


@pytest.mark.slow
def test_the_range_goes_with_the_checkpoint_and_the_exported_file(tmp_path, command):
    root = scans(tmp_path / "scans")
    run = trained(
        tmp_path / "run", "data=folder", f"data.root={root}", "data.image_size=16", "data.channels=1",
        "data.range=[-1000,3000]", "important_class=bone", "trainer.max_epochs=3", "data.batch_size=8", "loss=ce",
    )  # fmt: skip
    checkpoint = run / "checkpoints" / "best.ckpt"
    assert load(checkpoint)[1].metadata.preprocessing.range == (-1000, 3000)
    kept = np.load(run / "predictions.npz")
    shifted = np.exp(kept["test_scores"] - kept["test_scores"].max(1, keepdims=True))
    expected = dict(zip(kept["test_name"], (shifted / shifted.sum(1, keepdims=True)).max(1), strict=True))

    assert command("predict", f"checkpoint={checkpoint}", f"images={root}", "output=all.csv").code == 0
    rows = {row["path"]: row for row in csv.DictReader((tmp_path / "all.csv").read_text().splitlines())}
    assert len(rows) == 40
    exported = command("export", f"checkpoint={checkpoint}", "output=model.onnx", "bias=0")
    assert exported.code == 0, exported.err
    metadata = onnxruntime.InferenceSession("model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["range"]) == [-1000, 3000]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "onnxruntime" in block]
    for number, (name, probability) in enumerate(expected.items()):
        row = rows[f"{root}/{name}"]
        assert float(row["probability"]) == pytest.approx(probability, abs=2e-6)
        if number < 2:
            own = program.replace("image.png", f"{root}/{name}")
            done = subprocess.run([sys.executable, "-c", own], cwd=tmp_path, capture_output=True, text=True, check=True)
            assert done.stdout.split()[0] == row["prediction"]
            assert float(done.stdout.split()[1]) == pytest.approx(probability, abs=1e-4)


def test_without_a_range_the_message_names_the_key(tmp_path, command):
    refused = command("train", "data=folder", f"data.root={scans(tmp_path / 'scans')}", "important_class=bone")
    assert refused.code == 1
    assert re.search(
        r"values from -\d+ to -?\d+ are outside of 0\.\.65535; train with its range, data\.range=\[low,high\]",
        refused.err,
    )
    wrong = command("train", "data=folder", "data.root=scans", "important_class=bone", "data.range=[5]")
    assert "data.range=[5]: expected [low,high] or null." in wrong.err
    wrong = command("train", "data=folder", "data.root=scans", "important_class=bone", "data.range=[5,5]")
    assert "range=[5,5]; expected [low,high] with low below high" in wrong.err

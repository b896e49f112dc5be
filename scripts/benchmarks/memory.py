"""Memory: what a run holds, and that it does not grow with the epochs

Memory of one process that trains on CIFAR-10, after each of its stages. The images are a mapped file: what has been
read of it counts as resident, is shared with all other runs, and is returned when memory becomes scarce. The rest, the
anonymous memory of the run, is the activations of a batch and what libraries keep for the next one; it settles within
the first epochs.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks._harness import Measurement, process

CHILD = """
import json, sys
from pathlib import Path
import pytorch_lightning as pl
import torch
from benchmarks import _training as training

def resident():
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(lines[key].split()[0]) / 1024 for key in ("RssAnon", "RssFile")}

def size(tensors):
    return sum(tensor.nbytes for tensor in tensors) / 2**20

class Epochs(pl.Callback):
    def on_train_batch_end(self, trainer, module, *_):
        self.gradients = size(p.grad for p in module.parameters() if p.grad is not None)

    def on_train_epoch_end(self, trainer, module):
        after_epochs.append(resident())

cfg = training.config("trainer.accelerator=cpu", *sys.argv[1:])
before = resident()
data, model = training.prepared(cfg)
after_epochs = []
epochs = Epochs()
with training.trainer(cfg, epochs) as trainer:
    trainer.fit(model, datamodule=data)
    state = trainer.optimizers[0].state
    print(json.dumps({
        "imports": before,
        "epochs": after_epochs,
        "model": size([*model.parameters(), *model.buffers()]),
        "optimizer": size(v for s in state.values() for v in s.values() if torch.is_tensor(v)),
        "gradients": epochs.gradients,
        "images": size([data.splits["train"].images]),
        "batch": 4 * data.batch_size * data.splits["train"].images[0].numel() / 2**20,
    }))
"""


def measure(quick: bool) -> list[Measurement]:
    epochs = 3 if quick else 30
    digits = _run("data=digits", f"trainer.max_epochs={epochs}")
    measurements = [_growth(f"digits, epoch {epochs}, anonymous memory", digits, epochs)]
    if quick:
        return measurements
    cifar = ("data=cifar10", "model=camri_cnn", "data.batch_size=64", "trainer.limit_val_batches=2")
    narrow = _run(*cifar, "model.width=0.25", f"trainer.max_epochs={epochs}", "trainer.limit_train_batches=8")
    what = f"CIFAR-10, quarter of `camri_cnn`, epoch {epochs}, anonymous memory"
    measurements.append(_growth(what, narrow, epochs))
    whole = _run(*cifar, "trainer.max_epochs=3", "trainer.limit_train_batches=4")
    last = whole["epochs"][-1]
    components = {
        "CIFAR-10, `camri_cnn`, epoch 3, anonymous memory": last["RssAnon"],
        "part of it: imports of torch, Lightning, timm and others": whole["imports"]["RssAnon"],
        "part of it: model: weights and buffers": whole["model"],
        "part of it: optimizer: both moments of Adam": whole["optimizer"],
        "part of it: gradients": whole["gradients"],
        "part of it: one batch of 64 images, float32": whole["batch"],
        "mapped images, all of CIFAR-10": whole["images"],
        "resident part of all mapped files, including libraries, at the end": last["RssFile"],
    }
    return measurements + [Measurement.of(what, [value], "MiB") for what, value in components.items()]


def _growth(what: str, memory: dict[str, Any], epochs: int) -> Measurement:
    anonymous = [epoch["RssAnon"] for epoch in memory["epochs"]]
    early = min(10, len(anonymous)) - 1
    target = "ratio <= 1.02" if epochs > 3 else ""
    return Measurement.of(what, [anonymous[-1]], "MiB", f"after epoch {early + 1}", [anonymous[early]], target)


def _run(*overrides: str) -> dict[str, Any]:
    scripts = str(Path(__file__).resolve().parents[1])
    return json.loads(process("-c", CHILD, *overrides, PYTHONPATH=scripts).out.splitlines()[-1])

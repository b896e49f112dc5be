"""Memory: what a run holds, and that it holds no more after many epochs

Resident memory of one process that trains on CIFAR-10, after each of its stages. The pictures are a mapped file: what
has been read of it counts as resident, is shared with all other runs, and is given back when memory runs short. The
rest of a run's own memory are the activations of a batch and what libraries keep for the next one, which settles
within the first epochs.
"""

import json

from benchmarks._frame import Row, process

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
        found.append(resident())

cfg = training.config("trainer.accelerator=cpu", *sys.argv[1:])
before = resident()
data, model = training.parts(cfg)
found = []
epochs = Epochs()
with training.trainer(cfg, epochs) as trainer:
    trainer.fit(model, datamodule=data)
    state = trainer.optimizers[0].state
    print(json.dumps({
        "imports": before,
        "epochs": found,
        "model": size([*model.parameters(), *model.buffers()]),
        "optimizer": size(v for s in state.values() for v in s.values() if torch.is_tensor(v)),
        "gradients": epochs.gradients,
        "pictures": size([data.splits["train"].images]),
        "batch": 4 * data.batch_size * data.splits["train"].images[0].numel() / 2**20,
    }))
"""


def measure(quick: bool) -> list[Row]:
    epochs = 3 if quick else 30
    digits = _run("data=digits", f"trainer.max_epochs={epochs}")
    rows = [_growth(f"digits, epoch {epochs}, memory of its own", digits, epochs)]
    if quick:
        return rows
    cifar = ("data=cifar10", "model=camri_cnn", "data.batch_size=64", "trainer.limit_val_batches=2")
    narrow = _run(*cifar, "model.width=0.25", f"trainer.max_epochs={epochs}", "trainer.limit_train_batches=8")
    rows.append(_growth(f"CIFAR-10, quarter of `camri_cnn`, epoch {epochs}, memory of its own", narrow, epochs))
    whole = _run(*cifar, "trainer.max_epochs=3", "trainer.limit_train_batches=4")
    rows.append(Row.of("CIFAR-10, `camri_cnn`, epoch 3, memory of its own", [whole["epochs"][-1]["RssAnon"]], "MiB"))
    named = {
        "imports of torch, Lightning, timm and the rest": whole["imports"]["RssAnon"],
        "model: weights and buffers": whole["model"],
        "optimizer: Adam's two moments": whole["optimizer"],
        "gradients": whole["gradients"],
        "one batch of 64 pictures, float32": whole["batch"],
        "mapped pictures, all of CIFAR-10": whole["pictures"],
        "resident of all mapped files, libraries included, at the end": whole["epochs"][-1]["RssFile"],
    }
    return rows + [Row.of(f"of it: {what}", [value], "MiB") for what, value in named.items()]


def _growth(what: str, found: dict[str, object], epochs: int) -> Row:
    own = [one["RssAnon"] for one in found["epochs"]]
    early = min(10, len(own)) - 1
    return Row.of(
        what, [own[-1]], "MiB", f"after epoch {early + 1}", [own[early]], "ratio <= 1.02" if epochs > 3 else ""
    )


def _run(*overrides: str) -> dict[str, object]:
    from pathlib import Path

    here = str(Path(__file__).resolve().parents[1])
    return json.loads(process("-c", CHILD, *overrides, PYTHONPATH=here).out.splitlines()[-1])

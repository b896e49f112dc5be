"""Memory: what a run holds, and that it holds no more after many epochs

Resident memory of one process that trains on CIFAR-10, after each of its stages. The pictures are a mapped file: what
has been read of it counts as resident, is shared with all other runs, and is given back when memory runs short.
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

class Epochs(pl.Callback):
    def on_train_epoch_end(self, trainer, module):
        found.append(resident())

cfg = training.config("trainer.accelerator=cpu", *sys.argv[1:])
before = resident()
data, model = training.parts(cfg)
found = []
with training.trainer(cfg, Epochs()) as trainer:
    trainer.fit(model, datamodule=data)
    state = trainer.optimizers[0].state
    size = lambda tensors: sum(tensor.nbytes for tensor in tensors) / 2**20
    print(json.dumps({
        "imports": before,
        "epochs": found,
        "model": size([*model.parameters(), *model.buffers()]),
        "optimizer": size(v for s in state.values() for v in s.values() if torch.is_tensor(v)),
        "gradients": size(p.grad for p in model.parameters() if p.grad is not None),
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
    epochs = 6
    cifar = _run(
        *("data=cifar10", "model=camri_cnn", f"trainer.max_epochs={epochs}", "trainer.limit_train_batches=8"),
        *("trainer.limit_val_batches=2", "data.batch_size=64"),
    )
    rows.append(_growth(f"CIFAR-10 with `camri_cnn`, epoch {epochs}, memory of its own", cifar, epochs))
    named = {
        "imports of torch, Lightning, timm and the rest": cifar["imports"]["RssAnon"],
        "model: weights and buffers": cifar["model"],
        "optimizer: Adam's two moments": cifar["optimizer"],
        "gradients (freed between steps)": cifar["gradients"],
        "one batch of 64 pictures, float32": cifar["batch"],
        "mapped pictures, all of CIFAR-10": cifar["pictures"],
        "resident of all mapped files, libraries included, at the end": cifar["epochs"][-1]["RssFile"],
    }
    return rows + [Row.of(f"of it: {what}", [value], "MiB") for what, value in named.items()]


def _growth(what: str, found: dict[str, object], epochs: int) -> Row:
    own = [one["RssAnon"] for one in found["epochs"]]
    early = min(3, len(own)) - 1
    return Row.of(
        what, [own[-1]], "MiB", f"after epoch {early + 1}", [own[early]], "ratio <= 1.02" if epochs > 3 else ""
    )


def _run(*overrides: str) -> dict[str, object]:
    from pathlib import Path

    here = str(Path(__file__).resolve().parents[1])
    return json.loads(process("-c", CHILD, *overrides, PYTHONPATH=here).out.splitlines()[-1])

"""The keys of every command, with their types. What they mean is said by the comments of ``configs/``.

Plug-ins, which have ``_target_``, are checked by their constructors instead (``plugins``); for data sets there are
bounds in addition. An upper bound is there where a larger value could only be a slip that exhausts memory.
"""

from typing import Annotated, Any, Literal

from camri_exp.schema.data_keys import Data
from camri_exp.schema.types import (
    BatchSize,
    Bias,
    Classes,
    Confidence,
    Count,
    Device,
    Group,
    Limit,
    Name,
    Path,
    Plugin,
    Plugins,
    Precision,
    Recall,
    Seed,
    Share,
)
from camri_exp.schema.values import Pattern, Range, Words


class PartialAUC(Group):
    weight: Annotated[float, Range(above=0)]
    beta: Annotated[float, Range(above=0, most=1)] = 0.1
    margin: Annotated[float, Range(above=0)] = 1.0


class Loss(Plugin):
    name: str
    start: Annotated[float, Range(least=0, below=1)] | None = None
    partial_auc: PartialAUC | None = None


class Model(Group):
    name: str
    freeze_epochs: Annotated[int, Range(least=0)]
    channels_last: bool
    compile: bool
    width: Annotated[float, Range(above=0, most=64)] = 1.0
    pretrained: bool = False
    weights: Path | None = None
    embedding: Annotated[int, Range(1, 65536)] | None = None
    small_stem: bool = False
    frozen: bool = False
    bundle: bool = False
    backbone_lr: Annotated[float, Range(least=0)] = 1.0
    layer_decay: Annotated[float, Range(above=0, most=1)] = 1.0
    freeze_below: Annotated[float, Range(least=0, below=1)] = 0.0
    decay_norms: bool = True
    warmup_epochs: Annotated[float, Range(least=0)] = 0.0


class Trainer(Plugin):
    max_epochs: Count | Literal[-1] | None
    log_every_n_steps: Count
    enable_progress_bar: bool | None
    accelerator: str = "auto"
    devices: Annotated[
        Annotated[int, Range(1, 1024)]
        | Literal[-1]
        | list[int]
        | Annotated[str, Pattern(r"auto|-1|\d{1,4}(, *\d{1,4})*")],
        Words("a number of devices from 1 to 1024, a list of their indices, -1 or auto"),
    ] = 1
    precision: Precision | None = None
    gradient_clip_val: Annotated[float, Range(least=0)] | None = None
    limit_train_batches: Limit | None = None
    limit_val_batches: Limit | None = None
    limit_test_batches: Limit | None = None
    check_val_every_n_epoch: Count | None = 1
    enable_model_summary: bool | None = False
    num_sanity_val_steps: Annotated[int, Range(least=-1)] | None = 0
    use_distributed_sampler: bool = False
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    keep_freed_memory: bool | None = None
    # Not in the configs: what can be added with a plus and has bounds that Lightning does not check.
    accumulate_grad_batches: Count = 1
    num_nodes: Annotated[int, Range(1, 65536)] = 1
    max_steps: Count | Literal[-1] = -1
    min_epochs: Annotated[int, Range(least=0)] | None = None
    min_steps: Annotated[int, Range(least=0)] | None = None


class Sweep(Group):
    name: Name
    rerun: Literal["failed", "all", "none"]
    only: Annotated[dict[str, Any] | None, Words("lists of values by loss and key")]
    attempts: Count
    gpus_per_job: Annotated[float, Range(0, 1024)] | None
    cpus_per_job: Annotated[float, Range(0, 65536)]
    ranked_by: str
    ranked_on: Literal["val", "test"]
    launch: str
    min_accuracy: Share | None = None


class Train(Group):
    important_class: Classes
    seed: Seed
    test_checkpoint: str
    resume: Path | None
    trust: str | list[str] | None
    ranking_sweep: Path | None
    sweep: Sweep
    data: Data
    model: Model
    head: Plugin
    loss: Loss
    optimizer: Plugin
    scheduler: Plugin
    trainer: Trainer
    callbacks: Plugins
    logger: Plugins = Plugins()


class DataRoot(Group):
    root: Path | None


class Evaluate(Group):
    checkpoint: Path | None
    run: Path | None
    split: Literal["train", "val", "calibration", "test", "all"]
    compare: Path | None
    recall: Recall
    confidence: Confidence
    repeated: bool
    output: Path | None
    figures: bool
    trust: str | list[str] | None
    device: Device | None
    data: DataRoot
    logger: Plugins = Plugins()


class Predict(Group):
    checkpoint: Path | None
    images: Path | None
    output: Path | None
    bias: Annotated[Bias | None, Words("a number, or auto for the one chosen on validation")]
    recall: Recall
    confidence: Confidence
    review: Annotated[float, Range(above=0, below=1)] | None
    probabilities: bool
    batch_size: BatchSize | None
    trust: str | list[str] | None
    device: Device | None


class Export(Group):
    checkpoint: Path | None
    output: Path | None
    format: Literal["onnx", "torch"]
    bias: Bias
    recall: Recall
    confidence: Confidence
    images: Path | None
    trust: str | list[str] | None
    check_images: Annotated[int, Range(1, 10_000)]
    data: DataRoot


class Report(Group):
    sweep: Path
    baseline: str
    tolerance: Share
    margin: Share
    worth: Share
    protocol: Literal["validation", "paper"]
    recall: Recall = None
    confidence: Confidence = 0.95
    output: Path | None
    names: dict[str, str]
    figures: bool = True


class Show(Group):
    data: Data
    seed: Seed
    images: Annotated[int, Range(1, 1000)]
    variants: Annotated[int, Range(0, 1000)]
    output: Path


COMMANDS: dict[str, type[Group]] = {
    "train": Train, "evaluate": Evaluate, "predict": Predict, "export": Export, "report": Report, "show": Show
}  # fmt: skip

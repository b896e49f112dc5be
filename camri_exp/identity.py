"""What makes two runs the same: the hash of a config, the configuration a run belongs to, and a job's name."""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

# Top-level keys that change where a run is logged or how it is started, but not what it computes.
NOT_HASHED = ("logger", "sweep", "resume", "trust", "ranking_sweep", "baseline", "identity", "important_class_names")
PATHS = ("dirpath", "save_dir", "run_dir")  # keys of callbacks and loggers that hold the run's folder
# Keys that were added later, with the value that trains as before: a sweep of an earlier version is resumed. GTSRB had
# its val_fraction from the start, so that its earlier sweeps at 0.1 are not.
ADDED_LATER: dict[str, Any] = {
    "callbacks.recall_at_accuracy": {"_target_": "camri_exp.training.monitor.RecallAtAccuracy", "accuracy": None},
    "data.augmentation.resized_crop": 0.0,
    "data.calibration_fraction": 0.0,
    "data.crop_fraction": None,
    "data.cutmix": 0.0,
    "data.fold": 0,
    "data.folds": None,
    "data.groups": None,
    "data.interpolation": None,
    "data.mixup": 0.0,
    "data.normalize": None,
    "data.oversample": None,
    "data.range": None,
    "data.resize": None,
    "data.stored_size": None,
    "data.test_fraction": 0.2,
    "data.transform": None,
    "data.val_fraction": 0.1,
    "data.views": 1,
    "loss.beta": 0.0,
    "loss.decoder": "argmax",
    "loss.other_margin": 0.0,
    "loss.partial_auc": None,
    "loss.start": None,
    "model.backbone_lr": 1.0,
    "model.bundle": False,
    "model.decay_norms": True,
    "model.freeze_below": 0,
    "model.frozen": False,
    "model.layer_decay": 1.0,
    "model.warmup_epochs": 0,
}
ABSENT = object()
CLASS_METRICS = ("important", "val/recall_at_accuracy")  # parts of the names of metrics that depend on the class
WAYS_TO_READ = ("cache_dir", "cache", "workers")  # keys of data that change where pixels come from, but not the pixels
NOT_PARAMETERS = ("_target_", "name")
VARIED = ("loss=", "loss.", "seed=", "important_class=", "data.fold=")  # keys that jobs of a sweep usually differ by
LONGEST = 140  # file systems take 255 bytes per name; the job's own files and W&B need the rest
PLAIN = re.compile(r"[A-Za-z0-9_.]+=[A-Za-z0-9_.-]*")  # its first "-" in a name is the equals sign


@dataclass(frozen=True)
class Identity:
    """The configuration that a run belongs to: equal for runs that differ by the seed or the fold alone.

    A ``class_free`` run does not depend on which class is important, so that a report uses it for every class.
    """

    configuration: str
    class_free: bool


def identity_of(cfg: DictConfig, needs: Collection[str]) -> Identity:
    """The identity of the run of ``cfg`` whose loss declares ``needs``.

    A config that was stored on disk is resolved, so that ``split_seed: ${seed}`` has become a number and the
    configuration can no longer be told. The identity found at the first start is therefore kept in ``cfg.identity``.
    """
    if (stored := cfg.get("identity")) is not None:
        return Identity(stored.configuration, stored.class_free)
    class_free = "important_class" not in needs and not _depends_on_class(cfg)
    common: dict[str, Any] = {"seed": None, **({"important_class": None} if class_free else {})}
    if "fold" in (cfg.get("data") or {}):
        common["data"] = {"fold": None}
    return Identity(config_hash(_with(cfg, **common)), class_free)


def _depends_on_class(cfg: DictConfig) -> bool:
    """Whether anything but the loss depends on the important class: an interpolation, or a monitored metric."""
    first, second = (_hashed(_with(cfg, important_class=value)) | {"important_class": None} for value in (0, 1))
    callbacks = json.dumps(first.get("callbacks", {}), default=str)
    return first != second or any(metric in callbacks for metric in CLASS_METRICS)


def _with(cfg: DictConfig, **values: Any) -> DictConfig:
    merged = OmegaConf.merge(cfg, values)
    assert isinstance(merged, DictConfig)
    return merged


def config_hash(cfg: DictConfig) -> str:
    """Sixteen hexadecimal digits that two configs share exactly when their runs compute the same.

    The folder that holds a machine's data sets (``$CAMRI_DATA``, else ``data``) and that of the cache make no
    difference, so that a sweep can be resumed on another machine; a folder given as ``data.root`` does.
    """
    return _hash(_hashed(cfg))


def hash_of_plain(plain: Mapping[str, Any]) -> str:
    """``config_hash`` of a config that is plain and resolved already, with an empty folder of the run."""
    return _hash(_kept(plain))


def _hash(kept: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _hashed(cfg: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(with_run_dir(cfg, ""), resolve=True)
    assert isinstance(plain, dict)
    return _kept({str(key): value for key, value in plain.items()})


def _kept(plain: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in plain.items() if key not in NOT_HASHED}
    kept["data"] = {key: value for key, value in kept.get("data", {}).items() if key not in WAYS_TO_READ}
    if kept["data"].get("root") == os.environ.get("CAMRI_DATA", "data"):
        kept["data"] = kept["data"] | {"root": "$CAMRI_DATA"}
    return _without_later_keys(kept)


def _without_later_keys(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``node`` without the keys of ``ADDED_LATER`` at the values given there."""
    kept = {key: value for key, value in node.items() if value != ADDED_LATER.get(prefix + key, ABSENT)}
    return {
        key: _without_later_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in kept.items()
    }


def with_run_dir(cfg: DictConfig, run_dir: str) -> DictConfig:
    """A copy of ``cfg`` whose callbacks and loggers write into ``run_dir``, wherever ``cfg`` was stored before."""
    copy: DictConfig = pickle.loads(pickle.dumps(cfg))  # three times as fast as deepcopy
    set_run_dir(copy, run_dir)
    return copy


def set_run_dir(cfg: DictConfig | dict[str, Any], run_dir: str) -> None:
    """Let the callbacks and loggers of ``cfg`` write into ``run_dir``."""
    for group in ("callbacks", "logger"):
        for node in (cfg.get(group) or {}).values():
            for key in PATHS:
                if node and key in node:
                    node[key] = f"{run_dir}/checkpoints" if key == "dirpath" else run_dir


def loss_parameters(cfg: DictConfig) -> dict[str, Any]:
    """The parameters of the loss as configured, without those that are null."""
    parameters = OmegaConf.to_container(cfg.loss, resolve=True)
    assert isinstance(parameters, dict)
    return {str(k): value for k, value in parameters.items() if k not in NOT_PARAMETERS and value is not None}


def job_name(overrides: Iterable[str]) -> str:
    """``loss-camri+loss.margin-0.1+seed-0`` of ``loss=camri loss.margin=0.1 seed=0``, in whatever order they come.

    The name has only characters that need no quotes in a shell and in Hydra, so that
    ``checkpoint=<folder>/checkpoints/best.ckpt`` works as it is. A name that is too long, or had other characters, ends
    in a hash of the overrides. One that is too long starts with what jobs usually differ by, then the shortest parts.
    """
    kept = sorted((item for item in overrides if key(item) not in NOT_HASHED), key=lambda item: item.partition("="))
    full = "+".join(kept)
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", full.replace("=", "-")).strip("_") or "default"
    if len(name) <= LONGEST and all(map(PLAIN.fullmatch, kept)):
        return name
    if len(name) > LONGEST:
        parts = sorted(kept, key=lambda item: (not item.lstrip("+").startswith(VARIED), len(item)))
        name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", "+".join(parts).replace("=", "-")).strip("_")
    digest = hashlib.sha256("\0".join(kept).encode(errors="surrogatepass")).hexdigest()
    return f"{name[:LONGEST].rstrip('_+')}+{digest[:10]}"


def key(override: str) -> str:
    """The first part of what an override sets: ``sweep`` of ``+sweep.only.ce.seed=0``."""
    return re.split(r"[=./@]", override.lstrip("+~"), maxsplit=1)[0]

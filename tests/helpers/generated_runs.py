"""Folders of finished runs as ``train`` writes them, with random scores instead of training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ["cat", "<img src=x onerror=alert(1)>", "a|b & c_d"]


def write_run(
    folder: Path,
    loss: str,
    seed: int,
    *,
    shift: float = 0.0,
    noise: float = 1.0,
    important: tuple[int, ...] = (0,),
    class_free: bool = False,
    parameters: dict[str, Any] | None = None,
    overrides: list[str] | None = None,
    images: int = 300,
    classes: list[str] = CLASSES,
    data: str = "toy",
    angles: bool = False,
) -> Path:
    """A finished run; ``shift`` is added to the scores of the important class, ``noise`` lowers all metrics."""
    parameters, rng = parameters or {}, np.random.default_rng([seed, len(loss), int(100 * abs(shift))])
    folder.mkdir(parents=True, exist_ok=True)
    arrays, metrics = {}, {}
    for split in ("val", "test"):
        target = np.arange(images) % len(classes)
        scores = rng.normal(0, noise, (images, len(classes))) + 2 * np.eye(len(classes))[target]
        scores[:, list(important)] += shift
        hit = scores.argmax(1) == target
        recall = {name: float(hit[target == k].mean()) for k, name in enumerate(classes)}
        metrics[split] = {
            "accuracy": float(hit.mean()),
            "recall_important": float(np.mean([recall[classes[k]] for k in important])),
            "precision_important": 0.5,
            "macro_recall": float(np.mean(list(recall.values()))),
            "recall": recall,
        }
        arrays |= {f"{split}_scores": scores.astype(np.float32), f"{split}_target": target}
        if angles:
            arrays[f"{split}_angle"] = rng.uniform(0, 1, images).astype(np.float32)
    np.savez_compressed(folder / "predictions.npz", **arrays)
    setting = [loss, data, sorted(parameters.items()), sorted(overrides or []), None if class_free else important]
    result = {
        "schema": 1, "status": "finished", "data": data, "model": "toy_cnn", "loss": loss, "seed": seed,
        "important_class": list(important), "important_class_names": [classes[k] for k in important],
        "class_names": classes, "class_free": class_free, "setting": json.dumps(setting), "loss_parameters": parameters,
        "overrides": [f"loss={loss}", f"seed={seed}", *(overrides or [])], "config_hash": json.dumps([setting, seed]),
        **metrics, "epochs": 1, "fit_seconds": 2.5, "images_per_second": 100.0, "checkpoint": "checkpoints/best.ckpt",
        "parameters": 10, "hardware": "CPU",
    }  # fmt: skip
    if angles:
        by_class = [arrays["test_angle"][arrays["test_target"] == k].astype(float) for k in range(len(classes))]
        result["angles"] = {
            "count": [len(angle) for angle in by_class],
            "mean": [angle.mean() for angle in by_class],
            "variance": [angle.var() for angle in by_class],
        }
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def write_sweep(folder: Path, seeds: range = range(3), important: tuple[int, ...] = (0,), **kwargs: Any) -> Path:
    """A small sweep: cross-entropy, and a margin loss on a grid of two margins and two scales."""
    for seed in seeds:
        write_run(folder / f"ce+{seed}", "ce", seed, class_free=True, important=important, **kwargs)
        for margin in (0.1, 0.2):
            for scale in (8, 16):
                write_run(
                    folder / f"camri+{margin}+{scale}+{seed}+{important[0]}", "camri", seed, important=important,
                    shift=margin * scale / 10, noise=0.95, angles=True,
                    parameters={"margin": margin, "scale": scale}, **kwargs,
                )  # fmt: skip
    return folder

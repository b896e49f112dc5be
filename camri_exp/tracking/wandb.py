"""One W&B run a job: online with a key, else offline. Whatever the service does, nothing is lost."""

import json
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from camri_exp.errors import first_line
from camri_exp.files import display_path, write_json
from camri_exp.results import Predictions, RunResult
from camri_exp.tracking.base import ResultLogger, RunDescription
from camri_exp.tracking.naming import run_name, tags
from camri_exp.tracking.session import (
    OFFLINE,
    check_settings,
    close_run,
    drop_service,
    environment,
    failures,
    open_run,
    trouble,
)
from camri_exp.tracking.summary import evaluation_summary, summary

log = logging.getLogger(__name__)
Step = Callable[[Any], None]

STEP = "trainer/global_step"
BEST = ("val/accuracy", "val/recall_important", "val/precision_important", "val/macro_recall")


class WandbRun(ResultLogger):
    """A Lightning logger that is one W&B run, opened by ``start`` and closed by ``close`` whatever happened.

    Lightning's own WandbLogger passes settings that today's wandb warns about, and leaves the run open on an error.
    Under DDP only the first process has a run.

    Args:
        save_dir: the run's folder, where W&B keeps its files too.
        project: W&B project.
        entity: W&B user or team; the account's default where it is null.
        mode: online, offline or disabled; null is ``WANDB_MODE``, else online with a key and offline without.
        log_model: upload the checkpoints as an artifact, with the aliases best and last.
        job_type: W&B's type of the run: train or evaluate.
        init_timeout: seconds that the service may take to answer at the start; then the run continues offline.
        finish_timeout: seconds that uploading may take at the end; the rest stays on disk, to be uploaded later.

    Raises:
        ValueError: a mode, a timeout or a project name that W&B does not know.
    """

    def __init__(
        self,
        save_dir: str,
        project: str,
        entity: str | None = None,
        mode: str | None = None,
        log_model: bool = False,
        job_type: str = "train",
        init_timeout: float = 30,
        finish_timeout: float = 300,
    ) -> None:
        super().__init__()
        self.run_dir, self.log_model, self.job_type = Path(save_dir), log_model, job_type
        self.project, self.entity = project, entity
        self.mode = mode or os.environ.get("WANDB_MODE") or "online"
        self.timeouts = {"init_timeout": init_timeout, "finish_timeout": finish_timeout}
        self.run: Any = None
        self.step: int | None = None
        self.told = False
        self.steps: dict[str, Step] = {}
        self.seen: dict[str, float] = {}  # the last value of each metric, the best of those in BEST
        self.deferred = False
        if self.mode != "disabled":
            check_settings(mode=self.mode, project=project, entity=entity, **self.timeouts)

    def start(self, description: RunDescription) -> None:
        if not rank_zero_only(lambda: True, default=False)() or self.mode == "disabled":
            return
        config, names = description.config, description.important_class_names
        name = run_name(description.overrides, config)
        self.arguments = {
            "project": self.project,
            "entity": self.entity,
            "dir": str(self.run_dir),
            "job_type": self.job_type,
            "group": description.sweep_name,
            "tags": tags(config, names),
            "config": {**config, "important_class_names": ", ".join(names)},
            **self._identity(name, self.job_type, resumed=config.get("resume") is not None),
        }
        self._unharmed("did not start", lambda: self._start(self.mode))

    def _identity(self, name: str, job_type: str, resumed: bool) -> dict[str, str]:
        """Id and name of the run, of training kept beside the checkpoints: resumed, it goes on in the same W&B run."""
        path = self.run_dir / "checkpoints" / "wandb.json"
        if resumed and path.is_file():  # not where another run is overwritten: its curves are not this one's
            return {**json.loads(path.read_text(encoding="utf-8")), "resume": "allow"}
        identity = {"id": uuid.uuid4().hex[:12], "name": name}
        if job_type == "train":
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, identity)
        return identity

    def _start(self, mode: str) -> None:
        self.run = open_run(mode, self.timeouts, self.arguments, self._tell)
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric("*", step_metric=STEP)
        for name in BEST:
            self.run.define_metric(name, step_metric=STEP, summary="max")
        if self._online():
            print(f"W&B: {self.run.url}")

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self.run.id if self.run is not None else ""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self.run is not None:
            self.step = step
            for key, value in metrics.items():
                self.seen[key] = max(value, self.seen.get(key, value)) if key in BEST else value
            self._unharmed("lost a row", lambda: self.run.log({**metrics, STEP: step}))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The config is given whole at the start."""

    def log_results(
        self, result: RunResult, predictions: Predictions, data: Any, probabilities: Callable[[Any], Any]
    ) -> None:
        """Log what the finished run found: the chosen checkpoint's metrics, figures, tables, and the checkpoints."""
        if self.run is None:
            return
        from camri_exp.tracking import media

        def log_tables(run: Any) -> None:
            with environment("WANDB_DATA_DIR", self.run_dir / "wandb"):
                run.log({**media.tables(result, predictions, data, probabilities), STEP: self.step})

        self._send(
            summary=lambda run: run.summary.update(summary(result)),
            figures=lambda run: run.log({**media.images(result, predictions), STEP: self.step}),
            tables=log_tables,
            checkpoints=self._log_checkpoints,
        )

    def log_evaluation(self, found: Mapping[str, Any], figures: Sequence[Path]) -> None:
        """Log what an evaluation found: the numbers of its ``evaluation.json``, and its figures."""
        if self.run is None:
            return
        import wandb

        self._send(
            summary=lambda run: run.summary.update(evaluation_summary(found)),
            figures=lambda run: run.log({f"evaluation/{path.stem}": wandb.Image(str(path)) for path in figures}),
        )

    def _send(self, **steps: Step) -> None:
        """Take the steps, or keep them for an offline part from the first one on that the service does not take."""
        self.steps = steps
        if self._online() and (problem := trouble(self.run.settings.base_url)) is not None:
            self._tell(f"W&B does not answer ({problem}); results on disk are complete")
            self.deferred = True  # tables and checkpoints would ask it over and over
        for what, step in self.steps.items():
            self.deferred = self.deferred or not self._unharmed(f"did not take the {what}", partial(step, self.run))

    def _online(self) -> bool:
        return self.run.settings.mode not in OFFLINE

    def _log_checkpoints(self, run: Any) -> None:
        import wandb

        if not self.log_model:
            return
        for alias in ("best", "last"):
            path = self.run_dir / "checkpoints" / f"{alias}.ckpt"
            if path.is_file():
                artifact = wandb.Artifact(f"checkpoint-{run.id}", type="model")
                # In a run's own layout, so that camri_exp.evaluate reads what was downloaded. "immutable": no copy.
                artifact.add_file(str(path), f"checkpoints/{path.name}", policy="immutable", skip_cache=True)
                artifact.add_file(str(self.run_dir / "config.yaml"), policy="immutable", skip_cache=True)
                run.log_artifact(artifact, aliases=[alias])

    def close(self, exit_code: int) -> None:
        """Close the run; says how to upload what is not up."""
        if self.run is None:
            return
        online, file = self._online(), Path(self.run.settings.sync_file)
        complete = self._unharmed("was not uploaded whole", lambda: self._close(exit_code))
        if online and complete:
            file.with_suffix(".wandb.synced").touch()  # as `wandb sync` marks what it uploaded
        if not complete:
            drop_service()
            self.deferred = online and bool(self.steps)  # what was still on its way is not in the file
        if self.deferred:
            self._unharmed("lost figures", lambda: self._write_deferred(exit_code))
        if exit_code == 0 and (not (online and complete) or self.deferred):
            state = "the upload was cut short" if online else "this run was offline"
            print(f"W&B: {state}; to upload it: python -m camri_exp.tracking.sync {display_path(self.run_dir)}")

    def _close(self, exit_code: int) -> None:
        close_run(self.run, exit_code, self.timeouts["finish_timeout"])

    def _write_deferred(self, exit_code: int) -> None:
        """What the service did not take, as an offline part of the same run: uploading adds it.

        The last part to be uploaded gives the whole summary.
        """
        run = open_run("offline", self.timeouts, self.arguments, self._tell)
        run.summary.update({key: {"max": value} if key in BEST else value for key, value in self.seen.items()})
        for step in self.steps.values():
            step(run)
        run.finish(exit_code=exit_code)

    def _unharmed(self, what: str, call: Callable[[], object]) -> bool:
        """Whether ``call`` worked. Training never ends because of W&B: its errors become a line in the log."""
        try:
            call()
        except failures() as error:
            self._tell(f"W&B {what} ({first_line(error)}); results on disk are complete")
            return False
        return True

    def _tell(self, text: str) -> None:
        """Log ``text``; the first one appears on the screen too."""
        log.info(text)
        if not self.told:
            print(text)
        self.told = True

"""One W&B run a job: online with a key, else offline. Whatever the service does, nothing is lost."""

import json
import logging
import netrc
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from camri_exp.results import write_json
from camri_exp.tracking.naming import run_name, tags

log = logging.getLogger(__name__)

STEP = "trainer/global_step"
BEST = ("val/accuracy", "val/recall_important", "val/precision_important", "val/macro_recall")
METRICS = ("accuracy", "recall_important", "precision_important", "macro_recall")
OFFLINE = ("offline", "dryrun")


class WandbRun(Logger):
    """A Lightning logger that is one W&B run, closed by ``finish`` whatever happened.

    Lightning's own WandbLogger passes settings that today's wandb warns about, and leaves the run open on an error.
    Under DDP only the first process has a run.

    Args:
        project: W&B project.
        run_dir: the run's folder, where W&B keeps its files too.
        config: the whole config, nested, so that ``loss.margin`` can be asked for.
        entity: W&B user or team; the account's default where it is null.
        mode: online, offline or disabled; null is ``WANDB_MODE``, else online with a key and offline without.
        log_model: upload the checkpoints as an artifact, with the aliases best and last.
        job_type: W&B's type of the run: train or evaluate.
        init_timeout: seconds that the service may take to answer at the start; then the run goes on offline.
        finish_timeout: seconds that uploading may take at the end; the rest stays on disk, to be uploaded later.
        overrides: what the command line set; names the run.
        group: the sweep's name.
        important_class_names: for tags, and to group by.
    """

    def __init__(
        self,
        project: str,
        run_dir: str,
        config: Mapping[str, Any],
        entity: str | None = None,
        mode: str | None = None,
        log_model: bool = False,
        job_type: str = "train",
        init_timeout: float = 30,
        finish_timeout: float = 300,
        overrides: Sequence[str] = (),
        group: str | None = None,
        important_class_names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.run_dir, self.log_model = Path(run_dir), log_model
        self.run: Any = None
        self.step: int | None = None
        self.told = False
        self.mode = mode or os.environ.get("WANDB_MODE") or "online"
        if not rank_zero_only(lambda: True, default=False)() or self.mode == "disabled":
            return
        names = ", ".join(important_class_names)
        settings = {"init_timeout": init_timeout, "finish_timeout": finish_timeout}
        arguments = {
            "project": project,
            "entity": entity,
            "dir": run_dir,
            "job_type": job_type,
            "group": group,
            "tags": tags(config, important_class_names),
            "config": {**config, "important_class_names": names},
            **self._identity(run_name(overrides, config)),
        }
        with self._unharmed("did not start"):
            self.run = self._start(arguments, settings)
            self._define_metrics()

    def _identity(self, name: str) -> dict[str, str]:
        """Id and name of the run, kept beside the checkpoints: a resumed run goes on in the same W&B run."""
        path = self.run_dir / "checkpoints" / "wandb.json"
        if path.is_file():
            return {**json.loads(path.read_text(encoding="utf-8")), "resume": "allow"}
        identity = {"id": uuid.uuid4().hex[:12], "name": name}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)
        return identity

    def _start(self, arguments: dict[str, Any], settings: dict[str, Any]) -> Any:
        import wandb

        silent = wandb.Settings(silent=True)
        if self.mode not in OFFLINE and not has_key(wandb.setup(settings=silent).settings.base_url):
            self.mode = "offline"
        # The screen shows one bar; capturing it for the service would log each of its frames.
        common = wandb.Settings(silent=True, console="off", reinit="create_new", finish_timeout_raises=True, **settings)
        if self.mode not in OFFLINE:
            before = set(self._folders())
            try:
                return wandb.init(settings=common, **{**arguments, "mode": self.mode})
            except wandb.Error as error:
                self._tell(f"no answer from W&B ({_first_line(error)}): this run goes on offline")
                self.mode = "offline"
            for attempt in set(self._folders()) - before:  # or the run would be uploaded twice
                shutil.rmtree(attempt, ignore_errors=True)
        arguments.pop("resume", None)  # W&B refuses it offline; the id alone joins the parts when they are uploaded
        return wandb.init(mode="offline", settings=common, **arguments)

    def _folders(self) -> Iterator[Path]:
        return (self.run_dir / "wandb").glob("*run-*")

    def _define_metrics(self) -> None:
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric("*", step_metric=STEP)
        for name in BEST:
            self.run.define_metric(name, step_metric=STEP, summary="max")

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self.run.id if self.run is not None else ""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self.run is not None:
            self.step = step
            with self._unharmed("lost a row"):
                self.run.log({**metrics, STEP: step})

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The config is given whole at the start."""

    def report(
        self, result: Mapping[str, Any], arrays: Mapping[str, Any], data: Any, probabilities: Callable[[Any], Any]
    ) -> None:
        """Log what the finished run found: the chosen checkpoint's metrics, figures, tables, and the checkpoints."""
        if self.run is None:
            return
        from camri_exp.tracking.media import media

        with self._unharmed("lost the run's summary"):
            self.run.summary.update(summary(result))
        with self._unharmed("lost the run's figures"), _environment("WANDB_DATA_DIR", self.run_dir / "wandb"):
            self.run.log({**media(result, arrays, data, probabilities), STEP: self.step})
        if self.log_model:
            with self._unharmed("lost a checkpoint"):
                self._log_checkpoints()

    def _log_checkpoints(self) -> None:
        import wandb

        for alias in ("best", "last"):
            path = self.run_dir / "checkpoints" / f"{alias}.ckpt"
            if path.is_file():
                artifact = wandb.Artifact(f"checkpoint-{self.run.id}", type="model")
                # In a run's own layout, so that camri_exp.evaluate reads what was downloaded. "immutable": no copy.
                artifact.add_file(str(path), f"checkpoints/{path.name}", policy="immutable", skip_cache=True)
                artifact.add_file(str(self.run_dir / "config.yaml"), policy="immutable", skip_cache=True)
                self.run.log_artifact(artifact, aliases=[alias])

    def finish(self, exit_code: int) -> None:
        """Close the run; says how to upload what is not up."""
        if self.run is None:
            return
        file, complete = Path(self.run.settings.sync_file), False
        with self._unharmed("was not uploaded whole"):
            self.run.finish(exit_code=exit_code)
            complete = True
        online = self.mode not in OFFLINE
        if online and complete:
            file.with_suffix(".wandb.synced").touch()  # as `wandb sync` marks what it uploaded
        elif exit_code == 0:
            state = "the upload was cut short" if online else "this run was offline"
            print(f"W&B: {state}; to upload it: python -m camri_exp.tracking.sync {_relative(self.run_dir)}")

    @contextmanager
    def _unharmed(self, what: str) -> Iterator[None]:
        """Training never ends because of W&B: its errors become a line, the first one on the screen."""
        try:
            yield
        except failures() as error:
            self._tell(f"W&B {what} ({_first_line(error)}); results on disk are complete")

    def _tell(self, text: str) -> None:
        log.info(text)
        if not self.told:
            print(text)
        self.told = True


def failures() -> tuple[type[BaseException], ...]:
    """What wandb raises when the service, or its own process on this machine, is gone."""
    import wandb
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

    return (wandb.Error, OSError, HandleAbandonedError, MailboxClosedError)


def summary(result: Mapping[str, Any]) -> dict[str, float]:
    """The run's summary: the chosen checkpoint's test metrics, its validation metrics, and what it cost."""
    test, val = result["test"], result["val"]
    values = {f"test/{name}": test[name] for name in METRICS}
    values |= {f"test/recall/{name}": value for name, value in test["recall"].items()}
    values |= {f"chosen/val/{name}": val[name] for name in METRICS}
    return values | {key: result[key] for key in ("epochs", "fit_seconds", "images_per_second", "parameters")}


def has_key(base_url: str) -> bool:
    """Whether a W&B key is configured: in the environment, or by ``wandb login`` in the netrc file."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = base_url.split("//")[-1].split("/")[0].split(":")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@contextmanager
def _environment(name: str, value: Path) -> Iterator[None]:
    """A variable for a while, unless the user set it: W&B takes where to keep a table's pictures from nothing else."""
    if name in os.environ:
        yield
        return
    os.environ[name] = str(value)
    try:
        yield
    finally:
        del os.environ[name]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

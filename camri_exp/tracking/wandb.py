"""One W&B run a job: online with a key, else offline with one line on how to sync."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only


class WandbRun(Logger):
    """A Lightning logger that is one W&B run, closed by ``finish`` whatever happened.

    Lightning's own WandbLogger passes settings that today's wandb warns about, and leaves the run open on an error.

    Args:
        project: W&B project.
        run_dir: the run's folder, where W&B keeps its files too.
        config: the whole config, nested, so that ``loss.margin`` can be asked for.
        entity: W&B user or team; the account's default where it is null.
    """

    def __init__(self, project: str, run_dir: str, config: Mapping[str, Any], entity: str | None = None) -> None:
        super().__init__()
        import wandb

        self.run_dir = Path(run_dir)
        self.mode = os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
        self.run = wandb.init(
            project=project,
            entity=entity,
            dir=run_dir,
            config=dict(config),
            mode=self.mode,  # type: ignore[arg-type]
            settings=wandb.Settings(silent=True),
        )

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self.run.id

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.run.log({**metrics, "trainer/global_step": step})

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The config is given whole at the start."""

    def finish(self, exit_code: int) -> None:
        self.run.finish(exit_code=exit_code)
        if self.mode == "offline" and exit_code == 0:
            print(f"W&B was offline; to upload this run: wandb login && wandb sync {self.run_dir}/wandb/offline-run-*")


def has_key() -> bool:
    """Whether a W&B key is configured: in the environment, or by ``wandb login`` in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split(":")[0].rstrip("/")
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False

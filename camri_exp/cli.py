"""What every command shares: where the configs are, and errors as one or two lines.

Nothing heavy is imported here, nor by a command's module: ``--help`` and a config error answer at once.
"""

import json
import os
import sys
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from camri_exp.errors import UserError, nearest
from camri_exp.identity import job_name
from camri_exp.signals import stoppable

PACKAGE = Path(__file__).resolve().parent
# A wheel carries the configs inside the package; a checkout (or an editable install) has them beside it.
CONFIGS = next(path for path in (PACKAGE / "configs", PACKAGE.parent / "configs") if path.is_dir())


def register_resolvers() -> None:
    """What configs use: ``camri.first`` (the first value given), ``camri.times`` (a product), a job's folder, GPUs."""
    OmegaConf.register_new_resolver("camri.first", lambda *values: next(v for v in values if v), replace=True)
    OmegaConf.register_new_resolver("camri.times", lambda a, b: a * b, replace=True)
    OmegaConf.register_new_resolver("camri.job", job_name, replace=True)
    OmegaConf.register_new_resolver("camri.gpus", _gpus_per_job, replace=True)


def _gpus_per_job(asked: float | None, elsewhere: float | None = None) -> float:
    """``asked``, or where nothing is: ``elsewhere`` for jobs on other machines, here one if there is any."""
    for number in (asked, elsewhere):
        if number is not None:
            return number
    import torch

    return 1 if torch.cuda.is_available() else 0


def fail(message: object) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def command(
    config_name: str, paths: Collection[str] = (), free: tuple[str, ...] = ()
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a command of a function of the composed config ``configs/<config_name>.yaml``.

    ``paths`` are the keys whose values are paths: they are taken as they stand, commas and equals signs included.
    ``free`` are beginnings of keys that the config need not have.
    """
    register_resolvers()

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], None]:
        @wraps(function)
        def run(cfg: DictConfig) -> Any:
            try:
                _check_keys(cfg, config_name)
                return function(cfg)
            except (UserError, OmegaConfBaseException) as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                fail(error)

        main = stoppable(hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(run))

        @wraps(function)
        def quoting() -> Any:
            sys.argv[1:] = [f"++{text}" if text.startswith(free) else text for text in quoted(sys.argv[1:], paths)]
            return main()

        return quoting if paths or free else main

    return decorate


def _check_keys(cfg: DictConfig, config_name: str) -> None:
    """Hydra answers a typo with the advice to put a plus before it; what is then added, nothing would read."""
    base = OmegaConf.load(CONFIGS / f"{config_name}.yaml")
    assert isinstance(base, DictConfig)
    groups = {str(group) for item in base.defaults if OmegaConf.is_dict(item) for group in item}
    known = {str(key) for key in base} | groups
    for key in map(str, cfg):
        if key not in known:
            raise UserError(f"+{key}: {config_name} has no key {key}.{nearest(key, known)}")


def quoted(arguments: Sequence[str], paths: Collection[str]) -> list[str]:
    """Hydra would take the comma in ``sweep=a,b`` for a multirun, and stumble over an equals sign in a path."""
    return [_quoted(*text.partition("="), paths) for text in arguments]


def _quoted(key: str, equals: str, value: str, paths: Collection[str]) -> str:
    bare = key in paths and value not in ("", "null") and value[0] not in "\"'["
    return key + equals + (json.dumps(value, ensure_ascii=False) if bare else value)


class WritableOutput(Callback):
    """Hydra makes the run's folder before any code of ours runs; this turns its traceback into one line."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        self._make(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        self._make(config.hydra.sweep.dir)

    def _make(self, folder: str) -> None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / ".writable").touch()
            (Path(folder) / ".writable").unlink(missing_ok=True)
        except OSError as error:
            fail(f"the results cannot be written to {folder}: {error.strerror}. Give another folder: hydra.run.dir=DIR")

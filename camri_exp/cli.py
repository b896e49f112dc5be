"""What every command shares: where the configs are, and errors as one or two lines.

Nothing heavy is imported here, nor by a command's module: ``--help`` and a config error answer at once.
"""

import errno
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from camri_exp.errors import UserError, first_line
from camri_exp.files import refuse_links
from camri_exp.identity import job_name
from camri_exp.signals import stoppable
from camri_exp.text import printable

PACKAGE = Path(__file__).resolve().parent
# A wheel carries the configs inside the package; a checkout (or an editable install) has them beside it.
CONFIGS = next(path for path in (PACKAGE / "configs", PACKAGE.parent / "configs") if path.is_dir())


def register_resolvers() -> None:
    """What configs use: ``camri.first`` (the first value given), ``camri.if_given``, ``camri.times`` (a product), a
    job's folder, GPUs, and the list of a command's keys for ``--help``."""
    OmegaConf.register_new_resolver("camri.first", lambda *values: next(v for v in values if v), replace=True)
    OmegaConf.register_new_resolver("camri.if_given", _if_given, replace=True)
    OmegaConf.register_new_resolver("camri.times", lambda a, b: a * b, replace=True)
    OmegaConf.register_new_resolver("camri.job", job_name, replace=True)
    OmegaConf.register_new_resolver("camri.gpus", _gpus_per_job, replace=True)
    OmegaConf.register_new_resolver("camri.keys", _list_of_keys, replace=True)


def _if_given(first: object, second: object, then: object, otherwise: object) -> object:
    """``then`` where one of the two values is not null, else ``otherwise``."""
    return otherwise if first is None and second is None else then


def _gpus_per_job(asked: float | None, elsewhere: float | None = None) -> float:
    """``asked``, or where nothing is: ``elsewhere`` for jobs on other machines, here one if there is any."""
    for number in (asked, elsewhere):
        if number is not None:
            return number
    import torch

    return 1 if torch.cuda.is_available() else 0


def _list_of_keys(config_name: str) -> str:
    from camri_exp.schema.listing import as_text

    return as_text(config_name, CONFIGS).replace("$", "$$")  # as Hydra's template needs it


def fail(message: object) -> NoReturn:
    print(f"error: {printable(str(message))}", file=sys.stderr)
    sys.exit(1)


def command(
    config_name: str, paths: Collection[str] = (), free: tuple[str, ...] = (), is_job: bool = False
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a command of a function of the composed config ``configs/<config_name>.yaml``.

    ``paths`` are the keys whose values are paths: they are taken as they stand, commas and equals signs included.
    ``free`` are beginnings of keys that the config need not have. The values are checked before ``function`` is called;
    with ``is_job``, ``function`` does that itself in a sweep, where a wrong value is the failure of one job.
    """
    register_resolvers()

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], None]:
        @wraps(function)
        def run(cfg: DictConfig) -> Any:
            logging.raiseExceptions = False  # on a full disk, a traceback for each line of run.log
            try:
                if not (is_job and HydraConfig.get().mode == RunMode.MULTIRUN):
                    check_config(cfg, config_name)
                return function(cfg)
            except (UserError, OmegaConfBaseException) as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                fail(error if isinstance(error, UserError) else first_line(error))
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                fail(f"{error.filename or 'a file'} cannot be written: {error.strerror}. Make room, then try again.")

        main = stoppable(hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(run))

        @wraps(function)
        def quoting() -> Any:
            _check_options(sys.argv[1:], config_name)
            sys.argv[1:] = [f"++{text}" if text.startswith(free) else text for text in quoted(sys.argv[1:], paths)]
            return main()

        return quoting

    return decorate


def check_config(cfg: DictConfig, config_name: str, plugins: bool = True) -> None:
    """Check every key and value of the composed config ``configs/<config_name>.yaml``.

    Without ``plugins``, their arguments are not checked, and nothing is imported for them.

    Raises:
        UserError: the first wrong one, with what was expected.
    """
    from camri_exp.schema.check import check_plugins, check_values, plain

    values = plain(cfg)
    check_values(values, config_name, _known_keys(config_name))
    if plugins:
        check_plugins(values, config_name)


@cache
def _known_keys(config_name: str) -> set[str]:
    return {*map(str, OmegaConf.load(CONFIGS / f"{config_name}.yaml")), *_groups(config_name)}


def _groups(config_name: str) -> set[str]:
    defaults = OmegaConf.load(CONFIGS / f"{config_name}.yaml").defaults
    return {str(group) for item in defaults if OmegaConf.is_dict(item) for group in item}


# What Hydra reads as a value that is not a text.
NOT_AN_OPTION = re.compile(r"(null|true|false|nan|[+-]?inf|[+-]?[\d_.]+(e[+-]?\d+)?)?", re.IGNORECASE)


def _check_options(arguments: Sequence[str], config_name: str) -> None:
    """Hydra answers a group that is null, a number or a list of numbers with a traceback."""
    for text in arguments:
        key, equals, value = text.lstrip("+").partition("=")
        if not (equals and re.fullmatch(r"\w+", key) and (CONFIGS / key).is_dir()):
            continue
        if not any(NOT_AN_OPTION.fullmatch(item.strip()) for item in value.strip("[]").split(",")):
            continue
        if key not in _groups(config_name):
            fail(f"{text}: {config_name} has no options for {key}, only single keys: {key}.KEY=VALUE")
        fail(f"{text}: expected one of {', '.join(sorted(path.stem for path in (CONFIGS / key).glob('*.yaml')))}.")


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
        for job in Path(config.hydra.sweep.dir).glob("*/"):
            self._check_links(job)

    def _make(self, folder: str) -> None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / ".writable").touch()
            (Path(folder) / ".writable").unlink(missing_ok=True)
        except OSError as error:
            fail(f"the results cannot be written to {folder}: {error.strerror}. Give another folder: hydra.run.dir=DIR")
        self._check_links(Path(folder))

    def _check_links(self, folder: Path) -> None:
        """Before Hydra opens run.log, which would follow a link."""
        try:
            refuse_links(folder)
        except UserError as error:
            fail(error)

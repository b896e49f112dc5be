"""What every command shares: where the configs are, and errors as one or two lines.

Nothing heavy is imported here, nor by a command's module: ``--help`` and a config error answer at once.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from camri_exp.errors import UserError

PACKAGE = Path(__file__).resolve().parent
# A wheel carries the configs inside the package; a checkout (or an editable install) has them beside it.
CONFIGS = next(path for path in (PACKAGE / "configs", PACKAGE.parent / "configs") if path.is_dir())


def command(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a command of a function of the composed config ``configs/<config_name>.yaml``."""

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], None]:
        @wraps(function)
        def run(cfg: DictConfig) -> Any:
            try:
                return function(cfg)
            except (UserError, OmegaConfBaseException) as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                print(f"error: {error}", file=sys.stderr)
                sys.exit(1)

        return hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(run)

    return decorate

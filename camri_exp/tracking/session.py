"""Opening and closing a W&B run. A service that is missing, slow or broken costs a limited time and no results."""

import http.client
import logging
import netrc
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from pydantic import ValidationError

from camri_exp.errors import first_line

log = logging.getLogger(__name__)
OFFLINE = ("offline", "dryrun")
GRACE = 5  # seconds
PATIENCE = 10  # seconds that the service may take to answer
PUBLIC_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")  # one service: a key of either host is valid for both


def open_run(mode: str, timeouts: dict[str, Any], arguments: dict[str, Any], warn: Callable[[str], None]) -> wandb.Run:
    """A run in ``mode``; an online run becomes an offline run without a key, or if the service does not answer."""
    # Capturing the screen would log every frame of the progress bar.
    settings = wandb.Settings(silent=True, console="off", reinit="create_new", finish_timeout_raises=True, **timeouts)
    if mode not in OFFLINE and has_key(base_url()):
        folder = Path(arguments["dir"], "wandb")
        before = set(folder.glob("*run-*"))
        try:
            return wandb.init(settings=settings, **{**arguments, "mode": mode})
        except Exception as error:
            warn(f"no answer from W&B ({first_line(error)}): this run continues offline")
        drop_service()  # it would report that the id is in use
        for attempt in set(folder.glob("*run-*")) - before:  # or the run would be uploaded twice
            shutil.rmtree(attempt, ignore_errors=True)
    # W&B refuses "resume" offline. The id alone joins the parts of a run when they are uploaded.
    arguments = {key: value for key, value in arguments.items() if key != "resume"}
    return wandb.init(settings=settings, **{**arguments, "mode": "offline"})


def close_run(run: wandb.Run, exit_code: int, seconds: float) -> None:
    """Finish ``run`` within about ``seconds``; W&B's own limit does not apply to artifacts.

    Raises:
        TimeoutError: it took longer; the data is on disk.
        Exception: whatever W&B raised.
    """
    _within(seconds + GRACE, lambda: run.finish(exit_code=exit_code))


def drop_service() -> bool:
    """Give up W&B's process on this machine, so that the next run starts another; returns whether it has ended.

    ``wandb.teardown`` waits until everything is uploaded. Its thread is left behind: W&B's process ends with ours.
    """
    try:
        _within(GRACE, wandb.teardown)
    except TimeoutError:
        return False
    except (Exception, SystemExit) as error:  # SystemExit: the exit code of a dead process would become ours
        log.info("W&B's process ended with %s", first_line(error))
    return True


def _within(seconds: float, call: Callable[[], object]) -> None:
    """Run ``call`` in a thread and re-raise its error; TimeoutError leaves the thread behind as a daemon."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"not finished in {seconds:.0f} s")
    if errors:
        raise errors[0]


def base_url() -> str:
    """Address of the service, from the user's W&B settings."""
    return str(wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url)


def has_key(url: str) -> bool:
    """Whether a key for the service at ``url`` is in the environment, or in the netrc file of ``wandb login``."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    standard = (Path(name).expanduser() for name in ("~/.netrc", "~/_netrc"))
    path = os.environ.get("NETRC") or next((path for path in standard if path.exists()), None)
    if path is None:
        return False
    try:
        keys = netrc.netrc(Path(path).expanduser())
    except (OSError, netrc.NetrcParseError):
        return False
    host = urlsplit(url).netloc
    hosts = PUBLIC_HOSTS if host in PUBLIC_HOSTS else (host,)
    return any(keys.authenticators(name) for name in hosts)


def check_settings(**values: Any) -> None:
    """Refuse settings that W&B would refuse, by its own rules, before training starts.

    Raises:
        ValueError: names the setting, its value and what was expected.
    """
    try:
        wandb.Settings(**{key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors()[0]
        name = wrong["loc"][0] if wrong["loc"] else "settings"
        raise ValueError(f"wandb.{name}={values.get(str(name))}: {wrong['msg']}.") from error
    except Exception as error:
        raise ValueError(f"wandb: {first_line(error)}.") from error


def connection_problem(url: str) -> str | None:
    """Why the service does not answer now, or None. wandb itself would retry each request for minutes."""
    try:
        urllib.request.urlopen(url, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return None  # an error code is an answer
    except (OSError, http.client.HTTPException) as error:
        return first_line(error)
    return None


@contextmanager
def environment(name: str, value: Path) -> Iterator[None]:
    """Set a variable during the block, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = str(value)
    try:
        yield
    finally:
        del os.environ[name]

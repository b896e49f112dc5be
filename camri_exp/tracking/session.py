"""Opening a W&B run online or offline, and what wandb raises when the service is not what it should be."""

import http.client
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from camri_exp.errors import first_line

OFFLINE = ("offline", "dryrun")
GRACE = 5  # seconds
PATIENCE = 10  # seconds that the service may take to answer


def open_run(mode: str, timeouts: dict[str, Any], arguments: dict[str, Any], tell: Callable[[str], None]) -> Any:
    """A run in ``mode``: offline too where there is no key, and where the service does not answer."""
    import wandb

    silent = wandb.Settings(silent=True)
    # The screen shows one bar; capturing it for the service would log each of its frames.
    common = wandb.Settings(silent=True, console="off", reinit="create_new", finish_timeout_raises=True, **timeouts)
    if mode not in OFFLINE and has_key(wandb.setup(settings=silent).settings.base_url):
        before = set(_folders(arguments["dir"]))
        try:
            return wandb.init(settings=common, **{**arguments, "mode": mode})
        except wandb.Error as error:
            tell(f"no answer from W&B ({first_line(error)}): this run goes on offline")
        drop_service()  # else it says that the id is in use
        for attempt in set(_folders(arguments["dir"])) - before:  # or the run would be uploaded twice
            shutil.rmtree(attempt, ignore_errors=True)
    # W&B refuses "resume" offline; the id alone joins the parts when they are uploaded.
    kept = {key: value for key, value in arguments.items() if key != "resume"}
    return wandb.init(settings=common, **{**kept, "mode": "offline"})


def close_run(run: Any, exit_code: int, seconds: float) -> None:
    """Finish ``run``, uploading for at most so many seconds and a few; W&B's own limit does not hold for artifacts.

    Raises:
        TimeoutError: it took longer, and W&B's process on this machine was ended; the rest is on disk.
    """
    raised: list[BaseException] = []

    def finish() -> None:
        try:
            run.finish(exit_code=exit_code)
        except failures() as error:
            raised.append(error)

    thread = threading.Thread(target=finish, daemon=True)
    thread.start()
    thread.join(seconds + GRACE)
    if thread.is_alive():
        _kill_service()
        thread.join(GRACE)
        raise TimeoutError(f"not finished in {seconds + GRACE:.0f} s")
    if raised:
        raise raised[0]


def _kill_service() -> None:
    import wandb

    service = wandb.setup().ensure_service()
    # Not public, but nothing public ends it: wandb.teardown waits until all is uploaded.
    process = getattr(getattr(service, "_proc", None), "_process", None)
    if process is not None:
        process.kill()
    drop_service()


def drop_service() -> None:
    """Forget W&B's process on this machine, dead or alive: the next run of this process starts another."""
    import wandb

    with suppress(SystemExit, *failures()):  # SystemExit: a dead process's exit code would become ours
        wandb.teardown()


def _folders(run_dir: str) -> Iterator[Path]:
    return Path(run_dir, "wandb").glob("*run-*")


def has_key(base_url: str) -> bool:
    """Whether a W&B key is configured: in the environment, or by ``wandb login`` in the netrc file."""
    import wandb
    from wandb.sdk.lib.wbauth import read_netrc_auth

    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        # wandb's own reader: it knows under which names of a host a key was stored, also by earlier versions.
        return read_netrc_auth(host=base_url) is not None
    except wandb.Error:  # a key that is none: W&B says so when it is asked to start
        return True


def check_settings(**given: Any) -> None:
    """Refuse settings that W&B would refuse, by its own rules, before a run begins without it.

    Raises:
        ValueError: says which setting, its value and what was expected.
    """
    import wandb
    from pydantic import ValidationError

    try:
        wandb.Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors()[0]
        name = wrong["loc"][0] if wrong["loc"] else "settings"
        raise ValueError(f"wandb.{name}={given.get(str(name))}: {wrong['msg']}.") from error
    except wandb.Error as error:
        raise ValueError(f"wandb: {first_line(error)}.") from error


def trouble(base_url: str) -> str | None:
    """Why the service cannot be asked now, or None: wandb itself would find out over and over, for minutes."""
    try:
        urllib.request.urlopen(base_url, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return None  # an answer is an answer
    except (OSError, http.client.HTTPException) as error:
        return first_line(error)
    return None


def failures() -> tuple[type[BaseException], ...]:
    """What wandb raises when the service, or its own process on this machine, is gone or talks nonsense."""
    import wandb
    from pydantic import ValidationError
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError
    from wandb.sdk.mailbox.mailbox_handle import ServerResponseError

    own_process = (HandleAbandonedError, MailboxClosedError, ServerResponseError, WandbApiFailedError)
    return (wandb.Error, OSError, ValidationError, *own_process)


@contextmanager
def environment(name: str, value: Path) -> Iterator[None]:
    """A variable for a while, unless the user set it: W&B takes where to keep a table's pictures from nothing else."""
    if name in os.environ:
        yield
        return
    os.environ[name] = str(value)
    try:
        yield
    finally:
        del os.environ[name]

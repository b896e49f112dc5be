"""Exit codes that tell how a command was stopped: 130 for Ctrl-C, 143 for SIGTERM."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None
CTRL_C, CLOSED_PIPE, TERMINATED = 130, 141, 143  # 128 + the number of the signal, as shells have it


def stoppable(main: Callable[[], Any]) -> Callable[[], Any]:
    """Let ``main`` end in one line and the right exit code when it is stopped.

    Python ends at once on SIGTERM, without closing anything; Lightning only notes it and finishes the run. Here it
    raises SystemExit, so that locks, loggers and temporary files are closed, and ``last.ckpt`` stays as it is.
    """

    @wraps(main)
    def run() -> Any:
        previous = _handle_sigterm(lambda *_: sys.exit(TERMINATED))
        try:
            return main()
        except KeyboardInterrupt as stop:
            print("stopped", file=sys.stderr)
            sys.exit(exit_code(stop))
        except BrokenPipeError:  # the reader of the output, such as `head`, has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its exit
            sys.exit(CLOSED_PIPE)
        finally:
            _handle_sigterm(previous)

    return run


def _handle_sigterm(handler: Handler) -> Handler:
    """Set the handler of SIGTERM and return the one before; signals belong to the main thread."""
    if threading.current_thread() is not threading.main_thread() or handler is None:
        return None
    return signal.signal(signal.SIGTERM, handler)


def exit_code(stop: BaseException) -> int:
    """The exit code of a command that ``stop`` ended: SystemExit(143), a KeyboardInterrupt, or what these caused."""
    cause: BaseException | None = stop
    while cause is not None:
        if isinstance(cause, SystemExit) and cause.code == TERMINATED:
            return TERMINATED
        cause = cause.__cause__ or cause.__context__
    return CTRL_C

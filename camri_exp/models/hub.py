"""The hub that timm downloads weights from: asked once whether it can be reached.

Without a network, huggingface_hub retries every file for 25 seconds, with a warning each time.
"""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5.0  # to wait for an answer


def endpoint() -> str:
    """The address of the hub."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def is_reachable() -> bool:
    """Whether the hub answers; an error of HTTP is an answer too."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


@contextmanager
def offline(yes: bool) -> Iterator[None]:
    """Let huggingface_hub use nothing but its cache."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = yes or before
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before

"""A job's folder, named by its overrides."""

import hashlib
import re
from collections.abc import Iterable

from camri_exp.results import NOT_HASHED

LONGEST = 140  # file systems take 255 bytes a name; the job's own files and W&B need room beside it
PLAIN = re.compile(r"[A-Za-z0-9_.]+=[A-Za-z0-9_.-]*")  # its first "-" in a name is the equals sign


def job_name(overrides: Iterable[str]) -> str:
    """``loss-camri+loss.margin-0.1+seed-0`` of ``loss=camri loss.margin=0.1 seed=0``, whatever their order.

    Only letters that need no quotes, neither in a shell nor in Hydra (``checkpoint=<folder>/checkpoints/best.ckpt``);
    a name that is too long, or had other letters, ends in a hash of the overrides.
    """
    kept = sorted((item for item in overrides if key(item) not in NOT_HASHED), key=lambda item: item.partition("="))
    full = "+".join(kept)
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", full.replace("=", "-")).strip("_") or "default"
    if len(name) <= LONGEST and all(map(PLAIN.fullmatch, kept)):
        return name
    digest = hashlib.sha256("\0".join(kept).encode(errors="surrogatepass")).hexdigest()
    return f"{name[:LONGEST].rstrip('_+')}+{digest[:10]}"


def key(override: str) -> str:
    """The first part of what an override sets: ``sweep`` of ``+sweep.only.ce.seed=0``."""
    return re.split(r"[=./@]", override.lstrip("+~"), maxsplit=1)[0]

"""Filters for known-harmless warnings of libraries, each with its reason."""

import logging
import warnings

MESSAGES = (
    # Batches are gathered from memory in this process; worker processes would only copy them.
    r".*does not have many workers.*",
    # Checkpoints go to the run's own folder, which a resumed run finds in place, as it should.
    r".*Checkpoint directory .* exists and is not empty.*",
    # The sampler shards without padding on purpose.
    r".*it is recommended to use `Trainer\(devices=1, num_nodes=1\)`.*",
    # A CPU run on a machine with a GPU was asked for.
    r".*GPU available but not used.*",
    # Logged once an epoch on purpose: small data sets have fewer steps than log_every_n_steps.
    r".*The number of training batches .* is smaller than the logging interval.*",
    # torch's own schedules call each other this way when a run resumes.
    r".*Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`.*",
    # Lightning reaches into torch internals that torch has since moved.
    r".*torch\.utils\._pytree.*deprecated.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    # Metrics are means over one confusion matrix an epoch; there is no batch size to infer.
    r".*Trying to infer the `batch_size` from an ambiguous collection.*",
    # The confusion matrix is summed over the processes before anything is computed from it: all log the same.
    r".*It is recommended to use `self\.log\(.*sync_dist=True\)`.*",
    # It is our choice to resume at an epoch's end with the loaders of a new process.
    r".*resuming from a checkpoint that ended before the epoch ended.*",
)


def ignore_known_warnings() -> None:
    """Silence the messages above, and Lightning's announcements of devices and checkpoints that no user acts on."""
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message=message)
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        # Hydra has a handler at the root; Lightning's own would print every message twice.
        logger.handlers.clear()
        logger.propagate = True

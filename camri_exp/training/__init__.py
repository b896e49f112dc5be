"""Config to one run: trainer, callbacks, checks before it starts, resume."""

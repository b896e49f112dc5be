"""Weights & Biases: what a run logs, and dashboards built from code. wandb is imported only where a run logs to it."""

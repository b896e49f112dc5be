"""Weights & Biases: what a run logs, and the dashboard built from code. wandb is imported only where a run logs to it."""

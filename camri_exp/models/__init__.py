"""Backbones, heads, the LightningModule, checkpoints and inference."""

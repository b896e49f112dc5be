"""Image files to labels, and a checkpoint to a model for other programs."""

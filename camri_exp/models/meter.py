"""Loss and speed of the training steps."""

import math
import time

import torch
from torch import Tensor


class TrainingMeter:
    """Collects the loss of every training step. Losses stay on the device until ``take``: no step waits for it."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, float]] = []  # images and seconds per epoch
        self.start_epoch()

    def start_epoch(self) -> None:
        self.pending: list[Tensor] = []
        self.losses: list[float] = []
        self.images = self._reported_images = 0
        self.begin = self._reported = time.perf_counter()

    def add(self, loss: Tensor, images: int) -> None:
        self.pending.append(loss)
        self.images += images

    def take(self) -> tuple[list[float], float]:
        """Losses, and images per second, since the last call."""
        new = torch.stack(self.pending).tolist()
        self.pending = []
        self.losses += new
        now = time.perf_counter()
        speed = (self.images - self._reported_images) / (now - self._reported)
        self._reported, self._reported_images = now, self.images
        return new, speed

    def end_epoch(self) -> float:
        """Record images and seconds of the epoch as of the last ``take``; returns its mean loss."""
        self.epochs.append((self.images, self._reported - self.begin))
        return math.fsum(self.losses) / len(self.losses)

    @property
    def images_per_second(self) -> float:
        """Mean over all epochs except the first, which includes the warm-up, unless it is the only one."""
        counted = self.epochs[1:] or self.epochs
        return sum(images for images, _ in counted) / sum(seconds for _, seconds in counted) if counted else math.nan

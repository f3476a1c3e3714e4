"""The learning rate over the steps."""

import math

from training.config import ScheduleOptions


def lr_factor(step: int, n_steps: int, options: ScheduleOptions) -> float:
    """The learning rate of `step` (from 0 to n_steps - 1) as a share of the largest.

    Linear warm-up, (step + 1) / warmup_steps, then half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5)
    from 1 at step `warmup_steps` down to `min_lr_ratio` at step n_steps - 1.
    """
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    progress = (step - options.warmup_steps) / max(1, n_steps - 1 - options.warmup_steps)
    low = options.min_lr_ratio
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

"""The learning rate over the steps."""

import math

from training.config import DecayOptions, WSDOptions


def lr_factor(step: int, n_steps: int, options: DecayOptions | WSDOptions) -> float:
    """The learning rate of `step` (from 0 to n_steps - 1) as a share of the largest.

    Linear warm-up, (step + 1) / warmup_steps. Then it falls to `min_lr_ratio` at step n_steps - 1: as half a cosine
    (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5) or a line, from 1 at step `warmup_steps`; with `wsd` a line from
    1 at step n_steps - 1 - decay_share n_steps, but not before the warm-up ends (Hagele et al. 2024, arXiv 2405.18392,
    compare shapes of that fall).
    """
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    last, begin = n_steps - 1, float(options.warmup_steps)
    if isinstance(options, WSDOptions):
        begin = max(begin, last - options.decay_share * n_steps)
    progress = min(1.0, max(0.0, (step - begin) / max(1.0, last - begin)))
    left = 0.5 * (1 + math.cos(math.pi * progress)) if options.type == "cosine" else 1 - progress
    return options.min_lr_ratio + (1 - options.min_lr_ratio) * left

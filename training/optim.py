"""AdamW with decay on matrices only."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from training.config import OptimOptions

EPSILON = 1e-8
"""Added to the root of the second moment: torch's default, from Kingma & Ba 2015 (arXiv 1412.6980, algorithm 1)."""


def make_optimizer(model: nn.Module, options: OptimOptions) -> torch.optim.AdamW:
    """AdamW over `model`'s parameters: those of two or more dimensions are decayed, the others are not."""
    named = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in named if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=options.lr, betas=options.betas, eps=EPSILON, fused=True
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the learning rate `lr`."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def average_and_clip(parameters: Iterable[nn.Parameter], n_targets: int, clip: float) -> Tensor:
    """Turn gradients of a summed loss into those of its mean over `n_targets`, and cut their norm to `clip`.

    Returns:
        The L2 norm of the whole gradient before cutting, a scalar float32 tensor on the gradients' device.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients) / n_targets
    factor = torch.clamp(clip / (norm + 1e-6), max=1.0) / n_targets
    torch._foreach_mul_(gradients, factor)
    return norm

"""AdamW, SGD or Muon, with decay on matrices only."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from training.config import AdamWOptions, MuonOptions, SGDOptions

EPSILON = 1e-8
"""Added to the root of the second moment: torch's default, from Kingma & Ba 2015 (arXiv 1412.6980, algorithm 1)."""
CLIP_EPSILON = 1e-6
"""Added to the norm that the gradient is divided by: torch's, in `clip_grad_norm_`."""
BLOCKS = "blocks."
"""How names of weights begin that Muon may take: it is made for matrices between hidden states, not for embeddings and
the output matrix (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks")."""
STEP = "step"


class Optimizer:
    """One of torch's optimizers, or Muon and AdamW side by side, as one.

    Its state is known by the names of the weights, so a file of it does not depend on the order of parameters.
    """

    def __init__(self, model: nn.Module, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = parts
        self._names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}

    def set_lr(self, lr: float) -> None:
        """Give every weight the learning rate `lr`."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr

    def step(self) -> None:
        """Update the weights by their gradients."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for part in self.parts:
            part.zero_grad()

    def n_bytes(self) -> int:
        """What the moments of all weights take, in bytes."""
        groups = [(len(_moments(part)), group["params"]) for part in self.parts for group in part.param_groups]
        return sum(n * p.numel() * p.element_size() for n, weights in groups for p in weights)

    def tensors(self) -> dict[str, Tensor]:
        """The state but for the count of updates, as "MOMENT.NAME" -> tensor of the weight's shape, not a copy."""
        return {
            f"{moment}.{self._names[p]}": value
            for part in self.parts
            for p, state in part.state.items()
            for moment, value in state.items()
            if moment != STEP
        }

    def load(self, tensors: Mapping[str, Tensor], n_updates: int) -> None:
        """Take over what `tensors` returned after `n_updates` updates.

        Raises:
            KeyError: if a weight's moment is missing.
        """
        for part in self.parts if n_updates else ():
            moments = _moments(part)
            whole = part.state_dict()
            names = [self._names[p] for group in part.param_groups for p in group["params"]]
            whole["state"] = {i: {m: tensors[f"{m}.{name}"] for m in moments} for i, name in enumerate(names)}
            if isinstance(part, torch.optim.AdamW):
                for state in whole["state"].values():
                    state[STEP] = torch.tensor(float(n_updates))
            part.load_state_dict(whole)


def _moments(part: torch.optim.Optimizer) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq") if isinstance(part, torch.optim.AdamW) else ("momentum_buffer",)


def make_optimizer(model: nn.Module, options: AdamWOptions | SGDOptions | MuonOptions) -> Optimizer:
    """The optimizer of `model`'s weights: those of two or more dimensions are decayed, the others are not.

    AdamW and SGD are torch's fused ones. Muon is torch's, its learning rate scaled by 0.2 sqrt(max(rows, columns)), so
    that its updates are as large as AdamW's and one learning rate and decay serve both (Liu et al. 2025, "Muon is
    Scalable for LLM Training", arXiv 2502.16982, section 2.2).
    """
    named = list(model.named_parameters())
    hidden = [p for name, p in named if isinstance(options, MuonOptions) and name.startswith(BLOCKS) and p.ndim == 2]
    taken = set(hidden)
    rest = [p for _, p in named if p not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if isinstance(options, SGDOptions):
        return Optimizer(model, [torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum, fused=True)])
    adamw = torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, eps=EPSILON, fused=True)
    if not isinstance(options, MuonOptions):
        return Optimizer(model, [adamw])
    muon = torch.optim.Muon(
        hidden,
        lr=options.lr,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return Optimizer(model, [muon, adamw])

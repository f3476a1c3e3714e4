"""The configuration of one training run: a YAML file becomes a frozen `TrainConfig`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Options


class TrainingError(Exception):
    """Something a person can put right; its text says what was found, what was expected and what to do."""


class CommonError(TrainingError):
    """One that all processes of a run raise together, so that it is enough if one says it."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What makes one kind of transformer another; `training.model` says where each has its place.

    `rms_epsilon`: of RMSNorm; None is torch's default, and no weights. LayerNorm has torch's, which is GPT-2's.
    `feed_forward` is its hidden width over d_model where `d_hidden` is not given. A `swiglu` has three matrices instead
    of two.
    """

    positions: Literal["learned", "rotary"]
    norm: Literal["layer", "rms"]
    activation: Literal["gelu", "swiglu", "relu2"]
    feed_forward: float
    rms_epsilon: float | None = None
    has_bias: bool = False
    is_tied: bool = True
    has_qk_norm: bool = False
    has_embedding_norm: bool = False
    initial: Literal["gpt2", "normal", "zero"] = "normal"


ARCHITECTURES = {
    # Radford et al. 2019, section 2.3, and openai/gpt-2: src/model.py.
    "gpt2": Architecture("learned", "layer", "gelu", 4, has_bias=True, initial="gpt2"),
    # Touvron et al. 2023 (arXiv 2302.13971), section 2.2; grouped queries: Ainslie et al. 2023 (arXiv 2305.13245).
    "llama": Architecture("rotary", "rms", "swiglu", 8 / 3, rms_epsilon=1e-5, is_tied=False),
    # KellerJordan/modded-nanogpt and karpathy/nanochat agree on these; papers in `training.model`.
    "modern": Architecture("rotary", "rms", "relu2", 4, has_qk_norm=True, has_embedding_norm=True, initial="zero"),
}
HIDDEN_MULTIPLE = 256
"""Llama's `multiple_of`: a hidden width that no d_hidden gives is rounded up to one (meta-llama/llama: model.py)."""


class ModelOptions(Options):
    """The shape of a decoder-only transformer."""

    architecture: Literal["gpt2", "llama", "modern"] = Field(
        description="gpt2 and llama: exactly GPT-2 and Llama. modern: what the GPT-2 speedruns agree on."
    )
    n_layers: int = Field(ge=1, le=200, description="Blocks of attention and feed-forward.")
    n_heads: int = Field(ge=1, le=256, description="Attention heads; d_model / n_heads must be even.")
    n_kv_heads: int | None = Field(
        None,
        ge=1,
        description="llama: heads of keys and values, each for n_heads / n_kv_heads query heads; none: n_heads.",
    )
    d_model: int = Field(ge=8, le=32_768, description="Width of the residual stream.")
    d_hidden: int | None = Field(
        None, ge=8, description="llama: width of the feed-forward; none: 8/3 d_model, up to a multiple of 256."
    )
    context: int = Field(ge=8, le=1_048_576, description="Positions the model sees; must divide the dataset's seq_len.")
    attention: Literal["documents", "row"] = Field(
        "documents", description="documents: attention stays in a document, positions restart. row: neither."
    )

    @property
    def kind(self) -> Architecture:
        """What `architecture` names."""
        return ARCHITECTURES[self.architecture]

    @property
    def d_head(self) -> int:
        """Dimensions of one head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.n_kv_heads or self.n_heads

    @property
    def hidden(self) -> int:
        """Width of the feed-forward between its matrices."""
        width = int(self.kind.feed_forward * self.d_model)
        return self.d_hidden or (
            -(-width // HIDDEN_MULTIPLE) * HIDDEN_MULTIPLE if self.kind.feed_forward % 1 else width
        )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model {self.d_model} over n_heads {self.n_heads} must be an even whole number, "
                "since rotary embeddings turn pairs of dimensions"
            )
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_kv_heads {self.n_kv_heads} must divide n_heads {self.n_heads}")
        if self.architecture != "llama" and (self.n_kv_heads or self.d_hidden):
            raise ValueError(f"n_kv_heads and d_hidden belong to architecture: llama; {self.architecture} has neither")
        return self


class BatchOptions(Options):
    """How many Sequences make one step."""

    sequences: int = Field(ge=1, le=1_048_576, description="Sequences consumed by one optimizer step.")
    sequences_at_once: int = Field(ge=1, description="Sequences in one forward pass; gradients are added up.")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.sequences % self.sequences_at_once:
            raise ValueError(
                f"sequences_at_once {self.sequences_at_once} must divide sequences {self.sequences}; "
                "otherwise the last forward pass of a step has another shape"
            )
        return self


class OptimOptions(Options):
    """What all optimizers have."""

    lr: float = Field(gt=0, le=10, description="Learning rate at the end of the warm-up.")
    weight_decay: float = Field(ge=0, le=1, description="Decay of matrices; vectors are not decayed.")
    clip: float = Field(gt=0, description="Largest L2 norm of the whole gradient.")


class AdaptiveOptions(OptimOptions):
    """What AdamW needs (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

    betas: tuple[float, float] = Field(description="Decay of the first and second moment.")

    @model_validator(mode="after")
    def _betas_below_one(self) -> Self:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {list(self.betas)} must be at least 0 and below 1")
        return self


class AdamWOptions(AdaptiveOptions):
    """AdamW for all weights."""

    type: Literal["adamw"]


class MuonOptions(AdaptiveOptions):
    """Muon for the matrices of the blocks; AdamW for embeddings, head and vectors."""

    type: Literal["muon"]
    momentum: float = Field(ge=0, lt=1, description="Decay of the sum of gradients, taken Nesterov's way.")


class SGDOptions(OptimOptions):
    """Stochastic gradient descent with momentum, for all weights: half of AdamW's state."""

    type: Literal["sgd"]
    momentum: float = Field(gt=0, lt=1, description="Decay of the sum of gradients.")


class ScheduleOptions(Options):
    """The learning rate over the steps: a linear rise, then what `type` says."""

    warmup_steps: int = Field(ge=0, description="Steps of linear rise from 0.")
    min_lr_ratio: float = Field(ge=0, le=1, description="Learning rate of the last step over the largest.")


class DecayOptions(ScheduleOptions):
    """A fall from the end of the warm-up to the last step: half a cosine, or a line."""

    type: Literal["cosine", "linear"]


class WSDOptions(ScheduleOptions):
    """Warm-up, stable, decay (Hu et al. 2024, arXiv 2404.06395): level until the fall begins, which is a line."""

    type: Literal["wsd"]
    decay_share: float = Field(gt=0, le=1, description="Share of all steps in which it falls, at the end.")


class EvaluateOptions(Options):
    """The loss on held-out Sequences, and tasks."""

    every: int = Field(ge=1, description="Steps between two evaluations; the last step is always evaluated.")
    sequences_per_cell: int | None = Field(None, ge=1, description="First Sequences of each Cell used; none: all.")
    tasks: tuple[Path, ...] = Field(
        (), description="JSONL files of multiple-choice or cloze examples; see training.tasks."
    )
    examples_per_task: int | None = Field(None, ge=2, description="First examples of each file used; none: all.")


class CheckpointOptions(Options):
    """When to save, and how much to keep."""

    every: int = Field(ge=1, description="Steps between two checkpoints; the last step is always saved.")
    keep: int = Field(ge=1, description="Newest checkpoints kept.")
    keep_every: int | None = Field(None, ge=1, description="Steps whose multiples are kept, too; none: no others.")


class SpikeOptions(Options):
    """When a window of Sequences stands out by its loss or gradient norm; one that is no finite number always does."""

    sigma: float = Field(gt=0, description="Robust standard deviations above the median of the last 128 updates.")


class SkipOptions(SpikeOptions):
    """Leave such a window out."""

    policy: Literal["skip", "stop"] = Field(
        description="skip: the window changes no weight. stop: the run ends before it, for a person to look."
    )


class RollbackOptions(SpikeOptions):
    """Go back to the last checkpoint, and leave the windows around out (Chowdhery et al. 2022, arXiv 2204.02311,
    section 5.1)."""

    policy: Literal["rollback"]
    around: int = Field(ge=0, description="Windows before and after it that are left out, too.")


class SampleOptions(Options):
    """The text written by the model at each evaluation."""

    n_tokens: int = Field(ge=1, description="Tokens written at the most.")
    temperature: float = Field(ge=0, description="0 takes the likeliest token each time.")


class TrainConfig(Options):
    """One training run. Paths are relative to the working directory."""

    data: Path = Field(description="A dataset folder holding `latest`, or one version's folder.")
    output: Path = Field(description="Folder of checkpoints, curves and samples.")
    start_from: Path | None = Field(
        None, description="Folder of a GPT-2 as transformers saves it, to start from; none: random weights."
    )
    model: ModelOptions
    batch: BatchOptions
    optim: Annotated[AdamWOptions | SGDOptions | MuonOptions, Field(discriminator="type")]
    schedule: Annotated[DecayOptions | WSDOptions, Field(discriminator="type")]
    n_steps: int = Field(ge=1, description="Optimizer steps.")
    precision: Literal["fp32", "bf16"] = Field(description="bf16: automatic mixed precision, weights stay fp32.")
    device: Literal["auto", "cpu", "cuda"] = Field(description="auto: cuda where there is one.")
    compile: bool = Field(description="Compile the model; needs a C++ compiler or Triton.")
    activation_checkpointing: bool = Field(
        False,
        description="Keep only what goes into each block and compute the rest again on the way back: less memory, "
        "a third more work.",
    )
    spikes: Annotated[SkipOptions | RollbackOptions, Field(discriminator="policy")]
    evaluate: EvaluateOptions
    checkpoint: CheckpointOptions
    sample: SampleOptions
    seed: int = Field(ge=0, lt=2**63, description="Seed of the weights, the order of Sequences and the sample.")

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.schedule.warmup_steps >= self.n_steps:
            raise ValueError(f"schedule.warmup_steps {self.schedule.warmup_steps} must be below n_steps {self.n_steps}")
        return self

    def decisive(self) -> dict[str, object]:
        """The fields that decide the weights; a run may be continued when the others change."""
        others = {"data", "output", "device", "spikes", "evaluate", "checkpoint", "sample"}
        return self.model_dump(mode="json", exclude=others)

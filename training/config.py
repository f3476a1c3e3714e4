"""The configuration of one training run: a YAML file becomes a frozen `TrainConfig`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Options


class TrainingError(Exception):
    """Something a person can put right; its text says what was found, what was expected and what to do."""


class ModelOptions(Options):
    """The shape of a decoder-only transformer."""

    n_layers: int = Field(ge=1, le=200, description="Blocks of attention and feed-forward.")
    n_heads: int = Field(ge=1, le=256, description="Attention heads; d_model / n_heads must be even.")
    d_model: int = Field(ge=8, le=32_768, description="Width of the residual stream.")
    context: int = Field(ge=8, le=1_048_576, description="Positions the model sees; must divide the dataset's seq_len.")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model {self.d_model} over n_heads {self.n_heads} must be an even whole number, "
                "since rotary embeddings turn pairs of dimensions"
            )
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
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

    lr: float = Field(gt=0, le=1, description="Learning rate at the end of the warm-up.")
    betas: tuple[float, float] = Field(description="Decay of the first and second moment.")
    weight_decay: float = Field(ge=0, le=1, description="Decoupled decay of matrices; vectors are not decayed.")
    clip: float = Field(gt=0, description="Largest L2 norm of the whole gradient.")

    @model_validator(mode="after")
    def _betas_below_one(self) -> Self:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {list(self.betas)} must be at least 0 and below 1")
        return self


class ScheduleOptions(Options):
    """The learning rate over the steps."""

    type: Literal["cosine"]
    warmup_steps: int = Field(ge=0, description="Steps of linear rise from 0.")
    min_lr_ratio: float = Field(ge=0, le=1, description="Learning rate of the last step over the largest.")


class EvaluateOptions(Options):
    """The loss on held-out Sequences."""

    every: int = Field(ge=1, description="Steps between two evaluations; the last step is always evaluated.")
    sequences_per_cell: int | None = Field(None, ge=1, description="First Sequences of each Cell used; none: all.")


class CheckpointOptions(Options):
    """When to save, and how much to keep."""

    every: int = Field(ge=1, description="Steps between two checkpoints; the last step is always saved.")
    keep: int = Field(ge=1, description="Newest checkpoints kept.")


class SampleOptions(Options):
    """The text written by the trained model at the end."""

    n_tokens: int = Field(ge=1, description="Tokens written at the most.")
    temperature: float = Field(ge=0, description="0 takes the likeliest token each time.")


class TrainConfig(Options):
    """One training run. Paths are relative to the working directory."""

    data: Path = Field(description="A dataset folder holding `latest`, or one version's folder.")
    output: Path = Field(description="Folder of checkpoints, curves and samples.")
    model: ModelOptions
    batch: BatchOptions
    optim: OptimOptions
    schedule: ScheduleOptions
    n_steps: int = Field(ge=1, description="Optimizer steps.")
    precision: Literal["fp32", "bf16"] = Field(description="bf16: automatic mixed precision, weights stay fp32.")
    device: Literal["auto", "cpu", "cuda"] = Field(description="auto: cuda where there is one.")
    compile: bool = Field(description="Compile the model; needs a C++ compiler or Triton.")
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
        return self.model_dump(mode="json", exclude={"data", "output", "device", "evaluate", "checkpoint", "sample"})

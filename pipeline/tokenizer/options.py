"""Recipe fields of the tokenizer."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config import Options


class TokenizerOptions(Options):
    """A sentencepiece BPE model, trained on word counts of the clean text or brought along."""

    type: Literal["bpe", "file"] = Field(
        "bpe", description="`bpe`: train a model. `file`: take the one at `path`; fields of training may not be set."
    )
    path: str | None = Field(
        None, description="A sentencepiece model file, as a path or fsspec URL; for `type: file` only."
    )
    vocab_size: int = Field(16_384, ge=512, le=1_000_000)
    character_coverage: float = Field(0.9995, gt=0.9, le=1.0)
    min_count: int = Field(
        1, ge=1, description="Words counted less often are left out of training; the share is reported."
    )
    max_words: int = Field(2_000_000, ge=1000, description="Distinct words used in training, most frequent first.")

    @model_validator(mode="after")
    def _trained_or_given(self) -> "TokenizerOptions":
        if self.type == "bpe":
            if self.path is not None:
                raise ValueError("path goes with `type: file`; a tokenizer of type bpe is trained")
            return self
        if self.path is None:
            raise ValueError("type file needs a path: a sentencepiece model file")
        for name in ("vocab_size", "character_coverage", "min_count", "max_words"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is of training, and a tokenizer of type file is not trained; leave it out")
        return self

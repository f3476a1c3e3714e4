"""Recipe fields of the tokenizer."""

from typing import Literal

from pydantic import Field

from pipeline.config import Options


class TokenizerOptions(Options):
    """A sentencepiece BPE model trained on word counts of the clean text."""

    type: Literal["bpe"] = "bpe"
    vocab_size: int = Field(16_384, ge=512, le=1_000_000)
    character_coverage: float = Field(0.9995, gt=0.9, le=1.0)
    min_count: int = Field(
        1, ge=1, description="Words counted less often are left out of training; the share is reported."
    )
    max_words: int = Field(2_000_000, ge=1000, description="Distinct words used in training, most frequent first.")

"""Recipe fields of the tokenizer."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.config import Options

OF_FILES = ("path", "bos", "eos", "pad", "lossless")
WORDPIECE_FIXED = 517
"""Ids of a WordPiece vocabulary that are not learned: 5 special tokens, 256 bytes that begin words and 256 within."""


class TokenizerOptions(Options):
    """A tokenizer, trained on word counts of the clean text or brought along (docs/tokenizer.md)."""

    type: Literal["bpe", "unigram", "wordpiece", "file"] = Field(
        "bpe",
        description="`bpe`, `unigram`: train a sentencepiece model. `wordpiece`: one of bytes, for masked models. "
        "`file`: take the one at `path`; fields of training may not be set.",
    )
    path: str | None = Field(
        None,
        description="A sentencepiece model, or a `tokenizer.json` of Hugging Face, as a path or fsspec URL; for "
        "`type: file` only, as are the next four.",
    )
    bos: str = Field("", description="The special piece that begins a document, where the file does not say.")
    eos: str = Field("", description="The special piece that ends a document, where the file does not say.")
    pad: str = Field("", description="The special piece that fills rows; without one it is `eos`.")
    lossless: bool = Field(
        True, description="`false` takes a file that loses text, too; the card counts the documents that it changes."
    )
    vocab_size: int = Field(16_384, ge=512, le=1_000_000)
    character_coverage: float = Field(
        0.9995,
        gt=0.9,
        le=1.0,
        description="Share of all characters that get a piece; rarer ones are spelled in bytes. Not for `wordpiece`.",
    )
    split_digits: bool = Field(False, description="Each digit is a token of its own.")
    indents: bool = Field(
        False,
        description="For code, and not for `wordpiece`: a newline with the spaces or tabs behind it is a piece, as are "
        "two newlines and runs of tabs. Source code then has a tenth more bytes per token.",
    )
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Source name -> share of the text trained on, in bytes, normalised to 1; a source left out gets "
        "none. Empty: natural proportions. It has nothing to do with `mixture`, so a changed mixture trains nothing.",
    )
    min_count: int = Field(
        1, ge=1, description="Words counted less often are left out of training; the share is reported."
    )
    max_words: int = Field(2_000_000, ge=1000, description="Distinct words used in training, most frequent first.")

    @model_validator(mode="after")
    def _trained_or_given(self) -> "TokenizerOptions":
        is_file = self.type == "file"
        if is_file and self.path is None:
            raise ValueError("type file needs a path: a sentencepiece model file, or a tokenizer.json")
        for name, field in type(self).model_fields.items():
            if name == "type" or getattr(self, name) == field.get_default(call_default_factory=True):
                continue
            if is_file and name not in OF_FILES:
                raise ValueError(f"{name} is of training, and a tokenizer of type file is not trained; leave it out")
            if not is_file and name in OF_FILES:
                raise ValueError(f"{name} goes with `type: file`; a tokenizer of type {self.type} is trained")
        if self.type == "wordpiece":
            if self.vocab_size <= WORDPIECE_FIXED:
                raise ValueError(f"vocab_size of wordpiece is above {WORDPIECE_FIXED}: special tokens and bytes alone")
            if self.character_coverage != type(self).model_fields["character_coverage"].default:
                raise ValueError("character_coverage is of bpe and unigram; a wordpiece vocabulary has every byte")
            if self.indents:
                raise ValueError("indents is of bpe and unigram")
        if self.weights and not sum(self.weights.values()) > 0:
            raise ValueError("all weights are 0; give at least one source a weight above 0, or no weights at all")
        return self

    @property
    def load_options(self) -> dict[str, Any]:
        """Arguments of `pipeline.tokenizer.vocab.load` for a file, those that are set."""
        found = {name: getattr(self, name) for name in ("bos", "eos", "pad", "lossless")}
        return {name: value for name, value in found.items() if value != type(self).model_fields[name].default}

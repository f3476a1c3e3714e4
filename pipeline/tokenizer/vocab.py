"""A vocabulary: load, encode, decode. All that the trainer needs of a tokenizer; numpy and the tokenizer's own library.

Two kinds of file hold one: a sentencepiece model, and the `tokenizer.json` of Hugging Face `tokenizers`. Those that
Gristmill trains encode without loss: `decode(encode(x)) == x` for every string of valid Unicode. Of others that is
asked for, unless the recipe allows loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

SPACE_SYMBOL = "\u2581"
"""The character that sentencepiece puts in place of a space (kSpaceSymbol in its `normalizer.h`)."""

CHUNK_CHARACTERS = 1 << 20
"""Texts are encoded in chunks of about this many characters: ids pass through Python integers (36 bytes each)."""

PROBE = f" a  b\t\n\r\n\x00\x7f{SPACE_SYMBOL} é e\u0301 \uff21 \U0001f642</s> .  "
"""What a lossless vocabulary gives back: white space, control characters, what normalisers change."""

SHOWN_CANDIDATES = 20

Ids = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]


class VocabError(Exception):
    """A tokenizer model that is missing, damaged or unfit, or ids that it does not have."""


class Vocab(ABC):
    """A tokenizer's file, loaded. Immutable; safe to share between threads.

    Attributes:
        file_name: what the file is called in a version.
        model: the bytes of the file.
        vocab_size: number of ids; every id is below it.
        unk_id, bos_id, eos_id, pad_id: no text encodes to the last three, whatever it spells ("<s>" in a text is three
            characters), nor to any other special token; to `unk_id` only if the vocabulary loses text. `unk_id` is -1
            where there is none; `pad_id` may be that of eos, since padding is known by the lengths of documents.
        fingerprint: sha256 (hexadecimal) of all that decides ids. Equal fingerprints encode equally.
        is_lossless: whether `PROBE` came back as it was, and for sentencepiece hence every string.
    """

    file_name: ClassVar[str]
    model: bytes
    vocab_size: int
    unk_id: int
    bos_id: int
    eos_id: int
    pad_id: int
    fingerprint: str
    is_lossless: bool

    def encode(self, texts: Sequence[str], n_threads: int = 1) -> list[Ids]:
        """The ids of each text, uint32 arrays, without bos and eos. Equal for any `n_threads`."""
        ids, offsets = self.encode_batch(texts, n_threads)
        return [ids[a:b] for a, b in pairwise(offsets.tolist())]

    def encode_batch(self, texts: Sequence[str], n_threads: int = 1, bos_eos: bool = False) -> tuple[Ids, Offsets]:
        """The ids of all texts in one array.

        Args:
            texts: strings of valid Unicode (no lone surrogates).
            n_threads: sentencepiece threads; changes no id.
            bos_eos: put `bos_id` before and `eos_id` behind the ids of each text.

        Returns:
            ids: uint32 [total].
            offsets: int64 [len(texts) + 1]; text i has ids[offsets[i] : offsets[i + 1]].
        """
        parts: list[Ids] = []
        lengths: list[int] = []
        for chunk in _chunks(texts):
            encoded = self._encode_chunk(chunk, n_threads)
            if bos_eos:
                encoded = [[self.bos_id, *ids, self.eos_id] for ids in encoded]
            lengths += map(len, encoded)
            parts += [np.array(ids, dtype=np.uint32) for ids in encoded]
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return (np.concatenate(parts) if parts else np.empty(0, np.uint32)), offsets

    def decode(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """The text of `ids`; bos, eos and pad give nothing, bytes that are no UTF-8 give U+FFFD.

        Raises:
            VocabError: for an id outside [0, vocab_size).
        """
        array = np.asarray(ids, dtype=np.int64)
        if array.size == 0:
            return ""
        if array.min() < 0 or array.max() >= self.vocab_size:
            wrong = int(array[(array < 0) | (array >= self.vocab_size)][0])
            raise VocabError(f"id {wrong} is not in this vocabulary: ids go from 0 to {self.vocab_size - 1}")
        return self._decode(array[~np.isin(array, (self.bos_id, self.eos_id, self.pad_id))].tolist())

    @abstractmethod
    def piece(self, token_id: int) -> str:
        """The piece of one id as its library spells it."""

    @abstractmethod
    def token_bytes(self) -> npt.NDArray[np.int64]:
        """Bytes of UTF-8 text that each id stands for, int64 [vocab_size]; special ones stand for none."""

    @abstractmethod
    def byte_tokens(self) -> npt.NDArray[np.bool_]:
        """Which ids stand for one byte that spells part of a character, bool [vocab_size]: byte fallback."""

    @abstractmethod
    def _encode_chunk(self, texts: Sequence[str], n_threads: int) -> list[list[int]]: ...

    @abstractmethod
    def _decode(self, ids: list[int]) -> str: ...

    def _set_marks(
        self, origin: str, found: Mapping[str, int], given: Mapping[str, str], special: Mapping[str, int]
    ) -> None:
        """Take the ids of marks: as named, as the model states them, or -1.

        Args:
            origin: the file's name, for messages.
            found: what the model states, "unk", "bos", "eos" and "pad" -> id; without those it does not.
            given: "bos", "eos" and "pad" -> piece that the recipe names; "" for none.
            special: pieces that no text encodes to -> id.

        Raises:
            VocabError: for a bos or eos that neither states, or a name of no such piece.
        """
        ids = {**dict.fromkeys(("unk", "bos", "eos", "pad"), -1), **found}
        for mark, name in given.items():
            if name and name not in special:
                raise VocabError(
                    f"{origin}: tokenizer.{mark} is {name[:60]!r}, no special piece of it. {_candidates(special)}"
                )
            ids[mark] = special[name] if name else ids[mark]
        missing = [mark for mark in ("bos", "eos") if ids[mark] < 0]
        if missing:
            fields = " and ".join(f"tokenizer.{mark}" for mark in missing)
            raise VocabError(
                f"{origin}: it does not say which piece begins or ends a document; set {fields} in the recipe. "
                f"{_candidates(special)}"
            )
        self.unk_id, self.bos_id, self.eos_id = ids["unk"], ids["bos"], ids["eos"]
        self.pad_id = ids["pad"] if ids["pad"] >= 0 else ids["eos"]

    def _check(self, origin: str, lossless: bool, probes: Iterable[str] = (PROBE,)) -> None:
        """Set `is_lossless`. Raises VocabError if it is asked for and a probe comes back changed."""
        changed = next((text for text in probes if self.decode(self.encode([text])[0]) != text), None)
        self.is_lossless = changed is None
        if lossless and changed is not None:
            back = self.decode(self.encode([changed])[0])
            raise VocabError(
                f"{origin}: the model loses text: {changed[:80]!r} comes back as {back[:80]!r}. To use it anyway, "
                "set tokenizer.lossless: false in the recipe; the card then says so, and counts the documents that it "
                "changes. A model that `pipeline run` trains loses nothing"
            )


def load(
    source: Path | str | bytes,
    bos: str = "",
    eos: str = "",
    pad: str = "",
    lossless: bool = True,
    origin: str = "the given bytes",
) -> Vocab:
    """Load a sentencepiece model or a `tokenizer.json`, from a local path or from the bytes of the file.

    Args:
        source: which of the two it is, its content says.
        bos, eos, pad: the pieces of the marks, where the file does not say, or others are wanted.
        lossless: refuse a model that loses text.
        origin: what messages call bytes.

    A manifest's `tokenizer` holds these arguments as `load`: `load(folder / t["path"], **t.get("load", {}))`.

    Raises:
        VocabError: if there is no such file, it is no model, lacks a special piece or loses text.
    """
    origin = origin if isinstance(source, bytes) else str(source)
    try:
        model = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise VocabError(f"{origin}: cannot read the tokenizer model: {error.strerror or error}") from None
    given = {"bos": bos, "eos": eos, "pad": pad}
    # Each library is loaded only for files of its own.
    if model.lstrip()[:1] == b"{":
        from pipeline.tokenizer.json_vocab import JsonVocab

        return JsonVocab(model, origin, given, lossless)
    from pipeline.tokenizer.sentencepiece_vocab import SentencePieceVocab

    return SentencePieceVocab(model, origin, given, lossless)


def _candidates(special: Mapping[str, int]) -> str:
    shown = ", ".join(repr(name[:60]) for name in list(special)[:SHOWN_CANDIDATES])
    rest = len(special) - SHOWN_CANDIDATES
    return f"It has: {shown or 'none'}" + (f" and {rest} more" if rest > 0 else "")


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    begin, n_characters = 0, 0
    for end, text in enumerate(texts, start=1):
        n_characters += len(text)
        if n_characters >= CHUNK_CHARACTERS:
            yield texts[begin:end]
            begin, n_characters = end, 0
    if begin < len(texts):
        yield texts[begin:]

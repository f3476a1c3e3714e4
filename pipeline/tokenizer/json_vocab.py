"""A `tokenizer.json` of Hugging Face `tokenizers` as a vocabulary."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.manifest import digest
from pipeline.tokenizer.vocab import PROBE, SPACE_SYMBOL, Vocab, VocabError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # processes are the unit of work here, and they fork
import tokenizers

USUAL_MARKS = {
    "bos": ("<s>", "<bos>", "[CLS]", "<|begin_of_text|>"),
    "eos": ("</s>", "<eos>", "[SEP]", "<|end_of_text|>", "<|endoftext|>"),
    "pad": ("<pad>", "[PAD]", "<|finetune_right_pad_id|>"),
}
"""What a file does not state but for the spelling, since `tokenizer_config.json` does. BERT's, Llama's and Gemma's."""

IDS_OF = ("model", "normalizer", "pre_tokenizer", "added_tokens")
"""Parts of the file that decide ids. Truncation, padding and templates do not: documents are encoded whole."""

SPREAD = "".join(chr(c) for c in range(0, 0x110000, 97) if not 0xD800 <= c < 0xE000)
"""Every byte that UTF-8 has, and characters of every plane."""

BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")


class JsonVocab(Vocab):
    """See `Vocab`. The fingerprint is over `IDS_OF`.

    Where a text spells a special token, it is cut behind the first character of that, and its parts are encoded apart.
    """

    file_name = "tokenizer.json"

    def __init__(self, model: bytes, origin: str, given: Mapping[str, str], lossless: bool) -> None:
        self.model = model
        described = _described(model, origin)
        _promote(described, [name for name in given.values() if name])
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(described))
        except Exception as error:  # the library's errors have no class of their own
            raise VocabError(f"{origin}: `tokenizers` {tokenizers.__version__} cannot read it: {error}") from None
        self._tokenizer.encode_special_tokens = True
        self.vocab_size = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        added = self._tokenizer.get_added_tokens_decoder()
        special = {token.content: i for i, token in sorted(added.items()) if token.special}
        unk = described["model"].get("unk_id")
        unk = self._tokenizer.token_to_id(described["model"].get("unk_token") or "") if unk is None else unk
        usual = {mark: next((special[n] for n in names if n in special), -1) for mark, names in USUAL_MARKS.items()}
        self._set_marks(origin, {**usual, "unk": -1 if unk is None else unk}, given, special)
        self._special_ids = np.array(sorted({*special.values()} - {self.unk_id}), dtype=np.int64)
        self._spelled = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or "(?!)")
        self._other = {i: token.content for i, token in added.items()}
        self._prefix = described["model"].get("continuing_subword_prefix") or ""
        self._is_byte_level = _has_byte_level([described.get("pre_tokenizer"), described.get("decoder")])
        self.fingerprint = digest([described.get(part) for part in IDS_OF])
        self._check(origin, lossless, (PROBE, SPREAD, *(f"a {content} b" for content in self._other.values())))

    def piece(self, token_id: int) -> str:
        """The piece of one id as the file spells it; "" for an id that it leaves out."""
        return self._tokenizer.id_to_token(token_id) or ""

    def token_bytes(self) -> npt.NDArray[np.int64]:
        """See `Vocab`. Of a vocabulary that loses text these are the bytes of its pieces, not those of the text."""
        n_bytes = np.array([len(text) for text in map(self._spells, range(self.vocab_size))], dtype=np.int64)
        n_bytes[self._special_ids] = 0
        n_bytes[[i for i in (self.unk_id,) if i >= 0]] = 0
        return n_bytes

    def byte_tokens(self) -> npt.NDArray[np.bool_]:
        """See `Vocab`."""
        return np.array([self._is_part(i) for i in range(self.vocab_size)], dtype=np.bool_)

    def _spells(self, token_id: int) -> str | bytes:
        """As many bytes, or ASCII characters, as the id stands for."""
        piece = self._own(token_id)
        if self._is_byte_level and token_id not in self._other:
            return piece
        return b"." if BYTE_PIECE.fullmatch(piece) else piece.replace(SPACE_SYMBOL, " ").encode()

    def _is_part(self, token_id: int) -> bool:
        """Bytes from 0x80 are written as U+00A1 to U+00FF and, those without a letter there, from U+0122 on; see
        `bytes_to_unicode` of GPT-2's encoder.py."""
        piece = self._own(token_id)
        if not self._is_byte_level or token_id in self._other:
            return bool(BYTE_PIECE.fullmatch(piece))
        return len(piece) == 1 and (0xA1 <= ord(piece) <= 0xFF or ord(piece) >= 0x122)

    def _own(self, token_id: int) -> str:
        """The piece without the prefix that says that it goes on a word."""
        piece = self.piece(token_id)
        return piece.removeprefix(self._prefix) if len(piece) > len(self._prefix) else piece

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def _encode_chunk(self, texts: Sequence[str], n_threads: int) -> list[list[int]]:
        encoded = self._ids(texts)
        flat = np.concatenate([np.zeros(0, np.int64), *(np.array(ids, np.int64) for ids in encoded)])
        if np.isin(flat, self._special_ids).any():
            for place, text in enumerate(texts):
                if np.isin(encoded[place], self._special_ids).any():
                    cuts = [0, *(m.start() + 1 for m in self._spelled.finditer(text)), len(text)]
                    parts = (text[a:b] for a, b in pairwise(cuts))
                    encoded[place] = [i for part in parts for i in self._without_special(part)]
        return encoded

    def _without_special(self, text: str) -> Iterator[int]:
        """Ids of a text that spells no special token, though it may do so when normalised: then it is halved."""
        (ids,) = self._ids([text])
        if not np.isin(ids, self._special_ids).any():
            yield from ids
        elif len(text) > 1:
            yield from self._without_special(text[: len(text) // 2])
            yield from self._without_special(text[len(text) // 2 :])
        elif self.unk_id >= 0:
            yield self.unk_id

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _described(model: bytes, origin: str) -> dict[str, Any]:
    """The file's content, without what would change a document. Raises VocabError."""
    try:
        described = json.loads(model)
    except (ValueError, RecursionError) as error:
        raise VocabError(f"{origin}: damaged JSON ({error})") from None
    if not isinstance(described, dict) or not isinstance(described.get("model"), dict):
        raise VocabError(
            f"{origin}: JSON without a `model`; expected the tokenizer.json of Hugging Face, which `tokenizers` writes "
            "(not tokenizer_config.json, vocab.json or config.json)"
        )
    if described["model"].get("dropout"):
        raise VocabError(f"{origin}: it has model.dropout, so ids would be random; set it to null in the file")
    return {**described, "truncation": None, "padding": None, "post_processor": None}


def _promote(described: dict[str, Any], names: Sequence[str]) -> None:
    """Make the added tokens that the recipe names as marks special ones, which no text gives."""
    described["added_tokens"] = [
        {**token, "special": True} if token.get("content") in names else token
        for token in described.get("added_tokens") or ()
    ]


def _has_byte_level(node: Any) -> bool:
    if isinstance(node, dict):
        return node.get("type") == "ByteLevel" or any(map(_has_byte_level, node.values()))
    return isinstance(node, list) and any(map(_has_byte_level, node))

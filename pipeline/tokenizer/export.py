"""A vocabulary -> the files that Hugging Face `transformers` loads, and the comparison of their ids with ours."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pipeline.tokenizer.sentencepiece_vocab import SentencePieceVocab
from pipeline.tokenizer.vocab import PROBE, SPACE_SYMBOL, Vocab

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

WORDS = r" *[^ \n\t]+| +|\n|\t"
"""Where no piece holds a space behind another character, a text may be cut like this, so that the library remembers
words. The comparison shows that it changes no id."""

NEVER = -1e9
"""Score of pieces that no text may give: Unigram of `tokenizers` looks for all pieces in a text, special ones too."""

SYMBOL_SCORE = -0.1
"""Of symbols in Unigram: length x `max_score_` - 0.1 (`EncodeOptimized` in sentencepiece's unigram_model.cc), where
`max_score_` stays at its start, FLT_MIN, since all scores are negative."""

PROBES = (
    PROBE,
    " ",
    "  \n\n\t \r\n",
    "a\u2581b \u2581\u2581 \u2581",
    "<0x41><0xE2>",
    "x" * 1000,
    "\ue000\U0010ffff\x00",
)
SHOWN_IDS, SHOWN_CHARACTERS = 8, 60


class ExportError(Exception):
    """A vocabulary that `tokenizers` cannot hold."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How many texts have equal ids, of how many bytes, and in words the first that has not ("" if all have)."""

    texts: int
    utf8_bytes: int
    difference: str


def exported(words: Vocab, model: bytes, max_length: int) -> dict[str, str]:
    """File name -> content, for `transformers.AutoTokenizer.from_pretrained` of the folder that holds them.

    Args:
        words: the vocabulary, loaded from `model`.
        model: the bytes of its file.
        max_length: positions of a model that is trained on it (`model_max_length`).

    Raises:
        ExportError: for a sentencepiece model that changes text before it encodes, or that skips pieces.
    """
    marks = {mark: i for mark in ("bos", "eos", "pad", "unk") if (i := getattr(words, f"{mark}_id")) >= 0}
    names = {mark: words.piece(i) for mark, i in marks.items()}
    if isinstance(words, SentencePieceVocab):
        made = _of_sentencepiece(words, names)
    else:
        made = Tokenizer.from_str(model.decode())
        made.no_truncation()
        made.no_padding()
    tokens = {f"{mark}_token": name for mark, name in names.items()}
    is_masked = made.token_to_id("[MASK]") is not None
    if is_masked:
        tokens |= {"cls_token": names["bos"], "sep_token": names["eos"], "mask_token": "[MASK]"}
    if made.post_processor is None:
        made.post_processor = _template(words, is_masked)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        **tokens,
    }
    return {
        "tokenizer.json": made.to_str(pretty=True) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2, ensure_ascii=False) + "\n",
        "special_tokens_map.json": json.dumps(tokens, indent=2, ensure_ascii=False) + "\n",
    }


def _of_sentencepiece(words: SentencePieceVocab, names: Mapping[str, str]) -> Tokenizer:
    """Pieces are spelled with spaces instead of U+2581, so that no text is changed and a literal U+2581 is no space."""
    pieces = words.pieces()
    if not words.is_lossless or any(piece.is_unused for piece in pieces):
        raise ExportError(
            "this sentencepiece model changes text before it encodes it, or skips pieces, which is not converted; "
            "`transformers` reads the model file itself (LlamaTokenizer, T5Tokenizer)"
        )
    spelled = [piece.text.replace(SPACE_SYMBOL, " ") if piece.is_text else piece.text for piece in pieces]
    texts = {text: piece.score for text, piece in zip(spelled, pieces, strict=True) if piece.is_text}
    symbols = [text for text in texts if set("\n\t") & set(text)]
    learned = {text: score for text, score in texts.items() if text not in symbols}
    if words.is_unigram:
        scores = texts | dict.fromkeys(symbols, SYMBOL_SCORE)
        made = Tokenizer(models.Unigram([(t, scores.get(t, NEVER)) for t in spelled], words.unk_id, byte_fallback=True))
        is_cut = not any(len(text) > 1 for text in symbols)
    else:
        ids = {text: i for i, text in enumerate(spelled)}
        by_score = sorted((text for text in learned if len(text) > 1), key=lambda text: -learned[text])
        merges = list(chain.from_iterable(_splits(text, learned, ids) for text in by_score))
        made = Tokenizer(models.BPE(ids, merges, unk_token=names["unk"], byte_fallback=True))
        made.add_tokens([AddedToken(text, normalized=False, special=False) for text in symbols if len(text) > 1])
        is_cut = True
    cuts = _unknown(texts, [text for text in spelled if text not in texts])
    cuts += [Regex(WORDS)] if is_cut and not any(" " in text.lstrip(" ") for text in learned) else []
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(cut, "isolated") for cut in cuts])
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    made.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in dict.fromkeys(names.values())]
    )
    return made


def _unknown(texts: Iterable[str], others: Iterable[str]) -> list[Regex]:
    """What matches characters of special pieces that no other piece holds. Alone they are spelled in bytes as ever, and
    Unigram no longer prefers a special piece that a text spells to them."""
    unknown = sorted(set("".join(others)) - set("".join(texts)))
    return [Regex(f"[{''.join(map(re.escape, unknown))}]")] if unknown else []


def _splits(text: str, learned: Mapping[str, float], ids: Mapping[str, int]) -> list[tuple[str, str]]:
    """All pairs that sentencepiece would merge to `text`. Those of one text are equals there; here the first pieces by
    id go first, as in the converter of `transformers`."""
    pairs = ((text[:i], text[i:]) for i in range(1, len(text)))
    known = [(left, right) for left, right in pairs if left in learned and right in learned]
    return sorted(known, key=lambda pair: (ids[pair[0]], ids[pair[1]]))


def _template(words: Vocab, is_masked: bool) -> processors.TemplateProcessing:
    """What `transformers` puts around a text: the begin mark; for masked models both, and two texts at a time."""
    bos, eos = words.piece(words.bos_id), words.piece(words.eos_id)
    ids = {bos: words.bos_id, eos: words.eos_id}
    if is_masked:
        single, pair = [bos, "$A", eos], [bos, "$A", eos, "$B:1", f"{eos}:1"]
    else:
        single, pair = [bos, "$A"], [bos, "$A", "$B"]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=list(ids.items()))


def compare(words: Vocab, tokenizer_json: str, batches: Iterable[Sequence[tuple[str, str]]]) -> Compared:
    """Encode texts, given as (name, text), by both, up to the first difference.

    Before them come texts of our own, which are not counted: awkward characters and the spelling of every piece.
    """
    theirs = Tokenizer.from_str(tokenizer_json)
    theirs.encode_special_tokens = True
    n_texts = n_bytes = 0
    for probes in _own_probes(words):
        if difference := _first_difference(words, theirs, probes):
            return Compared(0, 0, difference)
    for batch in batches:
        if difference := _first_difference(words, theirs, batch):
            return Compared(n_texts, n_bytes, difference)
        n_texts += len(batch)
        n_bytes += sum(len(text.encode()) for _, text in batch)
    return Compared(n_texts, n_bytes, "")


def _own_probes(words: Vocab) -> Iterator[list[tuple[str, str]]]:
    yield [("a test text", text) for text in PROBES]
    pieces = [words.piece(i).replace(SPACE_SYMBOL, " ") for i in range(words.vocab_size)]
    yield [("the spelling of a piece", text) for text in pieces]


def _first_difference(words: Vocab, theirs: Tokenizer, batch: Sequence[tuple[str, str]]) -> str:
    texts = [text for _, text in batch]
    encoded = theirs.encode_batch(texts, add_special_tokens=False)
    for (name, text), ours, found in zip(batch, words.encode(texts), encoded, strict=True):
        a, b = ours.tolist(), found.ids
        if a != b:
            place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
            begin = found.offsets[place][0] if place < len(b) else max(0, len(text) - SHOWN_CHARACTERS)
            return (
                f"{name} differs from id {place} on, near {text[begin : begin + SHOWN_CHARACTERS]!r}: "
                f"{a[place : place + SHOWN_IDS]} here, {b[place : place + SHOWN_IDS]} in the export"
            )
    return ""

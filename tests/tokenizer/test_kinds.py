"""Kinds of trained tokenizers beside BPE: parity with their libraries, determinism, options."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, trainers

from pipeline.tokenizer import train as training
from pipeline.tokenizer import wordpiece
from pipeline.tokenizer.choose import choose
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import TokenizerError, train
from pipeline.tokenizer.vocab import load
from tests.tokenizer.models import train as train_on_lines
from tests.tokenizer.test_train import Words, many_words, table


def test_word_counts_give_nearly_the_unigram_model_of_the_text(words: Words) -> None:
    """sentencepiece looks for its first candidates in each different word once, as it does in each line of a text; what
    it keeps of them goes by the counts."""
    text = "".join(
        f"{'the mill turns and grinds ' * (i % 4)}{word.strip()} of corn\n" for i, word in enumerate(many_words())
    )
    ours = train(words(text), TokenizerOptions(type="unigram", vocab_size=600), seed=0)
    model = train_on_lines(text.splitlines(), model_type="unigram", vocab_size=600, user_defined_symbols=["\n", "\t"])
    counted, peer = load(ours.model), load(model)
    common = {counted.piece(i) for i in range(600)} & {peer.piece(i) for i in range(600)}
    assert len(common) > 0.9 * 600
    n_ids, n_of_peer = (len(v.encode([text])[0]) for v in (counted, peer))
    assert n_ids < 1.02 * n_of_peer


def test_unigram_scores_are_on_a_grid_and_all_else_is_as_it_was() -> None:
    options = TokenizerOptions(type="unigram", vocab_size=600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "on_grid", lambda model: model)
        plain = load(train(table(many_words()), options, seed=0).model)
    found = load(train(table(many_words()), options, seed=0).model)
    scores = np.array([piece.score for piece in found.pieces()])
    assert ((scores * 64) % 1 == 0).all() and len(set(scores)) > 100
    assert np.abs(scores - [piece.score for piece in plain.pieces()]).max() <= 1 / 128
    assert [piece.text for piece in found.pieces()] == [piece.text for piece in plain.pieces()]


def test_wordpiece_is_what_its_library_trains_on_the_same_words() -> None:
    """The peer has no fixed alphabet, so the pieces of several letters are compared, of which it learns the most
    frequent in the same order."""
    words = table(many_words(300))
    ours = load(train(words, TokenizerOptions(type="wordpiece", vocab_size=900), seed=0).model)
    peer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    peer.pre_tokenizer = wordpiece._pre_tokenizer(False)
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[UNK]"], show_progress=False)
    rows = zip(words["word"].to_pylist(), words["count"].to_pylist(), strict=True)
    peer.train_from_iterator(([word] * count for word, count in rows), trainer)
    learned = {piece for piece in peer.get_vocab() if len(piece.removeprefix("##")) > 1} - {"[UNK]"}
    assert len(learned) > 300
    pieces = {ours.piece(i) for i in range(ours.vocab_size)}
    assert len(learned & pieces) > 0.95 * min(len(learned), 900 - 517), "equally frequent pairs may differ"


def test_wordpiece_gives_the_same_bytes_in_another_process_and_order(repository: Path) -> None:
    """What `tokenizers` keeps in hash tables with a random seed must not show."""
    code = (
        "import sys, hashlib, pyarrow as pa\n"
        "from pipeline.tokenizer.options import TokenizerOptions\n"
        "from pipeline.tokenizer.train import train\n"
        "rows = [(f' w\\u00e9{i % 97}x{i}\\u6c34', i % 7 + 1) for i in range(800)][:: int(sys.argv[1])]\n"
        "words = pa.table({'word': [w for w, _ in rows], 'count': [n for _, n in rows]})\n"
        "options = TokenizerOptions(type='wordpiece', vocab_size=700)\n"
        "print(hashlib.sha256(train(words, options, 0).model).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    found = set()
    for step in ("1", "-1", "1"):
        done = subprocess.run([sys.executable, "-c", code, step], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        found.add(done.stdout)
    assert len(found) == 1


def test_wordpiece_has_the_marks_of_masked_models_and_every_byte() -> None:
    trained = train(table(many_words()), TokenizerOptions(type="wordpiece", vocab_size=700), seed=0)
    found = load(trained.model)
    assert found.file_name == "tokenizer.json" and found.vocab_size == 700
    assert [found.piece(i) for i in range(5)] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert (found.pad_id, found.unk_id, found.bos_id, found.eos_id) == (0, 1, 2, 3)
    assert trained.report["count_divisor"] == 1


def test_large_counts_are_divided_and_that_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordpiece, "MAX_OCCURRENCES", 1000)
    words = table({" grind": 100_000, " mill": 50_000, " rare": 1})
    trained = train(words, TokenizerOptions(type="wordpiece", vocab_size=525), seed=0)
    assert trained.report["count_divisor"] == 151
    counts = dict(zip(words["word"].to_pylist(), words["count"].to_pylist(), strict=True))
    texts = " ".join(wordpiece._repeated(counts, 151)).split()
    assert [texts.count(word) for word in ("grind", "mill", "rare")] == [662, 331, 1]


def test_wordpiece_that_cannot_be_so_large_says_how_large() -> None:
    with pytest.raises(TokenizerError, match=r"2 distinct words give 52\d pieces at the most"):
        train(table({" mill": 3, " grist": 2}), TokenizerOptions(type="wordpiece", vocab_size=5000), seed=0)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_split_digits(kind: str) -> None:
    words = table({**many_words(), " 2026": 9000, "2026": 5000})
    for split in (False, True):
        found = load(train(words, TokenizerOptions(type=kind, vocab_size=700, split_digits=split), seed=0).model)
        assert (len(found.encode(["2026"])[0]) == 1) is not split
        pieces = [found.piece(i) for i in range(found.vocab_size)]
        several = [p for p in pieces if sum(c.isascii() and c.isdigit() for c in p) > 1 and not p.startswith("<0x")]
        assert bool(several) is not split
        assert found.decode(found.encode(["a 20261 \u0664\u0665"])[0]) == "a 20261 \u0664\u0665"


def test_indents_are_pieces_where_they_are_asked_for() -> None:
    code = "if x:\n        return\n\n\n\t\ty\n   z"
    for asked, expected in (
        (False, ["\n", "\n", "\n", "\n", "\n"]),
        (True, ["\n" + 8 * "\u2581", "\n\n", "\n\t\t", "\n\u2581\u2581"]),
    ):
        words = load(train(table(many_words()), TokenizerOptions(vocab_size=600, indents=asked), seed=0).model)
        ids = words.encode([code])[0]
        assert [piece for piece in map(words.piece, ids.tolist()) if "\n" in piece] == expected
        assert words.decode(ids) == code


def test_weights_decide_what_is_learned_and_counts_what_is_left_out() -> None:
    """`weighted` ranks; `min_count` and the report go by the counts."""
    counts = [9, 8, 1]
    words = pa.table({"word": [" common", " plain", " dear"], "count": counts, "weighted": [9, 8, 1000]})
    chosen, report = choose(words, TokenizerOptions(), seed=0)
    assert chosen["word"].to_pylist() == [" dear", " common", " plain"]
    assert (report["word_occurrences"], report["least_count"]) == (18, 1)
    chosen, report = choose(words, TokenizerOptions(min_count=2), seed=0)
    assert chosen["word"].to_pylist() == [" common", " plain"]
    assert report["left_out"]["below_min_count"] == 1


def test_words_may_come_in_any_number_of_tables() -> None:
    """What is kept is cut on the way, and the same words stay."""
    counts = {f" w{i}": 1 + (i * 7919) % 13 for i in range(9000)}
    options = TokenizerOptions().model_copy(update={"max_words": 1000})
    whole = choose(table(counts), options, seed=3)
    rows = table(counts).take(pa.array(np.random.default_rng(0).permutation(9000)))
    pieces = choose((rows.slice(i, 37) for i in range(0, 9000, 37)), options, seed=3)
    assert pieces[0].equals(whole[0]) and pieces[1] == whole[1]
    assert whole[0].num_rows == 1000 and whole[1]["left_out"]["beyond_max_words"] > 0

"""Training: equal bytes for equal words, parity with sentencepiece on the text itself, clear errors."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.tokenizer import train as training
from pipeline.tokenizer.choose import choose
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import TokenizerError, train
from pipeline.tokenizer.vocab import load
from tests.tokenizer import models

Words = Callable[[str], pa.Table]


def table(counts: dict[str, int]) -> pa.Table:
    return pa.table(
        {"word": pa.array(list(counts), pa.large_string()), "count": pa.array(list(counts.values()), pa.int64())}
    )


def many_words(n: int = 3000) -> dict[str, int]:
    """Words of Zipf-like counts that many merges come from."""
    rng = np.random.default_rng(5)
    syllables = ["ka", "lo", "mi", "ter", "an", "sch", "ou", "re", "\u00e9t", "\u6c34"]
    made = {" " + "".join(rng.choice(syllables, rng.integers(1, 6))) for _ in range(n)}
    return {word: 1 + n // (k + 1) for k, word in enumerate(sorted(made))}


def options(**changes: object) -> TokenizerOptions:
    return TokenizerOptions(vocab_size=600).model_copy(update=changes)


def test_order_and_type_of_the_rows_change_no_byte() -> None:
    words = table(many_words())
    trained = train(words, options(), seed=1)
    shuffled = words.take(pa.array(np.random.default_rng(1).permutation(words.num_rows)))
    chunked = pa.concat_tables([shuffled.slice(0, 100), shuffled.slice(100)])
    chunked = chunked.set_column(0, "word", chunked["word"].cast(pa.string()))
    assert train(shuffled, options(), seed=1) == trained
    assert train(chunked, options(), seed=1) == trained


def test_another_process_in_another_folder_writes_the_same_bytes(tmp_path: Path, repository: Path) -> None:
    code = (
        "import sys, hashlib, pyarrow as pa\n"
        "from pipeline.tokenizer.options import TokenizerOptions\n"
        "from pipeline.tokenizer.train import train\n"
        "words = pa.table({'word': [f' w{i % 97}x{i}' for i in range(800)], 'count': list(range(1, 801))})\n"
        "print(hashlib.sha256(train(words, TokenizerOptions(vocab_size=600), 0).model).hexdigest())\n"
    )
    digests = set()
    for name, threads in (("a", "1"), ("b", "4")):
        (tmp_path / name).mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": str(repository),
            "OMP_NUM_THREADS": threads,
            "PYTHONHASHSEED": threads,
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / name,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        digests.add(done.stdout)
    assert len(digests) == 1


def test_golden_fingerprint() -> None:
    """Made with sentencepiece 0.2.3. A change here changes every dataset: raise the revision of the stage."""
    assert train(table(many_words()), options(), seed=1).fingerprint == GOLDEN_FINGERPRINT


def test_the_fingerprint_is_of_what_encodes_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    words = table(many_words())
    first = train(words, options(), seed=1)
    monkeypatch.setattr(training, "N_THREADS", 3)
    other_bytes = train(words, options(), seed=1)
    assert other_bytes.model != first.model and other_bytes.fingerprint == first.fingerprint
    assert train(words, options(vocab_size=601), seed=1).fingerprint != first.fingerprint
    assert first.fingerprint == load(first.model).fingerprint


def test_word_counts_give_the_model_of_the_text(words: Words) -> None:
    """The peer reads lines and counts words itself; no line here ends in a space or holds a tab."""
    text = "".join(
        f"{'the mill turns and grinds ' * (i % 4)}{word.strip()} of corn\n" for i, word in enumerate(many_words())
    )
    ours = train(words(text), options(), seed=0).model
    settings = {"vocab_size": 600, "character_coverage": options().character_coverage}
    model = models.train(text.splitlines(), user_defined_symbols=["\n", "\t"], **settings)
    assert load(ours).fingerprint == load(model).fingerprint


def test_special_ids_and_symbols_have_their_places() -> None:
    vocabulary = load(train(table(many_words()), options(), seed=0).model)
    assert (vocabulary.unk_id, vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id) == (0, 1, 2, 3)
    assert [vocabulary.piece(i) for i in (4, 5, 6, 261)] == ["\n", "\t", "<0x00>", "<0xFF>"]
    assert vocabulary.encode(["\n\t\n"])[0].tolist() == [4, 5, 4]
    assert vocabulary.vocab_size == 600


def test_runs_of_spaces_become_pieces_where_words_hold_them() -> None:
    vocabulary = load(train(table({**many_words(), "        return": 5000, "    if": 5000}), options(), 0).model)
    assert vocabulary.piece(int(vocabulary.encode(["        re"])[0][0])) == "\u2581" * 8


def test_the_report_adds_up() -> None:
    counts = {**many_words(), "\n": 10_000, "\t": 500, "a\u2581b": 3, "\u2585": 4, " " + "x" * 20_000: 6, "a\tb": 7}
    counts |= {f" rare{i}": 1 for i in range(50)}
    report = train(table(counts), options(min_count=2, max_words=1000), seed=0).report
    assert report["distinct_words"] == len(counts) - 2
    assert report["word_occurrences"] == sum(counts.values()) - 10_500
    assert report["trained_words"] == 1000
    left_out = report["left_out"]
    assert (left_out["reserved_character"], left_out["longer_than_limit"]) == (14, 6)
    ones = sum(n == 1 for n in counts.values())
    assert left_out["below_min_count"] == ones
    kept = sorted((n for w, n in counts.items() if w[0] == " " and n > 1 and len(w) < 99), reverse=True)[:1000]
    assert report["word_occurrences"] - sum(left_out.values()) == sum(kept)
    assert report["share_left_out"] == pytest.approx(1 - sum(kept) / report["word_occurrences"])
    assert report["character_pieces"] + report["merged_pieces"] == 600 - 262


def test_the_seed_decides_which_of_equally_frequent_words_stay() -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz\u00e0\u00e1\u00e2\u0430\u0431\u0432\u4e00\u4e01\u4e02"
    ties = {f" {a}{b}{c}": 2 for a in alphabet for b in alphabet for c in "xyz"}
    words = table({"the": 1000, **ties})

    def chosen(seed: int, given: pa.Table = words) -> list[str]:
        names: list[str] = choose(given, options(max_words=1000), seed)[0]["word"].to_pylist()
        return names

    assert chosen(1) == chosen(1, words.take(pa.array(range(words.num_rows)[::-1]))) != chosen(2)
    assert len(chosen(1)) == 1000 and chosen(1)[0] == "the"
    share = sum(ord(word[1]) > 127 for word in chosen(1)[1:]) / 999
    assert share == pytest.approx(9 / 35, abs=0.06), "no alphabet is favoured"


@pytest.mark.parametrize(
    ("counts", "changes", "message"),
    [
        ({}, {}, "no document is left to train a tokenizer on"),
        ({"\n": 5, "a\u2581": 3}, {}, "3 of their occurrences reserved_character"),
        (
            many_words(30),
            {"vocab_size": 50_000},
            r"vocab_size is 50000, but 28 distinct words give \d+ pieces at the most",
        ),
        ({chr(0x4E00 + i): 5 for i in range(900)}, {}, "900 distinct words alone take 1162 pieces"),
    ],
)
def test_what_cannot_be_trained_is_explained(
    counts: dict[str, int], changes: dict[str, object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TokenizerError, match=message):
        train(table(counts), options(**changes), seed=0)
    assert capfd.readouterr() == ("", "")


def test_the_size_that_the_error_names_can_be_trained() -> None:
    words = table(many_words(100))
    with pytest.raises(TokenizerError) as error:
        train(words, options(vocab_size=50_000), seed=0)
    largest = int(str(error.value).split("tokenizer.vocab_size to ")[1].split()[0])
    assert load(train(words, options(vocab_size=largest), seed=0).model).vocab_size == largest
    with pytest.raises(TokenizerError, match=f"give {largest} pieces"):
        train(words, options(vocab_size=largest + 1), seed=0)


def test_training_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    train(table({**many_words(), " nul\x00 \ufeff": 9}), options(), seed=0)
    assert capfd.readouterr() == ("", "")


def test_tables_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \['word', 'count'\]"):
        train(pa.table({"token": ["a"], "n": [1]}), options(), seed=0)


GOLDEN_FINGERPRINT = "f7d3fb82127099ad6a951e39cb398925daf0f5342cb57ec5dc3f2f873c8340e2"

if __name__ == "__main__":
    print(train(table(many_words()), options(), seed=1).fingerprint)

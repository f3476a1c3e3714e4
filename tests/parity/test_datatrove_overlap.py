"""Which documents hold a benchmark's n-grams, beside datatrove's decontamination with the same words."""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.pipeline.decont import n_grams as peer
from datatrove.utils.hashing import HashConfig, create_hash_func
from datatrove.utils.text import TextNormConfig

from pipeline.steps.overlap import Benchmarks
from pipeline.steps.overlap_options import OverlapOptions
from tests.small_dataset import article, sentence

SPLITTER = SimpleNamespace(word_tokenize=str.split)
"""In place of spaCy: simplified text is words and spaces."""


def changed(text: str, random_: random.Random) -> str:
    """Another case, other punctuation and line breaks, and now and then another word."""
    words = text.split(" ")
    if random_.random() < 0.5:
        words[random_.randrange(len(words))] = "otherwise"
    signs = random_.choices([" ", ", ", "\n", " — ", ".  "], k=len(words))
    return "".join(random_.choice([word, word.upper()]) + sign for word, sign in zip(words, signs, strict=True))


@pytest.mark.parametrize("ngram_words", [5, 13])
def test_the_same_documents_are_contaminated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ngram_words: int) -> None:
    monkeypatch.setattr(peer, "load_word_tokenizer", lambda language: SPLITTER)
    random_ = random.Random(ngram_words)
    items = [sentence(random_) for _ in range(300)]
    documents = [article(seed, 8) for seed in range(150)]
    documents += [f"{article(n, 4)} {changed(items[n], random_)} {article(n + 1, 4)}" for n in range(150)]

    words, hashing = TextNormConfig(norm_numbers=False), HashConfig(hash_fc="sha1")
    config = peer.NGramsDecontConfig(n_grams=ngram_words, norm_config=words, hash_config=hashing)
    indexer = SimpleNamespace(config=config, tokenizer=SPLITTER, hash_func=create_hash_func(config.hash_config))
    hashes = {h for item in items for h in peer.NGramsDecontIndexer.compute_hashes(indexer, item)}
    np.array(sorted(hashes), config.hash_config.np_descr).tofile(tmp_path / "quiz.index.hashes")
    filter_ = peer.NGramsDecontFilter(str(tmp_path), config)
    expected = [filter_.filter(Document(text=text, id=str(n))) is not True for n, text in enumerate(documents)]

    options = OverlapOptions(ngram_words=ngram_words, min_words=ngram_words, max_items=len(items))
    found = Benchmarks({"quiz": [[item] for item in items]}, options)
    ours = np.asarray(found.measure(pa.array(documents, pa.large_string()))["overlap_ngrams"]) > 0
    assert ours.tolist() == expected
    assert 30 < sum(expected) < 300 or ngram_words < 13

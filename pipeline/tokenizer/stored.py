"""The vocabulary that a committed Part of Tokenizer holds."""

from pathlib import Path

from pipeline.files import PartStore
from pipeline.tokenizer import vocab


def stored_vocab(store: PartStore, key: str) -> vocab.Vocab:
    """Load it.

    Raises:
        FileNotFoundError: if the Part is not committed.
        VocabError: as `vocab.load`.
    """
    facts = store.marker("tokenizer", key).facts["tokenizer"]
    model = store.folder.read(f"tokenizer/{key}/{Path(facts['path']).name}")
    return vocab.load(model, **facts.get("load", {}))

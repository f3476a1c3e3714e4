"""A column of texts -> token ids with document boundaries."""

import pyarrow as pa

from pipeline.tokenizer.vocab import Ids, Offsets, Vocab


def encode_documents(
    texts: pa.LargeStringArray | pa.ChunkedArray, vocab: Vocab, n_threads: int = 1
) -> tuple[Ids, Offsets]:
    """Encode each document as [bos] + ids + [eos].

    Args:
        texts: a large_string (or string) column without nulls.
        vocab: the vocabulary.
        n_threads: sentencepiece threads; changes no id.

    Returns:
        ids: uint32 [total], all documents one after another.
        offsets: int64 [len(texts) + 1]; document i has ids[offsets[i] : offsets[i + 1]], at least bos and eos.

    Raises:
        ValueError: if the column holds nulls.
    """
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null; a document's text is never null")
    return vocab.encode_batch(texts.to_pylist(), n_threads, bos_eos=True)

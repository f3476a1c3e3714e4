"""Train one tokenizer and say what it took.

Arguments: tool (`gristmill`, `sentencepiece` or `tokenizers`), file with a JSON string on each line, number of pieces,
model to write. Prints {"wall_s": ..., "cpu_s": ..., "peak_mb": ...} of the process, the reading of the file included.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

PART_BYTES = 100_000_000  # characters of text, about what a Part of 1 GB of archives comes to


def texts(path: str) -> Iterator[str]:
    """The texts one by one."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def gristmill(path: str, vocab_size: int, model: Path) -> None:
    """Words counted Part by Part, their counts kept and merged as the stages do, then sentencepiece on the counts."""
    from pipeline.text.word_counts import merge_counts
    from pipeline.tokenizer.options import TokenizerOptions
    from pipeline.tokenizer.train import train

    with tempfile.TemporaryDirectory(dir=model.parent) as scratch:
        runs = [partial(row_groups, file) for file in counted(texts(path), Path(scratch))]
        model.write_bytes(train(merge_counts(runs, Path(scratch)), TokenizerOptions(vocab_size=vocab_size), 0).model)


def counted(every: Iterator[str], folder: Path) -> Iterator[Path]:
    """Files of the word counts of some PART_BYTES of text each."""
    import pyarrow as pa

    from pipeline.files import write_parquet
    from pipeline.text.words import count_words

    for number, first in enumerate(every):
        part, size = [first], len(first)
        while size < PART_BYTES and (text := next(every, None)) is not None:
            part.append(text)
            size += len(text)
        file = folder / f"{number}.parquet"
        write_parquet(count_words(pa.array(part, pa.large_string())), file)
        yield file


def row_groups(path: Path) -> Iterator[Any]:
    """The tables of a file of word counts."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, use_threads=False)


def sentencepiece(path: str, vocab_size: int, model: Path) -> None:
    """Sentences, with the settings that Gristmill trains with."""
    import sentencepiece as spm

    with model.open("wb") as file:
        spm.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts(path) for line in text.split("\n") if line),
            model_writer=file,
            model_type="bpe",
            vocab_size=vocab_size,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=["\n", "\t"],
            pad_id=3,
            num_threads=1,
            minloglevel=3,
        )


def tokenizers(path: str, vocab_size: int, model: Path) -> None:
    """A byte-level BPE as GPT-2's."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=vocab_size, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts(path), trainer)
    tokenizer.save(str(model))


def main() -> None:
    """Train, then report."""
    tool, path, vocab_size, model = sys.argv[1:]
    begun = time.monotonic()
    {"gristmill": gristmill, "sentencepiece": sentencepiece, "tokenizers": tokenizers}[tool](
        path, int(vocab_size), Path(model)
    )
    taken = {"wall_s": time.monotonic() - begun, "cpu_s": time.process_time()}
    # Not ru_maxrss, which keeps the peak of the process that this one was started from.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(json.dumps({**taken, "peak_mb": int(status["VmHWM"].split()[0]) / 1024}))


main()

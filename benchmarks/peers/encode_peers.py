"""Encoding as users of tiktoken, HF `tokenizers` and datatrove do it, with one vocabulary like GPT-2's.

Runs in the peers' environment. Arguments: a file with a JSON string on each line to train a byte-level BPE on, its
number of pieces, the `tokenizer.json` to write, which is kept. For each line on standard input, [tool, file of texts],
it prints {"cpu_s": ..., "tokens": ...}.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken
from datatrove.data import Document
from datatrove.pipeline.tokens import DocumentTokenizer
from loguru import logger
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

END = "<|endoftext|>"
GPT_2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def read(path: str) -> list[str]:
    """The texts of a file with a JSON string on each line."""
    with Path(path).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def train(texts: str, vocab_size: int, path: Path) -> None:
    """A tokenizer.json with GPT-2's pattern and bytes."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(read(texts), trainer)
    tokenizer.save(str(path))


def to_tiktoken(path: Path) -> tiktoken.Encoding:
    """The same vocabulary; GPT-2's alphabet of bytes is turned back as in its `encoder.py` (bytes_to_unicode)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    byte_of = {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}
    vocabulary: dict[str, int] = json.loads(path.read_text("utf-8"))["model"]["vocab"]
    ranks = {bytes(byte_of[c] for c in token): i for token, i in vocabulary.items() if token != END}
    return tiktoken.Encoding("here", pat_str=GPT_2, mergeable_ranks=ranks, special_tokens={END: vocabulary[END]})


def datatrove(path: Path, texts: list[str]) -> int:
    """datatrove's tokenization step over documents in memory, files of tokens written."""
    with tempfile.TemporaryDirectory() as folder:
        step = DocumentTokenizer(output_folder=folder, tokenizer_name_or_path=str(path), eos_token=END)
        step.run(iter([Document(text=text, id=str(i)) for i, text in enumerate(texts)]))
        return sum(file.stat().st_size for file in Path(folder).rglob("*.ds")) // 2


def main() -> None:
    """Answer until standard input ends."""
    logger.remove()
    path = Path(sys.argv[3])
    if not path.exists():
        train(sys.argv[1], int(sys.argv[2]), path)
    encoding, tokenizer = to_tiktoken(path), Tokenizer.from_file(str(path))
    tools: dict[str, Callable[[list[str]], int]] = {
        "tiktoken": lambda texts: sum(map(len, encoding.encode_ordinary_batch(texts, num_threads=1))),
        "tokenizers": lambda texts: sum(len(found.ids) for found in tokenizer.encode_batch(texts)),
        "datatrove": lambda texts: datatrove(path, texts),
    }
    for line in sys.stdin:
        tool, file = json.loads(line)
        texts = read(file)
        begun = time.process_time()
        tokens = tools[tool](texts)
        print(json.dumps({"cpu_s": time.process_time() - begun, "tokens": tokens}), flush=True)


main()

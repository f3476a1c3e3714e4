"""Encoding held-out text beside sentencepiece, tiktoken, HF `tokenizers` and datatrove's step, and training tokenizers.

One model of the default recipe is trained on a part of the documents, drawn by a hash of their text; the others are
encoded, English, code, Chinese and Thai apart, on one core. Each round of ours begins with an empty table of words, and
the rounds of all tools alternate; sentencepiece gets the same documents, the other peers at most `PEER_BYTES` of them
and a vocabulary of GPT-2's kind, as large, trained on the same documents. Ids are compared with those of
`SentencePieceProcessor.encode` for every document without U+2581.

English is what is found as such in the data, then docstrings of the packages that are installed, of which the code is,
too. Texts are distinct; where there is less of a kind than is asked for, the table says how much there was.
"""

import hashlib
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sentencepiece
from common import Peer, arguments, finish, peer_python, show, texts

from pipeline.assets import cache_folder
from pipeline.sources.environment import list_environment, read_environment
from pipeline.sources.options import EnvironmentSource
from pipeline.sources.record import SourceError
from pipeline.steps.language import LanguageId
from pipeline.text.words import count_words
from pipeline.tokenizer.encode import Encoder
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.pieces import read_pieces
from pipeline.tokenizer.train import train

PEERS = ("tiktoken>=0.8,<1", "tokenizers>=0.20,<1", "datatrove[processing]==0.10.1", "spacy<3.9", "orjson")
GOALS = {"en": (12, 9), "code": (8, 6), "zh": (3, 2.5), "th": (3, 2.5)}  # full, --quick
BYTES, QUICK_BYTES = 50_000_000, 2_000_000  # held out, of each kind
PEER_BYTES, QUICK_PEER_BYTES = 5_000_000, 300_000
TRAIN_SHARE = 0.15
QUICK_INPUT_BYTES = 8_000_000
ROUNDS = 3
FOLDERS = ["html", "books", "wiki", "papers", "lid"]
QUICK_FOLDERS = {"wiki", "lid"}


def hashed(text: str) -> float:
    """A number in [0, 1) by the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def installed(collect: str, n_bytes: float) -> Iterator[str]:
    """Distinct source files or docstrings of installed packages, in the order of a hash of their paths."""
    slices = []
    for name in sorted({found.metadata["Name"] for found in importlib.metadata.distributions()}):
        try:
            slices += list_environment("installed", EnvironmentSource(
                type="environment", collect=collect, standard_library=True, distributions=(name,)
            ))  # fmt: skip
        except SourceError:
            continue  # without Python files
    paths = {slice_.path: slice_ for slice_ in slices}
    read, seen = 0, set()
    for path in sorted(paths, key=hashed):
        if read >= n_bytes:
            break
        for record in read_environment(paths[path], EnvironmentSource(type="environment", collect=collect)):
            text = record.text or ""
            if text and text not in seen:
                seen.add(text)
                read += len(text)
                yield text


def documents(paths: Sequence[Path], quick: bool) -> dict[str, list[str]]:
    """Kind -> distinct documents, of those kinds that are compared, and all others under "other"."""
    wanted = (QUICK_BYTES if quick else BYTES) / (1 - TRAIN_SHARE)
    if quick:
        paths = [path for path in paths if path.name in QUICK_FOLDERS] or paths
    found = list(dict.fromkeys(texts(paths, QUICK_INPUT_BYTES if quick else float("inf"))))
    languages = LanguageId().identify(pa.array(found, pa.large_string()), 10_000)[0].to_pylist()
    kinds: dict[str, list[str]] = {kind: [] for kind in (*GOALS, "other")}
    for text, language in zip(found, languages, strict=True):
        kinds[language if language in kinds else "other"].append(text)
    for kind, collect in (("en", "docs"), ("code", "code")):
        missing = 1.05 * wanted - sum(map(len, kinds[kind]))
        if missing > 0:
            kinds[kind] += kept(collect, missing)
    return kinds


def kept(collect: str, n_bytes: float) -> list[str]:
    """What `installed` gives, kept for the next time."""
    versions = sorted(f"{d.metadata['Name']} {d.version}" for d in importlib.metadata.distributions())
    digest = hashlib.sha256(repr((collect, round(n_bytes), versions)).encode()).hexdigest()[:16]
    path = cache_folder() / "bench" / f"installed-{digest}.jsonl"
    if not path.is_file():
        aside = path.with_suffix(f".{os.getpid()}")
        aside.parent.mkdir(parents=True, exist_ok=True)
        write(aside, installed(collect, n_bytes))
        aside.replace(path)
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, some: Sequence[str] | Iterator[str]) -> Path:
    """A file with a JSON string on each line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(text)}\n" for text in some)
    return path


def up_to(some: Sequence[str], n_bytes: float) -> list[str]:
    """Texts from the first on, of `n_bytes` together at most; one at least."""
    ends = np.cumsum([len(text.encode()) for text in some])
    return list(some[: max(1, int(np.searchsorted(ends, n_bytes, side="right")))])


def cpu_s(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of `work`, and what it gave."""
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, found


def encode(kind: str, held: list[str], model: bytes, peer: Peer, folder: Path, quick: bool) -> dict[str, Any]:
    """MB/s of each tool for one kind of text, in rounds, and whether the ids are equal."""
    column = pa.array(held, pa.large_string())
    n_bytes = sum(len(text.encode()) for text in held)
    some = up_to(held, QUICK_PEER_BYTES if quick else PEER_BYTES)
    file, some_bytes = write(folder / f"{kind}.jsonl", some), sum(len(text.encode()) for text in some)
    library, pieces = sentencepiece.SentencePieceProcessor(model_proto=model), read_pieces(model)
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        encoder = Encoder(pieces, (library.bos_id(), library.eos_id()))
        seconds, (ids, offsets) = cpu_s(lambda encoder=encoder: encoder.encode(column, bos_eos=False))
        rates.setdefault("gristmill", []).append(n_bytes / 1e6 / seconds)
        seconds, expected = cpu_s(lambda: library.encode(held, num_threads=1))
        rates.setdefault("sentencepiece", []).append(n_bytes / 1e6 / seconds)
        for tool in ("tiktoken", "tokenizers", "datatrove"):
            answer = peer.ask([tool, str(file)])
            rates.setdefault(tool, []).append(some_bytes / 1e6 / answer["cpu_s"])
    compared = [i for i, text in enumerate(held) if "\u2581" not in text]
    equal = sum(np.array_equal(ids[offsets[i] : offsets[i + 1]], expected[i]) for i in compared)
    return {
        "documents": len(held),
        "bytes": n_bytes,
        "peer_bytes": some_bytes,
        "bytes_per_token": n_bytes / len(ids),
        "mb_per_s": rates,
        "speedup": statistics.median(a / b for a, b in zip(rates["gristmill"], rates["sentencepiece"], strict=True)),
        "compared": len(compared),
        "equal": equal,
    }


def training(corpus: Sequence[str], held: Sequence[str], python: Path, folder: Path, size: int) -> dict[str, Any]:
    """Time, memory and bytes per token of tokenizers trained on `corpus`, each tool in a process of its own."""
    file, program = write(folder / "corpus.jsonl", corpus), Path(__file__).parent / "peers" / "train_tokenizer.py"
    found = {}
    for tool, interpreter in (("gristmill", sys.executable), ("sentencepiece", sys.executable), ("tokenizers", python)):
        model = folder / f"{tool}.model"
        command = [str(interpreter), str(program), tool, str(file), str(size), str(model)]
        root = {"PYTHONPATH": str(program.parents[2]), "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run(command, env={**os.environ, **root}, stdout=subprocess.PIPE, text=True, check=True)
        found[tool] = {**json.loads(done.stdout), "bytes_per_token": bytes_per_token(tool, model, held, python)}
    return found


def bytes_per_token(tool: str, model: Path, held: Sequence[str], python: Path) -> float:
    """Of `held`, as encoded by a model of `tool`."""
    n_bytes = sum(len(text.encode()) for text in held)
    if tool != "tokenizers":
        library = sentencepiece.SentencePieceProcessor(model_file=str(model))
        return n_bytes / sum(map(len, library.encode(list(held))))
    code = (
        "import sys, json; from tokenizers import Tokenizer; t = Tokenizer.from_file(sys.argv[1]);"
        "print(sum(len(e.ids) for e in t.encode_batch(json.load(sys.stdin))))"
    )
    command, given = [python, "-c", code, model], json.dumps(list(held))
    return n_bytes / int(subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout)


def add_arguments(parser: Any) -> None:
    """What only this benchmark has."""
    parser.add_argument("--train-mb", type=float, help="text to train on in the second part (1000; 2 with --quick)")
    parser.add_argument("--train-data", type=Path, help="a folder of archives, JSONL or Parquet to take it from")


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", FOLDERS, add_arguments)
    quick = options.quick
    python = peer_python("tokenizers-0.23", PEERS)
    kinds = documents(options.paths, quick)
    learnt = [text for some in kinds.values() for text in some if hashed(text) < TRAIN_SHARE]
    held = {
        kind: up_to([text for text in kinds[kind] if hashed(text) >= TRAIN_SHARE], QUICK_BYTES if quick else BYTES)
        for kind in GOALS
        if any(hashed(text) >= TRAIN_SHARE for text in kinds[kind])
    }
    size = TokenizerOptions().vocab_size
    seconds, model = cpu_s(lambda: train(count_words(pa.array(learnt, pa.large_string())), TokenizerOptions(), 0).model)
    folder = cache_folder() / "bench" / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    file = write(folder / "learnt.jsonl", learnt)
    digest = hashlib.sha256(model).hexdigest()[:16]
    program = Path(__file__).parent / "peers" / "encode_peers.py"
    load_s, encoder = cpu_s(lambda: Encoder(read_pieces(model), (1, 2)))
    start_s, _ = cpu_s(lambda: encoder.encode(pa.array(["warm"], pa.large_string()), bos_eos=False))
    with Peer(python, program, str(file), str(size), str(folder / f"{digest}.json")) as peer:
        found = {kind: encode(kind, some, model, peer, folder, quick) for kind, some in held.items()}
    tools = ("gristmill", "sentencepiece", "tiktoken", "tokenizers", "datatrove")
    show("Encoding, one core: MB/s, median of rounds", ("text", "MB", "bytes a token", *tools, "to sentencepiece"), [
        (kind, one["bytes"] / 1e6, one["bytes_per_token"],
         *(statistics.median(one["mb_per_s"][tool]) for tool in tools), one["speedup"])
        for kind, one in found.items()
    ])  # fmt: skip
    short = [kind for kind in held if found[kind]["bytes"] < 0.95 * (QUICK_BYTES if quick else BYTES)]
    print(f"Less text than asked for, all of it different: {', '.join(short) or 'none'}. Model: {size:,} pieces from "
          f"{sum(map(len, learnt)) / 1e6:.1f} MB, {seconds:.1f} s; its arrays for the compiled encoder {load_s:.2f} s, "
          f"kernels from the cache {start_s:.2f} s")  # fmt: skip
    train_mb = options.train_mb or (2 if quick else 1000)
    everything = [text for some in kinds.values() for text in some if hashed(text) < 0.9]
    if options.train_data:
        everything = [text for text in texts([options.train_data]) if hashed(text) < 0.9]
    elif not quick:
        everything += [text for text in kept("code", train_mb * 1e6) if hashed(text) < 0.9]
    corpus = up_to(sorted(set(everything), key=hashed), train_mb * 1e6)
    rest = up_to([text for some in kinds.values() for text in some if hashed(text) >= 0.9], 2e6)
    corpus_mb = sum(len(text.encode()) for text in corpus) / 1e6
    trained = training(corpus, rest, python, folder, size)
    head = ("tool", "wall s", "CPU s", "peak MB", "bytes a token, held out")
    show(f"Training on {corpus_mb:,.0f} MB, {size:,} pieces", head, [
        (tool, *(float(one[name]) for name in ("wall_s", "cpu_s", "peak_mb", "bytes_per_token")))
        for tool, one in trained.items()
    ])  # fmt: skip
    if corpus_mb < 0.95 * train_mb:
        print(f"{train_mb:,.0f} MB were asked for; {corpus_mb:,.0f} MB of different text were found")
    claims: dict[str, dict[str, object]] = {
        f"speedup_vs_sentencepiece_{kind}": {
            "value": round(one["speedup"], 1), "goal": GOALS[kind][quick], "unit": "times"
        }
        for kind, one in found.items()
    }  # fmt: skip
    equal = sum(one["equal"] for one in found.values()) / sum(one["compared"] for one in found.values())
    claims["ids_equal"] = {"value": equal, "goal": 1.0, "unit": "share"}
    finish("tokenizer", quick, claims, {"encoding": found, "training": trained, "training_mb": corpus_mb})


if __name__ == "__main__":
    main()

"""What benchmarks share: arguments, real texts, a peer's virtual environment, tables and the line of claims."""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.assets import cache_folder
from pipeline.extract.charset import decode
from pipeline.extract.options import ExtractOptions
from pipeline.extract.textform import text_form
from pipeline.extract.worker import Extractor
from pipeline.sources.read import read
from pipeline.sources.record import Slice
from pipeline.starter.lots import Group, find
from pipeline.starter.sample import source_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SAMPLE = ROOT / "pipeline" / "sources" / "sample" / "sample.warc.gz"


def arguments(
    description: str, folders: Sequence[str], add: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """`--quick`, `--data` and what `add` adds; by default `folders` of the shared data, else the sample that ships."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="under a minute: a part of the data, the same claims")
    parser.add_argument("--data", type=Path, help="a folder of archives, JSONL or Parquet")
    if add:
        add(parser)
    found = parser.parse_args()
    shared = Path(os.environ.get("GRISTMILL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    there = [shared / name for name in folders if (shared / name).is_dir()]
    found.paths = [found.data] if found.data else there or [SAMPLE]
    return found


def texts(paths: Sequence[Path], max_bytes: float = float("inf")) -> list[str]:
    """The texts below `paths` in text form, pages through trafilatura as a recipe does it; kept for the next time.

    `max_bytes`: of stored input, files drawn by a hash of their names.
    """
    found = [(group, file) for path in paths for group in find(str(path)).groups for file in group.files]
    found.sort(key=lambda pair: hashlib.sha256(pair[1].path.encode("utf-8", "surrogateescape")).digest())
    sizes = accumulate(file.size for _, file in found)
    files = [pair for pair, size in zip(found, sizes, strict=True) if size <= max_bytes] or found[:1]
    digest = hashlib.sha256(repr([(f.url, f.size, f.etag) for _, f in files]).encode()).hexdigest()[:16]
    kept = cache_folder() / "bench" / f"texts-{digest}.jsonl"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(f".{os.getpid()}")
        with aside.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(text)}\n" for text in _extracted(files))
        aside.replace(kept)
    with kept.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _extracted(files: Iterable[tuple[Group, Slice]]) -> Iterator[str]:
    with Extractor(ExtractOptions()) as extractor:
        for group, file in files:
            for record in read(source_of(group), file):
                text = record.text or ""
                if not record.fate and record.html is not None:
                    text = extractor.extract(decode(record.html, record.charset)[0], record.url).text
                if not record.fate and (formed := text_form(text)).strip():
                    yield formed


def peer_python(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of a virtual environment with a peer's `packages`, made the first time."""
    folder = cache_folder() / "bench" / name
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making a virtual environment for {', '.join(packages)} in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "complete").touch()
    return python


class Peer:
    """A peer's program in a process of its own, which stays warm: a JSON line in, a JSON line out."""

    def __init__(self, python: Path, program: Path, *args: str) -> None:
        self._process = subprocess.Popen(
            [python, program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question: object) -> Any:
        """The answer to `question`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with exit code {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate("")


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on standard output."""
    table = Table(*head, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{cell:,.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=140).print(table)


def finish(name: str, quick: bool, claims: Mapping[str, Mapping[str, object]], full: Mapping[str, object]) -> None:
    """Keep the results (those of a full run) and print the line of claims."""
    about = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "claims": claims,
        **full,
    }
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(claims))

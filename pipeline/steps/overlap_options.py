"""Recipe fields of the search for benchmark items in documents, and the files that they name."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import Field

from pipeline.config import ConfigError, Options
from pipeline.steps.model_files import find
from pipeline.steps.url_lists import ListFile

MAX_FILES: Final = 10_000
"""Of one benchmark: more are a glob gone wrong."""
ITEM_SUFFIXES: Final = (
    *(f"{plain}{packed}" for plain in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst")),
    ".parquet",
)
"""Kinds of files that items are read from."""


class Benchmark(Options):
    """Files with one item a line or row."""

    path: str = Field(
        min_length=1,
        description="JSONL (plain, .gz or .zst) or Parquet: a file, or a glob of files such as `bench/*.jsonl`; as a "
        "local path or fsspec URL.",
    )
    fields: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="Columns to compare, all strings in them, nested ones too; `meta.text` is `text` inside `meta`. "
        "Empty: every column.",
    )
    one_per_file: bool = Field(
        False, description="Each file is a benchmark of its own, called by this name, a slash, and its own name."
    )


BenchmarkName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class OverlapOptions(Options):
    """Benchmark items to look for in documents (docs/overlap.md). Without benchmarks nothing is looked for."""

    benchmarks: dict[BenchmarkName, Benchmark] = Field(
        default_factory=dict, description="Name -> the files with its items."
    )
    ngram_words: int = Field(
        13, ge=2, le=100, description="Words in an n-gram. Default: GPT-3's (Brown et al. 2020, appendix C)."
    )
    min_words: int = Field(
        8,
        ge=1,
        le=100,
        description="A text of an item that has fewer than `ngram_words` words, but so many, is compared as a whole; "
        "shorter ones are not. Default: the least N of GPT-3's appendix C.",
    )
    max_items: int = Field(
        100,
        ge=1,
        description="An n-gram of more items of one benchmark is left out: it tells none of them, as instructions do "
        "that every item repeats. Default: our own, above the questions that one passage has in reading tests.",
    )

    @property
    def shortest(self) -> int:
        """Words of the shortest n-gram."""
        return min(self.min_words, self.ngram_words)

    def fields_of(self, benchmark: str) -> tuple[str, ...]:
        """The columns to compare of a benchmark as `benchmark_files` calls it; empty for all."""
        return self.benchmarks[benchmark.partition("/")[0]].fields


def benchmark_files(options: OverlapOptions) -> dict[str, list[ListFile]]:
    """Benchmark -> its files, sorted by path; one that is `one_per_file` gives several benchmarks.

    Raises:
        pipeline.config.ConfigError: no file is there, one cannot be read, or is of no kind that items are read from.
    """
    found: dict[str, list[ListFile]] = {}
    for name, benchmark in options.benchmarks.items():
        at = f"overlap.benchmarks.{name}.path"
        for path in _paths(benchmark.path, at):
            file = find(path, at)
            called = f"{name}/{_stem(path)}" if benchmark.one_per_file else name
            entry = {"path": path if "://" in path else str(file.path), "sha256": file.sha256}
            found.setdefault(called, []).append(entry)
    return found


def asset_hashes(files: Mapping[str, Sequence[ListFile]]) -> dict[str, str]:
    """Benchmark and number of a file -> its sha256."""
    return {f"overlap.{name}.{i}": file["sha256"] for name, own in files.items() for i, file in enumerate(own)}


def _stem(path: str) -> str:
    """The name of a file without its ending."""
    name = PurePosixPath(path).name
    return next(name[: -len(suffix)] for suffix in ITEM_SUFFIXES if name.lower().endswith(suffix))


def _paths(path: str, at: str) -> list[str]:
    """The file, or those that match the glob, sorted."""
    has_wildcard = glob.has_magic(path)
    if "://" in path and has_wildcard:
        import fsspec

        try:
            fs, inner = fsspec.url_to_fs(path)
            found = sorted(fs.unstrip_protocol(one) for one in fs.glob(inner))
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError([f"{at}: {path}: cannot be listed ({type(error).__name__}: {error})"]) from None
    elif has_wildcard and not Path(path).expanduser().exists():
        found = sorted(glob.glob(str(Path(path).expanduser()), recursive=True))  # noqa: PTH207 - any root, not ours
    else:
        found = [path]
    if not found:
        looked = "" if "://" in path else f", looked from {Path.cwd()}"
        raise ConfigError([f"{at}: {path}: no file matches{looked}"])
    if len(found) > MAX_FILES:
        raise ConfigError([f"{at}: {path}: {len(found)} files match, at most {MAX_FILES} are read; narrow the glob"])
    for one in found:
        if "://" not in one and Path(one).expanduser().is_dir():
            raise ConfigError([f"{at}: {one}: is a folder; name the files in it, such as {one.rstrip('/')}/*.jsonl"])
        if not one.lower().endswith(ITEM_SUFFIXES):
            raise ConfigError([f"{at}: {one}: unknown kind of file; items are read from {', '.join(ITEM_SUFFIXES)}"])
    return found

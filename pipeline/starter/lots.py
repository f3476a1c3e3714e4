"""Which files are there, what each of them is, and which belong together."""

import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.sources.listing import TABLE_SUFFIXES, WARC_SUFFIXES, find_files
from pipeline.sources.record import Slice, SourceError
from pipeline.starter.columns import Columns, choose, open_file, peek
from pipeline.starter.paths import folder_of, is_pattern, paths_of

PEEKED_FAMILIES = 256
PEEKED_FILES = 3
MAX_SOURCES = 16
"""Sources of a written recipe: the largest. More would no longer be read by a person, who can add the others."""
ARC_SUFFIXES = (".arc", ".arc.gz")
TEXT_SUFFIXES = (".txt", ".md", ".markdown")
LINE_SUFFIXES = tuple(f"{plain}{packed}" for plain in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst"))
DELIMITED_SUFFIXES = tuple(f"{plain}{packed}" for plain in (".csv", ".tsv") for packed in ("", ".gz", ".zst"))
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")
KINDS = (
    ("arc", ARC_SUFFIXES),
    ("warc", tuple(s for s in WARC_SUFFIXES if s not in ARC_SUFFIXES)),
    ("lines", LINE_SUFFIXES),
    ("delimited", DELIMITED_SUFFIXES),
    ("parquet", (".parquet",)),
    ("arrow", ARROW_SUFFIXES),
    ("text", TEXT_SUFFIXES),
)
KIND_WORDS = {
    "warc": "WARC archives",
    "lines": "JSON lines",
    "delimited": "CSV",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "text": "text files",
}
_ADVICE = (
    (ARC_SUFFIXES, "ARC archives are not read; convert them to WARC"),
    ((".wat", ".wat.gz"), "WAT holds metadata only; use the WARC files it was made from"),
    (
        (".json", ".json.gz", ".json.zst"),
        "JSON is read as lines, one object each: if it is, rename it to end in .jsonl",
    ),
    (
        (".xml", ".xml.gz", ".xml.bz2", ".nxml"),
        "recipes/encyclopedia.yaml reads a wiki's dump, recipes/papers.yaml articles in JATS; convert others to text",
    ),
    ((".tex",), "recipes/papers.yaml reads LaTeX"),
    ((".html", ".htm", ".epub", ".pdf", ".docx", ".odt", ".rtf"), "no source reads it; convert it to text"),
    ((".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".wacz", ".bz2", ".xz"), "unpack it first"),
    (
        (".py", ".js", ".ts", ".c", ".h", ".cc", ".cpp", ".hpp", ".java", ".go", ".rs", ".rb", ".php", ".cs", ".sh"),
        "recipes/code.yaml reads a tree of source code",
    ),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one kind that one source of a recipe reads. `path` names them, `columns` is that of a table."""

    kind: str
    path: str
    files: tuple[Slice, ...]
    columns: Columns | None = None

    @property
    def n_bytes(self) -> int:
        """Stored bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(slots=True)
class Found:
    """What lies at a path: groups, largest first, and a line about each lot of files that no source reads."""

    groups: list[Group] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def find(path: str) -> Found:
    """Look at what lies at `path`: a file, a folder, or an fsspec URL of either. Reads the first rows of tables.

    Raises:
        SourceError: if there is nothing, or nothing that can be read.
    """
    try:
        files = find_files("", path, ("",))
    except SourceError as error:
        raise SourceError(str(error).removeprefix("sources.: ")) from None
    is_file = len(files) == 1 and files[0].path == PurePosixPath(path).name
    unread = [file for file in files if not file.size]
    by_kind: dict[str, list[Slice]] = {}
    for file in files:
        kind = kind_of(file.path)
        if is_file and not kind and not _advice(file) and _holds_warc(file):
            kind = "warc"  # an archive that is named in full is read whatever it is called
        if file.size:
            by_kind.setdefault(kind, []).append(file)
    unread += by_kind.pop("", []) + by_kind.pop("arc", [])
    textless: dict[str, set[str]] = {}  # path -> names of columns
    lots: list[tuple[str, Columns | None, list[Slice]]] = []
    for kind, some in by_kind.items():
        if kind in ("warc", "text"):
            lots.append((kind, None, some))
        else:
            lots += [(kind, tables.columns, tables.files) for tables in _by_columns(some, kind, textless)]
    found = Found()
    for kind, columns, belong in lots:
        harmless = set(textless) if columns else set()
        harmless |= set() if is_pattern(path) else {file.path for file in unread}
        suffixes = WARC_SUFFIXES if kind == "warc" else TABLE_SUFFIXES
        listed = [file for file in files if is_pattern(path) or file.path.lower().endswith(suffixes)]
        named = [(path, belong)] if is_file else paths_of(path, belong, listed, harmless, len(files) == 1)
        found.groups += [Group(kind, where, tuple(lot), _everywhere(columns, lot, textless)) for where, lot in named]
    _leave_out(found)
    found.left_out += _unread(unread) + _textless([file for file in files if file.path in textless])
    if not found.groups:
        raise SourceError(f"{path}: nothing that a source can read. " + "; ".join(found.left_out))
    return found


def _everywhere(columns: Columns | None, files: Sequence[Slice], textless: Mapping[str, set[str]]) -> Columns | None:
    """`columns`, less those that tables without text lack which the same source reads with `files`."""
    folder = folder_of(files)
    beside = [names for name, names in textless.items() if name.startswith(folder)]
    return columns.within(set.intersection(*beside)) if columns and beside else columns


def _leave_out(found: Found) -> None:
    """Sort the groups, and take out those that no recipe can hold, and those beyond MAX_SOURCES."""
    for group in [group for group in found.groups if not _is_utf8(group.path)]:
        found.groups.remove(group)
        found.left_out.append(f"{shown(group.path)}: its name is not UTF-8, so no recipe can hold it; rename it")
    found.groups.sort(key=lambda group: (-group.n_bytes, group.path))
    if beyond := [file for group in found.groups[MAX_SOURCES:] for file in group.files]:
        found.left_out.append(f"{_some(beyond)}: beyond the {MAX_SOURCES} largest sources; add what you want by hand")
    found.groups = found.groups[:MAX_SOURCES]


def _is_utf8(path: str) -> bool:
    return path == path.encode("utf-8", "ignore").decode()


def kind_of(path: str) -> str:
    """What a file is by its name: a key of KIND_WORDS, `arc`, or "" for what no source reads."""
    return next((kind for kind, suffixes in KINDS if path.lower().endswith(suffixes)), "")


@dataclass(slots=True)
class _Tables:
    """Tables of one kind that have their text in one column; `names` are the columns that all of them have."""

    columns: Columns
    names: set[str]
    files: list[Slice]

    def add(self, other: "_Tables") -> None:
        """Take in tables with the same text column."""
        self.names &= other.names
        self.columns = self.columns.within(self.names)
        self.files += other.files


def _by_columns(files: Sequence[Slice], kind: str, textless: dict[str, set[str]]) -> list[_Tables]:
    """Tables by their text column and the folder at the top, as long as these are few; the others go to `textless`.

    Files of one folder whose names differ in digits only count as alike, and so do folders.
    """
    families: dict[str, list[Slice]] = {}
    for file in files:
        families.setdefault(re.sub(r"\d+", "0", file.path), []).append(file)
    groups: dict[tuple[str, str], _Tables] = {}
    unseen: list[Slice] = []
    for number, (family, members) in enumerate(families.items()):
        if number >= PEEKED_FAMILIES:
            unseen += members
            continue
        tables = _peeked(members, kind)
        if tables is None:
            textless |= {file.path: set(peek(file, kind)) for file in members[:PEEKED_FILES]}
            textless |= {file.path: textless[members[0].path] for file in members[PEEKED_FILES:]}
        else:
            top = family.rpartition("/")[0].partition("/")[0]
            _join(groups, (tables.columns.text, top), tables)
    if len(groups) > MAX_SOURCES:
        separate, groups = groups, {}
        for (text, _), tables in separate.items():
            _join(groups, (text, ""), tables)
    if unseen and groups:
        max(groups.values(), key=lambda group: sum(file.size for file in group.files)).files.extend(unseen)
    return list(groups.values())


def _peeked(files: list[Slice], kind: str) -> _Tables | None:
    """`files`, which are alike, by the columns of some of them; None if none holds text."""
    step = max(1, len(files) // PEEKED_FILES)
    found: _Tables | None = None
    for file in files[::step][:PEEKED_FILES]:
        values = peek(file, kind)
        columns = choose(values)
        if columns is not None and found is None:
            found = _Tables(columns, set(values), list(files))
        elif columns is not None and found is not None:
            found.add(_Tables(columns, set(values), []))
    return found


def _join(groups: dict[tuple[str, str], _Tables], name: tuple[str, str], tables: _Tables) -> None:
    if name in groups:
        groups[name].add(tables)
    else:
        groups[name] = tables


def _unread(files: Sequence[Slice]) -> list[str]:
    """A line for each kind of file that no source reads."""
    lots: dict[str, list[Slice]] = {}
    for file in files:
        why = _advice(file) if file.size else "empty"
        lots.setdefault(why or "no source reads files of this name", []).append(file)
    return [f"{_some(lot)}: {why}" for why, lot in lots.items()]


def _advice(file: Slice) -> str:
    return next((words for suffixes, words in _ADVICE if file.path.lower().endswith(suffixes)), "")


def _holds_warc(file: Slice) -> bool:
    with closing(open_file(file)) as raw:
        head = raw.read(4096)
    with suppress(zlib.error):
        head = zlib.decompressobj(wbits=31).decompress(head, len(b"WARC/"))
    return head.startswith(b"WARC/")


def _textless(files: Sequence[Slice]) -> list[str]:
    return [f"{_some(files)}: no column holds text"] if files else []


def escaped(code: int) -> str:
    """A character by its code point, as YAML and Python write it in double quotes."""
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(text: str) -> str:
    """`text` on one line, for a comment or a terminal: what does not print is written as an escape."""
    return "".join(char if char.isprintable() else escaped(ord(char)) for char in text)


def _some(files: Sequence[Slice]) -> str:
    first = shown(files[0].path)
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"

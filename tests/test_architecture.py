"""The house keeps its shape: what may lie at the top level, what may be imported where, and how fast a plan is."""

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "pipeline",
    "training",
    "recipes",
    "data_cards",
    "tests",
    "docs",
    "benchmarks",
}
TRAINER_SEES = {"pipeline.shards", "pipeline.manifest", "pipeline.config", "pipeline.tokenizer.vocab"}
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".sh", ".cfg", ".txt", ""}


def tracked(repository: Path) -> list[Path]:
    """The files that belong to the project: those git tracks, and new ones it does not ignore."""
    command = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files belong to the project cannot be told")
    paths = [repository / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def modules(repository: Path, package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((repository / package).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Full names of what a module imports, `from a.b import c` as `a.b.c`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the package's name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def loaded_by(statement: str, repository: Path) -> set[str]:
    """Top-level packages in memory of a fresh interpreter after `statement`."""
    code = f"import sys\n{statement}\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_top_level_names(repository: Path) -> None:
    found = {path.relative_to(repository).parts[0] for path in tracked(repository)}
    assert {name for name in found if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize("package", ["pipeline", "training"])
def test_package_files_are_empty_and_no_room_is_a_drawer(repository: Path, package: str) -> None:
    for path, _ in modules(repository, package):
        if path.name == "__init__.py":
            assert path.read_bytes() == b"", f"{path} must be empty"
        assert path.stem not in {"utils", "util", "helpers", "common", "misc"}, f"{path}: name it after what it does"


def test_the_trainer_imports_four_modules_of_the_pipeline(repository: Path) -> None:
    for path, tree in modules(repository, "training"):
        for name in imported(tree):
            if name.split(".")[0] == "pipeline":
                assert any(f"{name}.".startswith(f"{seen}.") for seen in TRAINER_SEES), f"{path} imports {name}"


def test_a_plan_needs_no_kernels_models_or_readers(repository: Path) -> None:
    loaded = loaded_by("import pipeline.plan, pipeline.state, pipeline.cli.main", repository)
    heavy = {
        "numba",
        "numpy",
        "polars",
        "pyarrow",
        "torch",
        "datatrove",
        "fasttext",
        "sentencepiece",
        "tokenizers",
        "trafilatura",
        "ray",
    }
    assert not loaded & heavy


def test_what_the_trainer_imports_is_light(repository: Path) -> None:
    statement = "import pipeline.shards, pipeline.manifest, pipeline.config, pipeline.tokenizer.vocab"
    loaded = loaded_by(statement, repository)
    assert not loaded & {"numba", "polars", "datatrove", "fsspec", "s3fs", "torch", "fasttext", "trafilatura"}


def test_every_module_of_the_pipeline_leaves_torch_alone(repository: Path) -> None:
    for path, tree in modules(repository, "pipeline"):
        assert not {name.split(".")[0] for name in imported(tree)} & {"torch", "training"}, path


def test_files_name_no_machine(repository: Path) -> None:
    """Nothing in the project holds for one machine only. The pattern is put together so that this file passes, too."""
    folders = "|".join(("work", "home", "root", "Users"))
    pattern = re.compile(r"(?<![\w.})])/(" + folders + r")/|\.\./" + "shared")
    for path in tracked(repository):
        if path.suffix not in TEXT_SUFFIXES or path.name == "LICENSE":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found = pattern.search(text)
        assert not found, f"{path.relative_to(repository)} contains {found.group()!r}"


def test_one_place_writes_tables_and_none_of_it_is_polars(repository: Path) -> None:
    """Bytes of polars writers vary with threads; tables are written with fixed settings in `files.py` alone."""
    sources = {p.relative_to(repository).as_posix(): p.read_text() for p in (repository / "pipeline").rglob("*.py")}
    assert [n for n, text in sources.items() if re.search(r"\.(sink_\w+|write_parquet|write_ipc)\(", text)] == []
    assert [n for n, text in sources.items() if re.search(r"\bpq\.write_table\(", text)] == ["pipeline/files.py"]


def test_what_benchmarks_import_is_there(repository: Path) -> None:
    """They run by hand: a name that was moved away would be missed by nobody until then."""
    for path, tree in modules(repository, "benchmarks"):
        for name in sorted(imported(tree)):
            if name.split(".")[0] in ("pipeline", "training"):
                assert pkgutil.resolve_name(name), f"{path}: {name}"

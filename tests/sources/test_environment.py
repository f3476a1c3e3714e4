"""Source files and docstrings of what is installed: the same wherever, read and never run."""

import base64
import hashlib
import importlib
import inspect
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.sources import environment
from pipeline.sources.docstrings import module_docs
from pipeline.sources.environment import list_environment, read_environment
from pipeline.sources.options import EnvironmentSource
from pipeline.sources.record import Record, SourceError

SOURCE = '''"""What the module is for."""

if True:
    def outer(a: int, /, *rest, b="x") -> str:
        """Outer's text."""
        def inner():
            """Not a part of the documentation."""

class Shape(object, metaclass=type):
    """A shape.

        indented example

    And a last line.
    """
    def silent(self): pass
    @property
    def area(self) -> float:
        """Its area."""
    class Corner:
        async def angle(self):
            """Its angle."""
try:
    pass
except ImportError:
    def fallback(): "A \\\\d fallback."
'''
DOCS = """\
odd

What the module is for.

outer(a: int, /, *rest, b='x') -> str

Outer's text.

class Shape(object, metaclass=type)

A shape.

    indented example

And a last line.

Shape.area

Its area.

async Shape.Corner.angle(self)

Its angle.

fallback()

A \\d fallback.
"""


def source(collect: str, *distributions: str, standard_library: bool = False) -> EnvironmentSource:
    return EnvironmentSource(
        type="environment", collect=collect, standard_library=standard_library, distributions=distributions
    )


def read_all(options: EnvironmentSource) -> dict[str, Record]:
    files = list_environment("env", options)
    return {record.path: record for file in files for record in read_environment(file, options)}


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with a RECORD on sys.path, as pip does."""

    def install(name: str, version: str, files: dict[str, bytes], metadata: str = "") -> Path:
        site = tmp_path / f"{name}-{version}-site"
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        files = files | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}".encode()
        }
        lines = []
        for path, content in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(content)}")
        (site / info / "RECORD").write_text("\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
        monkeypatch.syspath_prepend(str(site))
        environment._licence.cache_clear()
        return site

    return install


def test_docstrings_read_as_documentation() -> None:
    assert module_docs("odd", SOURCE) == DOCS
    assert module_docs("bare", "x = 1\n") == ""


@pytest.mark.parametrize("name", ["textwrap", "json.decoder", "fractions", "collections"])
def test_every_docstring_that_inspect_sees_is_there(name: str) -> None:
    """`inspect` imports the module and runs it; `ast` does not, and must find the same."""
    module = importlib.import_module(name)
    inside = name.replace(".", "/")
    paths = {f"stdlib/{inside}.py", f"stdlib/{inside}/__init__.py"}
    options = source("docs", standard_library=True)
    files = [file for file in list_environment("env", options) if file.path in paths]
    (record,) = [record for file in files for record in read_environment(file, options)]
    classes = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == name]
    values = [value for owner in [module, *classes] for value in vars(owner).values() if inspect.isfunction(value)]
    written = [value for value in values if value.__code__.co_filename == module.__file__]
    own = [inspect.cleandoc(value.__doc__) for value in [module, *written] if value.__doc__]
    assert record.title == name and record.licence == "PSF-2.0" and len(own) > 1
    assert not [text for text in own if text not in (record.text or "")]


def test_code_is_the_file_itself() -> None:
    records = read_all(source("code", standard_library=True))
    root = Path(sysconfig.get_path("stdlib"))
    assert len(records) > 400 and "stdlib/json/decoder.py" in records
    for path in ("json/decoder.py", "ast.py", "encodings/cp1252.py"):
        record = records[f"stdlib/{path}"]
        assert (record.text, record.url, record.offset) == ((root / path).read_text("utf-8"), "", 0)
    assert not [path for path in records if {"test", "tests", "idlelib", "site-packages"} & set(path.split("/"))]
    assert not [path for path in records if "_sysconfigdata" in path]


def test_an_etag_is_equal_where_the_content_is(install: Install) -> None:
    install("demo-one", "1.0", {"demo/__init__.py": b'"""Doc."""\n', "demo/LICENSE.py": b""})
    (first, second) = list_environment("env", source("code", "demo-one"))
    assert (second.path, second.size) == ("demo-one/demo/__init__.py", 11) and first.path < second.path
    assert second.etag == hashlib.sha256(b'"""Doc."""\n').hexdigest()
    (docs,) = [file for file in list_environment("env", source("docs", "demo-one")) if file.path == second.path]
    assert docs.etag == f"{second.etag}-python{sys.version_info.major}.{sys.version_info.minor}"


def test_only_named_distributions_count_and_their_version_is_not_in_the_path(install: Install) -> None:
    install("demo-one", "1.0", {"demo/a.py": b"a = 1\n"})
    before = list_environment("env", source("code", "Demo_One", standard_library=True))
    install("other", "2.0", {"other/b.py": b"b = 1\n", "json/evil.py": b"c = 1\n"})
    assert list_environment("env", source("code", "Demo_One", standard_library=True)) == before
    install("demo-one", "9.9", {"demo/a.py": b"a = 1\n"})
    after = list_environment("env", source("code", "Demo_One", standard_library=True))
    assert [(file.path, file.etag) for file in after] == [(file.path, file.etag) for file in before]


def test_bad_files_become_fates_and_nothing_is_run(install: Install, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    files = {
        "demo/runs.py": f'"""Doc."""\nopen({str(ran)!r}, "w")\n'.encode(),
        "demo/broken.py": b"def broken(:\n",
        "demo/nul.py": b'"""Doc."""\n\0\n',
        "demo/deep.py": b"x = " + b"-" * 200_000 + b"1\n",
        "demo/latin.py": '# -*- coding: latin-1 -*-\n"""Café."""\n'.encode("latin-1"),
        "demo/lies.py": b'"""Caf\xe9."""\n',
        "demo/unknown.py": b"# coding: martian\n",
        "demo/rot13.py": b"# coding: rot13\n",
        "demo/empty.py": b"\n",
        "demo/undocumented.py": b"x = 1\n",
        "demo/large.py": b"#" * (environment.MAX_FILE_BYTES + 1),
        "demo/tests/test_it.py": b'"""Tests."""\n',
    }
    site = install("demo", "1.0", files)
    (site / "demo" / "later.py").write_text("not in the RECORD")
    docs = read_all(source("docs", "demo"))
    assert {path.rpartition("/")[2].removesuffix(".py"): record.fate for path, record in docs.items()} == {
        "runs": "",
        "broken": "not_parsable",
        "nul": "not_parsable",
        "deep": "not_parsable",
        "latin": "",
        "lies": "not_decodable",
        "unknown": "not_decodable",
        "rot13": "not_decodable",
        "empty": "empty_text",
        "undocumented": "no_docstring",
        "large": "file_too_large",
        "METADATA": "empty_text",
    }
    assert not ran.exists()
    assert docs["demo/demo/latin.py"].text == "demo.latin\n\nCafé.\n"
    code = read_all(source("code", "demo"))
    assert code["demo/demo/undocumented.py"].text == "x = 1\n" and "demo/demo/tests/test_it.py" in code
    assert all((record.text is None) == bool(record.fate) for record in [*docs.values(), *code.values()])


def test_readme_licences_and_the_licence_of_a_distribution(install: Install) -> None:
    files = {
        "demo-1.0.dist-info/licenses/LICENSE": b"Do as you like.\n",
        "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1\n",
    }
    install("demo", "1.0", files, "License-Expression: MIT\n\n# Demo\n\nIt does things.\n")
    docs = read_all(source("docs", "demo"))
    assert {path: record.text for path, record in docs.items()} == {
        "demo/dist-info/METADATA": "# Demo\n\nIt does things.\n",
        "demo/dist-info/licenses/LICENSE": "Do as you like.\n",
    }
    assert {record.licence for record in docs.values()} == {"MIT"}
    install("demo", "2.0", {"demo.py": b"x = 1\n"}, "Classifier: License :: OSI Approved :: Apache Software License\n")
    assert read_all(source("code", "demo"))["demo/demo.py"].licence == "Apache-2.0"


def test_a_file_that_is_not_what_was_listed_is_told(install: Install) -> None:
    site = install("demo", "1.0", {"demo.py": b"x = 1\n"})
    options = source("code", "demo")
    (file,) = list_environment("env", options)
    (site / "demo.py").write_bytes(b"x = 2\n")
    (record,) = read_environment(file, options)
    assert (record.fate, record.text) == ("file_changed", None)
    (site / "demo.py").unlink()
    with pytest.raises(SourceError, match=r"sources\.env: demo/demo\.py cannot be read"):
        list(read_environment(file, options))


def test_errors_name_the_distribution_and_what_to_do(install: Install) -> None:
    with pytest.raises(SourceError, match=r"sources\.env\.distributions: no-such-thing is not installed .*pip install"):
        list_environment("env", source("code", "no-such-thing"))
    install("only-binary", "1.0", {"native.so": b"\x7fELF"})
    with pytest.raises(SourceError, match="only-binary has no Python source files"):
        list_environment("env", source("code", "only-binary"))
    with pytest.raises(SourceError, match="standard_library: true"):
        list_environment("env", source("code"))


def test_listing_imports_no_reader() -> None:
    check = (
        "import sys; from pipeline.sources.environment import list_environment; "
        "print(sorted({'pyarrow', 'polars', 'numpy', 'numba', 'fsspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

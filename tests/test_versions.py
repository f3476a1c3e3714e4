"""Finding a version by what a person types."""

from pathlib import Path

import pytest

from pipeline.manifest import Manifest
from pipeline.versions import VersionError, find_version, list_versions


def empty(name: str) -> Manifest:
    return Manifest(
        name=name, sources=[], recipe={}, libraries={}, assets={}, inputs=[], files=[], counts={}, histograms={},
        tokenizer={}, packing={}, cells=[], mixture=[],
    )  # fmt: skip


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        made = empty(name)
        folder = tmp_path / name / made.version
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_bytes(made.to_bytes())
        (tmp_path / name / "latest").write_text(f"{made.version}\n")
    return tmp_path


def test_by_name_folder_dataset_and_first_digits(output: Path) -> None:
    version = empty("a").version
    folder = output / "a" / version
    for wanted in ("a", version, version[:5], str(folder), str(output / "a")):
        assert find_version(wanted, output) == folder
    assert [(f.dataset, f.is_latest) for f in list_versions(output)] == [("a", True), ("b", True)]


def test_what_is_not_there_is_said_with_what_is(output: Path) -> None:
    with pytest.raises(VersionError) as error:
        find_version("nosuch", output)
    message = str(error.value)
    assert message.startswith(f"no version or dataset 'nosuch' below {output}; there: a/{empty('a').version}, b/")
    assert message.endswith("See `pipeline list`.")


def test_digits_that_fit_two_versions_are_refused(output: Path) -> None:
    version = empty("a").version
    twin = output / "b" / f"{version[:6]}{'0' * 10}"
    twin.mkdir()
    (twin / "manifest.json").write_bytes(empty("b").to_bytes())
    with pytest.raises(VersionError, match="fits 2 versions"):
        find_version(version[:6], output)

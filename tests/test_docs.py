"""The documentation tells today's truth: its commands run, and print what it says (tests/docs says how)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.docs.follow import PageError, compare, follow
from tests.docs.pages import COMMANDS, Block, read_page
from tests.make_recipe_docs import PAGE, page

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {
    "docs/shard-format.md": "tests/test_shards.py runs its block",
    "docs/reading-notes.md": "reads a dataset of pages that are no part of the project",
}
NOT_RUN = {
    ("README.md", ".ci/run follows it in a new environment"),
    ("README.md", ".ci/run follows it, and it runs these tests"),
    ("docs/tutorial.md", ".ci/run installs the project in a new environment"),
    ("docs/tutorial.md", "needs a Ray cluster and a Slurm cluster"),
    ("docs/tutorial.md", "needs a network"),
}
NOT_COMPARED = {
    ("docs/tutorial.md", "how a figure is rounded depends on the texts of the Python installation"),
    ("docs/tutorial.md", "other machines round differently, and the text follows"),
    ("docs/coming-from-nanogpt.md", "which document comes first depends on the texts of the Python installation"),
}


def blocks_of(path: Path) -> list[Block]:
    return read_page(path, path.relative_to(ROOT).as_posix())


FOLLOWED = {
    blocks[0].page: blocks
    for blocks in map(blocks_of, PAGES)
    if blocks and blocks[0].page not in ELSEWHERE and any(block.language in COMMANDS for block in blocks)
}


LONG_PAGES = {"docs/tutorial.md", "docs/coming-from-nanogpt.md"}
"""Pages that take long without their long blocks, too: only the patient reader follows them."""


@pytest.mark.parametrize("name", sorted(FOLLOWED.keys() - LONG_PAGES))
def test_a_reader_sees_what_the_page_shows(name: str, tmp_path: Path) -> None:
    n_run = follow(FOLLOWED[name], tmp_path, ROOT / "recipes", with_long=False)
    assert n_run or name == "README.md"  # whose session is long


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [n for n, blocks in FOLLOWED.items() if n in LONG_PAGES or any("long" in b.marks for b in blocks)]
)
def test_a_patient_reader_sees_what_the_page_shows(name: str, tmp_path: Path) -> None:
    assert follow(FOLLOWED[name], tmp_path, ROOT / "recipes", with_long=True)


def test_what_is_not_run_and_not_compared_is_listed_here() -> None:
    assert {"README.md", "docs/tutorial.md", "docs/coming-from-datatrove.md", "docs/coming-from-nanogpt.md"} <= set(
        FOLLOWED
    )
    found: dict[str, set[tuple[str, str]]] = {"not run": set(), "not compared": set()}
    for name, blocks in FOLLOWED.items():
        for block in blocks:
            for marks in (block.marks, block.output.marks if block.output else {}):
                for mark in found.keys() & marks.keys():
                    found[mark].add((name, marks[mark]))
    assert found == {"not run": NOT_RUN, "not compared": NOT_COMPARED}


def test_the_first_two_commands_of_readme_are_those_that_ci_follows() -> None:
    first, second = [block for block in FOLLOWED["README.md"] if block.language == "sh"][:2]
    assert first.text.endswith("pip install . && pipeline run recipes/commoncrawl.yaml\n")
    assert second.text.endswith("&& pytest\n")


def output(text: str) -> Block:
    return Block("page.md", 1, "text", text)


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("kept 1,234 of 5.5 MB\n", "kept  7 of 12 kB\n"),
        ("version 067e4b72c3bff06c\n", "version ffffffffffff0000\n"),
        ("...\nend\n", "one\ntwo\n\nend\n"),
        ("begin\n...\n", "begin\n"),
        ("10:59 step ... done\n", "11:00 step 4 of 5: done\n"),
    ],
)
def test_figures_hashes_and_what_is_left_out_may_differ(said: str, printed: str) -> None:
    compare(output(said), printed)


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("kept 3\n", "dropped 3\n"),
        ("kept 3\n", "kept 3\nwarning: more\n"),
        ("...\nend\n", "end\nmore\n"),
        ("one ... done\n", "one\ndone\n"),
        ("kept 3\nend\n", "kept 3\n"),
    ],
)
def test_words_may_not_differ(said: str, printed: str) -> None:
    with pytest.raises(PageError, match="prints something else"):
        compare(output(said), printed)


def test_a_command_that_fails_fails_the_page(tmp_path: Path) -> None:
    text = "# A page\n\n```sh\nfalse\n```\n"
    (tmp_path / "page.md").write_text(text)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(PageError, match=r"page\.md:3: exit code 1, expected 0"):
        follow(read_page(tmp_path / "page.md", "page.md"), folder, ROOT / "recipes", with_long=False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- notrun: x -->\n```sh\nls\n```\n", "unknown comment"),
        ("```sh\nls\n", "never closed"),
        ("- item\n  ```sh\n  ls\n  ```\n", "indented fence"),
        ("## Head\n\n```text\n3\n```\n", "of which command"),
        ("```sh\nls\n```\n\n## Head\n\n```text\n3\n```\n", "of which command"),
        ("<!-- long: x -->\nwords\n", "no block follows"),
    ],
)
def test_a_page_that_would_be_overlooked_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_page(tmp_path / "page.md", "page.md")


def test_the_recipe_reference_is_that_of_the_models() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.make_recipe_docs`"


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_file_of_the_project_leads_somewhere() -> None:
    missing = []
    for source in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", source.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            goal = source.parent / target if target else source
            if not goal.exists() or (anchor and anchor not in anchors(goal)):
                missing.append(f"{source.name}: {target}#{anchor}")
    assert missing == []
    assert len(PAGES) > 5


def options_of_commands() -> dict[str, set[str]]:
    from pipeline.cli.main import app

    group = typer.main.get_command(app)
    known: dict[str, set[str]] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        commands = [command, *getattr(command, "commands", {}).values()]
        known[name] = {"--help", *(option for c in commands for p in c.params for option in p.opts)}
    said = subprocess.run([sys.executable, "-m", "training", "--help"], capture_output=True, text=True, check=True)
    return known | {"train": set(re.findall(r"--[a-z]+", said.stdout))}


def test_commands_and_options_named_in_the_documentation_exist() -> None:
    known = options_of_commands()
    texts = [path.read_text(encoding="utf-8") for path in (*PAGES, *(ROOT / "recipes").rglob("*.yaml"))]
    named: dict[str, set[str]] = {}
    for text in texts:
        joined = re.sub(r"\\\n *", "", text)
        for name, rest in re.findall(
            r"(?:^[ #]*|`|&& |[A-Z]+=\S+ )pipeline ([a-z][a-z-]*)\b([^`\n]*)", joined, re.MULTILINE
        ):
            named.setdefault(name, set()).update(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest.split(" #")[0]))
    unknown = {name: options - known.get(name, set()) for name, options in named.items()}
    assert {name for name in named if name not in known} == set()
    assert {name: options for name, options in unknown.items() if options} == {}
    assert set(known) == set(named), "a command that no page names"

"""The documentation tells today's truth."""

import re
from pathlib import Path

from tests.make_recipe_docs import PAGE, page


def test_the_recipe_reference_is_that_of_the_models() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.make_recipe_docs`"


def test_every_link_to_a_file_of_the_project_leads_somewhere(repository: Path) -> None:
    pages = [*repository.glob("*.md"), *(repository / "docs").glob("*.md")]
    missing = []
    for source in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", source.read_text()):
            if "://" not in target and not (source.parent / target).exists():
                missing.append(f"{source.name}: {target}")
    assert missing == []
    assert len(pages) > 5


def test_commands_named_in_the_documentation_exist(repository: Path) -> None:
    from pipeline.cli.main import app

    known = {c.name or c.callback.__name__ for c in app.registered_commands}
    pages = [*repository.glob("*.md"), *(repository / "docs").glob("*.md"), *(repository / "recipes").rglob("*.yaml")]
    named = {m for p in pages for m in re.findall(r"(?:^[ #]*|`|&& )pipeline ([a-z]+)", p.read_text(), re.M)}
    assert named - known == set()
    assert {"run", "train", "plan", "verify", "list"} <= known

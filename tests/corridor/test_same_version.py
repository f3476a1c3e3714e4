"""The same version comes out whatever the workers, the engine, the cutting of time and the order of files."""

from pathlib import Path

import pytest

from pipeline.files import TIME

ENGINES = [("local", "1"), ("local", "2"), ("local", "5"), ("ray", "2")]


def version(out: Path) -> str:
    return (out / "small" / "latest").read_text().strip()


def part_bytes(out: Path) -> dict[str, bytes]:
    """Every committed file of every stage, with its marker; the time that each took is another each time."""
    work = out / "small" / "work"
    found = (p for p in work.rglob("*") if p.is_file() and "runs" not in p.relative_to(work).parts)
    return {str(p.relative_to(work)): p.read_bytes() for p in found if p.name != TIME}


def test_one_version_from_every_engine_and_number_of_workers(small_recipe: Path, cli, tmp_path: Path) -> None:
    results = {}
    for engine, workers in ENGINES:
        out = tmp_path / f"{engine}-{workers}"
        done = cli("run", small_recipe, "--output", out, "--engine", engine, "--workers", workers)
        assert done.returncode == 0, done.stderr
        results[engine, workers] = part_bytes(out)
    first = results["local", "1"]
    for name, other in results.items():
        assert other.keys() == first.keys(), name
        assert [path for path in first if first[path] != other[path]] == [], name


@pytest.mark.parametrize("part_mb", [1, 64])
def test_the_cutting_of_input_changes_no_decision(small_recipe: Path, cli, tmp_path: Path, part_mb: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.manifest import load_manifest

    found = []
    for mb in (1, part_mb):
        out = tmp_path / f"out-{mb}"
        done = cli("run", small_recipe, "--output", out, "--set", f"sources.main.part_mb={mb}")
        assert done.returncode == 0, done.stderr
        folder = out / "small" / version(out)
        files = [f for f in load_manifest(folder).files if f.kind == "documents"]
        found.append(pa.concat_tables([pq.read_table(folder / f.path) for f in files]).sort_by("id"))
    assert found[0].equals(found[1])

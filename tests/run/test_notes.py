"""The note of the record that a worker is on: what it says, whatever the record holds."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.files import Folder
from pipeline.plan import Part
from pipeline.run.events import printable
from pipeline.run.notes import NOTE_BYTES, noting, read_note, read_notes
from pipeline.sources.record import Record


def part_of(label: str = "web:a.warc.gz") -> Part:
    return Part("extract", label, "0123", {}, {})


def page(url: str, path: str = "a.warc.gz", offset: int = 17) -> Record:
    return Record(path, offset, url, html=b"<p>")


def test_a_note_names_the_last_page_and_goes_with_the_part(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with noting(folder, part_of()) as note:
        before = read_note(folder, part_of())
        assert before and before.place() == "" and before.part == "web:a.warc.gz"
        note(page("https://a.example/" + "long/" * 50))
        note(page("https://b.example/", offset=123))
        found = read_note(folder, part_of())
        assert found and found.place() == "record https://b.example/ at offset 123 of a.warc.gz"
        assert found.record == 2 and read_notes(folder) == [found]
    assert list(tmp_path.iterdir()) == []


def test_rows_of_text_are_noted_now_and_then(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with noting(folder, part_of()) as note:
        for offset in range(2000):
            note(Record("rows.jsonl", offset, text="words"))
        found = read_note(folder, part_of())
    assert found and not found.is_exact and found.place().startswith("soon after record ")
    assert 1 <= found.record <= 2000


@settings(max_examples=60)
@given(url=st.text(max_size=3000), path=st.text(max_size=600), label=st.text(max_size=600))
def test_whatever_a_record_holds_its_note_is_text(tmp_path_factory, url: str, path: str, label: str) -> None:
    folder = Folder(str(tmp_path_factory.mktemp("run")))
    with noting(folder, part_of(label)) as note:
        note(page(url, path))
        (file,) = Path(folder.root).iterdir()
        assert file.stat().st_size == NOTE_BYTES
        found = read_note(folder, part_of(label))
    assert found is not None and found.record == 1
    assert found.place().isprintable() and found.part.isprintable()


def test_a_terminal_takes_a_hostile_name_for_text() -> None:
    assert printable("https://x.example/\x1b]0;owned\x07\u202egnp\ud800") == (
        "https://x.example/\\x1b]0;owned\\x07\\u202egnp\\ud800"
    )


def test_no_note_is_no_error(tmp_path: Path) -> None:
    for folder in (Folder(str(tmp_path / "missing")), Folder("memory://run")):
        with noting(folder, part_of()) as note:
            note(page("https://a.example/"))
        assert read_note(folder, part_of()) is None and read_notes(folder) == []


def test_a_note_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "on-extract-0123.txt").write_text("stage extract\npart a\nprocess 1")
    assert read_notes(Folder(str(tmp_path))) == []

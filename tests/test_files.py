"""Commit: whole or not at all, on a disk with rename and on a store without."""

import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from pipeline.files import ROW_GROUP_ROWS, DamagedError, Folder, PartStore, PartWriter


class NoRename(LocalFileSystem):
    """A store as far as the pipeline can see: objects are put whole, nothing is renamed."""

    protocol = "norename"

    def mv(self, *args, **kwargs):
        raise NotImplementedError("no rename")

    rename = move = mv_file = mv

    def put_file(self, lpath, rpath, **kwargs):
        Path(self._strip_protocol(rpath)).parent.mkdir(parents=True, exist_ok=True)
        super().put_file(lpath, rpath)

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(str(path).removeprefix("norename://"))

    def unstrip_protocol(self, name):
        return f"norename://{self._strip_protocol(name)}"


@pytest.fixture(autouse=True)
def _registered() -> None:
    fsspec.register_implementation("norename", NoRename, clobber=True)


@pytest.fixture(params=["", "norename://"])
def url(request, tmp_path: Path) -> str:
    return f"{request.param}{tmp_path}"


def one_part(url: str, commit: bool = True) -> PartStore:
    store = PartStore(url)
    out = PartWriter(store, "extract", "k1", "label", {"a": 1})
    out.write_table("documents.parquet", pa.table({"id": [b"1", b"2"], "text": ["x", "y"]}))
    out.counts.add("records", "web", n=2)
    if commit:
        out.commit()
    return store


def test_a_part_is_there_only_after_its_marker(url: str) -> None:
    store = one_part(url, commit=False)
    assert not store.is_done("extract", "k1")
    store = one_part(url)
    assert store.is_done("extract", "k1")
    marker = store.marker("extract", "k1")
    assert marker.counts == {"records": {"web": 2}}
    assert marker.file("documents.parquet").rows == 2
    assert store.table("extract", "k1", "documents.parquet").to_pydict() == {"id": [b"1", b"2"], "text": ["x", "y"]}


def test_equal_tables_give_equal_bytes_on_every_store(tmp_path: Path) -> None:
    markers = [one_part(f"{p}{tmp_path}/{n}").marker("extract", "k1") for n, p in enumerate(["", "", "norename://"])]
    assert len({m.files for m in markers}) == 1


def test_a_failed_write_leaves_nothing(url: str, tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Folder(url).commit("a/file", fails)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_truncated_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = one_part(str(tmp_path))
    path = tmp_path / "work" / "extract" / "k1" / "documents.parquet"
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(DamagedError) as error:
        store.table("extract", "k1", "documents.parquet")
    assert f"expected {size} bytes, found {size - 1}; remove the folder" in str(error.value)
    path.unlink()
    with pytest.raises(DamagedError, match="found none"):
        store.table("extract", "k1", "documents.parquet")


def test_row_groups_are_the_table_and_damage_is_told(url: str) -> None:
    store = PartStore(url)
    out = PartWriter(store, "select", "k1", "label", {})
    table = pa.table({"n": pa.array(range(2 * ROW_GROUP_ROWS + 5))})
    out.write_table("words.parquet", table)
    out.commit()
    groups = list(store.row_groups("select", "k1", "words.parquet"))
    assert [len(group) for group in groups] == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 5]
    assert pa.concat_tables(groups).equals(table)
    path = Path(url.removeprefix("norename://")) / "work" / "select" / "k1" / "words.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError, match="remove the folder"):
        list(store.row_groups("select", "k1", "words.parquet"))


@pytest.mark.parametrize("rows", [0, 5])
def test_a_batch_is_read_back_as_it_was_written(url: str, rows: int) -> None:
    store = PartStore(url)
    out = PartWriter(store, "measure", "k1", "label", {})
    table = pa.table({"id": pa.array([b"%02d" % i for i in range(rows)], pa.binary(2)), "n": pa.array(range(rows))})
    out.write_batch("signatures.arrow", pa.concat_tables([table.slice(0, 2), table.slice(2)]))
    out.commit()
    for _ in range(2):  # of a store the second time from the copy
        with store.batch("measure", "k1", "signatures.arrow") as batch:
            assert batch.to_pydict() == table.to_pydict()
    path = Path(url.removeprefix("norename://")) / "work" / "measure" / "k1" / "signatures.arrow"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(DamagedError, match="remove the folder"), store.batch("measure", "k1", "signatures.arrow"):
        pass


def test_only_the_rows_asked_for_are_read(url: str) -> None:
    store = PartStore(url)
    out = PartWriter(store, "measure", "k1", "label", {})
    out.write_table("keys.parquet", pa.table({"key": pa.array(range(100_000), pa.uint64())}))
    out.commit()
    wanted = (pc.field("key") >= 40_000) & (pc.field("key") < 40_003)
    assert store.table("measure", "k1", "keys.parquet", None, wanted)["key"].to_pylist() == [40_000, 40_001, 40_002]
    assert len(store.table("measure", "k1", "keys.parquet")) == 100_000


def test_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    store = one_part(str(tmp_path))
    path = tmp_path / "work" / "extract" / "k1" / "documents.parquet"
    raw = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    raw[column.data_page_offset + column.total_compressed_size - 1] ^= 0x10  # the last byte of a page of values
    path.write_bytes(raw)
    with pytest.raises(DamagedError, match="remove the folder"):
        store.table("extract", "k1", "documents.parquet")


def test_sweep_removes_what_a_crash_left_aside(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.commit_bytes("good", b"1")
    (tmp_path / ".aside-0123-bad").write_bytes(b"half")
    folder.remove_aside()
    assert folder.names() == ["good"]

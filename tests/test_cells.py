"""Documents of a source -> Cells."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.manifest import source_of
from pipeline.packing.cells import assign
from pipeline.packing.options import CellOptions


def test_a_source_that_is_not_cut_is_one_cell_even_without_documents() -> None:
    ((name, own),) = assign("web", None, pa.array([], pa.string()))
    assert (name, own.tolist()) == ("web", [])


def test_edges_belong_to_the_bucket_above() -> None:
    cut = CellOptions(measure="n_words", edges=(1.0, 2.0))
    found = assign("web", cut, pa.array([""] * 4), np.array([0.0, 1.0, 1.5, 2.0]))
    assert {name: own.nonzero()[0].tolist() for name, own in found} == {
        "web.n_words-0": [0],
        "web.n_words-1": [1, 2],
        "web.n_words-2": [3],
    }


languages = st.lists(st.sampled_from(["en", "de", "fr", ""]), max_size=30)


@given(languages, st.booleans(), st.lists(st.floats(-5, 5), unique=True, max_size=4), st.data())
def test_each_document_is_in_one_cell_that_its_values_name(
    found: list[str], by_language: bool, edges: list[float], data: st.DataObject
) -> None:
    if not by_language and not edges:
        return
    cut = CellOptions(
        languages=("en", "de") if by_language else (), measure="m" if edges else None, edges=tuple(sorted(edges))
    )
    values = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=len(found), max_size=len(found))), np.float64)
    cells = assign("web", cut, pa.array(found, pa.string()), values if edges else None)
    assert sum(own.astype(int) for _, own in cells).tolist() == [1] * len(found) if found else cells == []
    for name, own in cells:
        assert source_of(name) == "web" and name in cut.cell_names("web")
        for place in own.nonzero()[0]:
            words = ["web"]
            words += [found[place] if found[place] in ("en", "de") else "other"] if by_language else []
            words += [f"m-{sum(edge <= values[place] for edge in edges)}"] if edges else []
            assert name == ".".join(words)


def test_cell_names_are_distinct_and_fit_file_names() -> None:
    names = CellOptions(languages=("en", "zh-Hant"), measure="m", edges=(0.0,)).cell_names("web")
    assert names == [f"web.{name}.m-{k}" for name in ("en", "zh-Hant", "other") for k in (0, 1)]
    with pytest.raises(ValueError, match="languages"):
        CellOptions(languages=("../x",))

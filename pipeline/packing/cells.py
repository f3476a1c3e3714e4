"""Documents of one source -> the Cells that they are packed in."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.packing.options import CellOptions


def assign(
    source: str,
    cut: CellOptions | None,
    languages: pa.StringArray | pa.ChunkedArray,
    values: npt.NDArray[np.float64] | None = None,
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """The Cells of some documents of a source.

    Args:
        source: its name.
        cut: how it is cut; None: it is one Cell.
        languages: of each document.
        values: float64 [documents], of `cut.measure`; None if it names none.

    Returns:
        Name of a Cell and which documents are its own, bool [documents]; each document has one Cell. Cells without
        documents are left out, unless the source is one Cell. In the order of `cell_names`.
    """
    if cut is None:
        return [(source, np.ones(len(languages), np.bool_))]
    place = np.zeros(len(languages), np.int64)
    if cut.languages:
        named = pc.index_in(languages, pa.array(cut.languages, pa.string()))
        place += pc.fill_null(named, len(cut.languages)).to_numpy()  # OTHER is behind them (CellOptions.cell_names)
    if values is not None:
        place = place * (len(cut.edges) + 1) + np.searchsorted(np.array(cut.edges), values, side="right")
    found = [(name, place == at) for at, name in enumerate(cut.cell_names(source))]
    return [(name, own) for name, own in found if own.any()]

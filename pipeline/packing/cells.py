"""Documents of one source -> the Cells that they are packed in."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.packing.options import OTHER, CellOptions


def assign(
    source: str, cut: CellOptions | None, languages: Sequence[str], values: npt.NDArray[np.float64] | None = None
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
        places = {name: at for at, name in enumerate([*cut.languages, OTHER])}
        other = places[OTHER]
        place += np.array([places.get(language, other) for language in languages], np.int64)
    if values is not None:
        place = place * (len(cut.edges) + 1) + np.searchsorted(np.array(cut.edges), values, side="right")
    found = [(name, place == at) for at, name in enumerate(cut.cell_names(source))]
    return [(name, own) for name, own in found if own.any()]

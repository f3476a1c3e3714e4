"""Language identification with a fastText model: Joulin et al. 2016, arXiv 1607.01759 and 1612.03651.

The text goes in as datatrove's `FastTextLID` gives it (datatrove/utils/lid.py): line ends as spaces, nothing else
changed; but only its first characters, since the label of a long page is settled early and time must be bounded.
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import assets

LABEL_PREFIX = "__label__"
SCORE_DECIMALS = 6
"""Scores are rounded: their last bits differ between processors."""


class LanguageId:
    """A language identification model, read on first use in each process, also after pickling."""

    def __init__(self, model: str = "lid.176"):
        self.model = model

    def __reduce__(self) -> tuple[type["LanguageId"], tuple[str]]:
        return LanguageId, (self.model,)

    @cached_property
    def _predictor(self) -> Any:
        # The class behind `fasttext.load_model`, which would print a warning to stderr for every model.
        from fasttext.FastText import _FastText

        return _FastText(str(assets.fetch(self.model))).f

    def identify(
        self, texts: pa.LargeStringArray | list[str], max_chars: int
    ) -> tuple[pa.StringArray, npt.NDArray[np.float64]]:
        """The most likely language of the first `max_chars` characters of each text, and its probability.

        Returns:
            Labels (n,): ISO 639-1 codes, of three letters where there is none of two; "" for a text without any
            character but white space (and for null). Scores (n,) float64, 0 to 1, rounded to 6 decimals; 0 for "".

        Raises:
            pipeline.assets.AssetError: if the model cannot be fetched.
        """
        heads = pc.utf8_slice_codeunits(pa.array(texts, pa.large_string()), 0, max_chars)
        lines = pc.replace_substring(pc.fill_null(heads, ""), "\n", " ")
        full = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(lines)), 0)
        where = np.flatnonzero(full.to_numpy(zero_copy_only=False))
        labels = np.full(len(lines), "", dtype=object)
        scores = np.zeros(len(lines), dtype=np.float64)
        if len(where):
            asked = [f"{line}\n" for line in lines.filter(full).to_pylist()]
            found_labels, found_scores = self._predictor.multilinePredict(asked, 1, 0.0, "strict")
            labels[where] = [label[0].removeprefix(LABEL_PREFIX) if len(label) else "" for label in found_labels]
            scores[where] = [float(score[0]) if len(score) else 0.0 for score in found_scores]
        rounded = np.round(np.clip(scores, 0.0, 1.0), SCORE_DECIMALS).astype(np.float64, copy=False)
        return pa.array(labels, pa.string()), rounded

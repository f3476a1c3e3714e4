"""Bands of rows: how likely two documents share one, and which bands and rows suit a wanted threshold.

Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2.
"""

from typing import Final

MAX_PERMUTATIONS: Final = 512


def match_probability(jaccard: float, bands: int, rows: int) -> float:
    """The probability that two documents share a band, if the Jaccard similarity of their shingles is `jaccard`."""
    return 1 - (1 - jaccard**rows) ** bands


def optimal_bands(threshold: float, n_permutations: int) -> tuple[int, int]:
    """Bands and rows with the least sum of false positives and false negatives, those of `datasketch.MinHashLSH`.

    As `_optimal_param` in datasketch 2.0.0, lsh.py, with both weights .5: over all bands * rows <= `n_permutations`,
    the area under the probability of a match below `threshold` and over it above; the first of equal ones in the order
    of bands, then rows. datasketch integrates by adaptive quadrature; the integrand is a polynomial, for which
    Gauss-Legendre is exact up to rounding.

    Args:
        threshold: wanted Jaccard similarity, between 0 and 1.
        n_permutations: MinHash values at the most, from 1 to `MAX_PERMUTATIONS`.
    """
    import numpy as np  # here, since a recipe without a threshold is read without it

    nodes, weights = np.polynomial.legendre.leggauss(n_permutations // 2 + 1)
    below, above = (nodes + 1) / 2 * threshold, threshold + (nodes + 1) / 2 * (1 - threshold)
    best, least = (1, 1), float("inf")
    for bands in range(1, n_permutations + 1):
        for rows in range(1, n_permutations // bands + 1):
            positives = float(weights @ (1 - (1 - below**rows) ** bands)) * threshold / 2
            negatives = float(weights @ ((1 - above**rows) ** bands)) * (1 - threshold) / 2
            error = 0.5 * positives + 0.5 * negatives
            if error < least:
                best, least = (bands, rows), error
    return best

"""Which bands and rows suit a wanted threshold."""

from typing import Final

MAX_PERMUTATIONS: Final = 512


def optimal_bands(threshold: float, n_permutations: int) -> tuple[int, int]:
    """Bands and rows with the least sum of false positives and false negatives, those of `datasketch.MinHashLSH`.

    As `_optimal_param` in datasketch 2.0.0, lsh.py, with both weights .5: over all bands * rows <= `n_permutations`,
    the area under the probability of a match, 1 - (1 - s**rows)**bands (Leskovec, Rajaraman, Ullman, "Mining of Massive
    Datasets", section 3.4.2), below `threshold` and over it above; the first of equal ones in the order
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

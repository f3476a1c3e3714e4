"""What every local worker would do first, done once: imported by the server that workers are forked from.

All rooms are imported; Numba is ready after its first kernel, and pyarrow after its first column (it looks for pandas
then), which take half a second each. No thread of a library may start here: a forked worker would wait for it for ever.
"""

import numpy as np
import pyarrow as pa

import pipeline.stages  # noqa: F401
from pipeline.text.hashes import fmix64

fmix64(np.uint64(1))
pa.array([1])

"""Starting on GTSRB: the second start maps what the first decoded

All pictures at 32 pixels, training and test; seconds of `prepare_data` and `setup`, each in a process of its own.
The first start is measured once, the second several times, with the files in the page cache.
"""

import os
import tempfile
from pathlib import Path

from benchmarks._frame import Row, UnavailableError, process

CHILD = """
import sys, time
from camri_exp.data.gtsrb import GTSRBDataModule
begin = time.perf_counter()
data = GTSRBDataModule(sys.argv[1], cache_dir=sys.argv[2])
data.prepare_data()
data.setup("fit")
print(time.perf_counter() - begin)
"""


def measure(quick: bool) -> list[Row]:
    root = os.environ.get("CAMRI_DATA", "data")
    if not (Path(root) / "gtsrb").is_dir():
        raise UnavailableError(f"no GTSRB below {root}; set CAMRI_DATA")
    with tempfile.TemporaryDirectory() as cache:
        first, *again = [float(process("-c", CHILD, root, cache).out) for _ in range(2 if quick else 6)]
    what = "GTSRB, second start"
    return [Row.of(what, again, "s", "first start", [first] * len(again), "ours <= 0.5")]

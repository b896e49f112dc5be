"""Start on GTSRB: the second start maps the images that the first one decoded

Seconds of `prepare_data` and `setup`, each in a new process, with all training and test images at 32 pixels. The first
start is measured once, the second several times, with the files in the page cache.
"""

import os
import tempfile
from pathlib import Path

from benchmarks._harness import Measurement, UnavailableError, process

CHILD = """
import sys, time
from camri_exp.data.gtsrb import GTSRBDataModule
begin = time.perf_counter()
data = GTSRBDataModule(sys.argv[1], cache_dir=sys.argv[2])
data.prepare_data()
data.setup("fit")
print(time.perf_counter() - begin)
"""


def measure(quick: bool) -> list[Measurement]:
    root = os.environ.get("CAMRI_DATA", "data")
    if not (Path(root) / "gtsrb").is_dir():
        raise UnavailableError(f"no GTSRB below {root}; set CAMRI_DATA")
    with tempfile.TemporaryDirectory() as cache:
        first, *again = [float(process("-c", CHILD, root, cache).out) for _ in range(2 if quick else 6)]
    return [Measurement.of("GTSRB, second start", again, "s", "first start", [first] * len(again), "ours <= 0.5")]

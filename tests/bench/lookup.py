"""Times looking Devices up by their EUI-64, as the Device page does: their rows, and their verdict made anew.

python tests/bench/lookup.py MARTS
"""

import json
import sys
import time
from pathlib import Path
from statistics import median, quantiles

import polars as pl

from data.history import history
from data.marts import current

DEVICES = 40


def main() -> None:
    snapshot = current(Path(sys.argv[1]))
    files = snapshot.files("outcomes")
    keys = pl.read_parquet(files[len(files) // 2], columns=["device_key"]).sample(DEVICES + 1, seed=1)["device_key"]
    took = []
    for key in keys:
        start = time.perf_counter()
        history(snapshot, key)
        took.append(1000 * (time.perf_counter() - start))
    # The first of all opens and verifies the snapshot's files.
    first, *others = took
    p95 = quantiles(others, n=20, method="inclusive")[-1]
    print(
        json.dumps(
            {"devices": DEVICES, "first_ms": round(first), "median_ms": round(median(others)), "p95_ms": round(p95)}
        )
    )


if __name__ == "__main__":
    main()

"""An estate as large as the disk holds, built as an operator would: what there is before the last month, from nothing;
then the last month; then nothing new. Then `pco export`, and looking Devices up. One run of each.

python tests/bench/largest.py EXTRACTS HOME

EXTRACTS is of `pco generate`; HOME, on the same disk, is made anew.
"""

import sys
from pathlib import Path

from bench import PCO, Growing, Run, built, floor, lookup_of, size_of, timed


def main(extracts: Path, home: Path) -> None:
    size = size_of(extracts)
    print(f"{extracts}: {size['rows']:,} rows, {size['mib']:,} MiB", flush=True)
    growing = Growing(home, extracts)
    told("all but the last month, from nothing", growing.begin())
    growing.month_comes()
    built_again = built(growing.extracts, growing.marts)
    told("a month more", timed(built_again))
    told("nothing new", timed(built_again))
    told("floor", timed(floor(extracts)))
    to = home / "outcomes.parquet"
    told("export", timed([*PCO, "export", "outcomes", "--marts", str(growing.marts), "--to", str(to)]))
    print(f"marts: {size_of(growing.marts / 'snapshots' / '000002')['mib']:,} MiB", flush=True)
    print(f"lookup: {lookup_of(growing.marts)}", flush=True)


def told(name: str, run: Run) -> None:
    print(f"{name}: {run.seconds:.1f} s, {run.cpu_seconds:.0f} processor seconds, {run.peak_mib:.0f} MiB", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

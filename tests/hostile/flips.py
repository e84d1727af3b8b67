"""One bit of an extract flipped by chance, and what becomes of it."""

from pathlib import Path
from random import Random

import polars as pl

from analysis.pipeline import Parameters, build
from data.extracts import InputRefused


def flipped(folder: Path, seed: int) -> tuple[Path, bytes]:
    """Flips a bit of a file below the folder; returns the file and what it held."""
    chance = Random(seed)
    file = chance.choice(sorted(folder.rglob("*.parquet")))
    before = file.read_bytes()
    spoilt = bytearray(before)
    spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    file.write_bytes(spoilt)
    return file, before


def outcome_of(extracts: str, marts: str) -> dict:
    """{refused} with its lines, or {digest, quarantined} of the snapshot that is built; as_at is given."""
    parameters = Parameters(as_at=pl.Series(["2021-04-01"]).str.to_datetime()[0], most_quarantined=1.0)
    try:
        snapshot = build(Path(extracts), Path(marts), parameters)
    except InputRefused as refused:
        return {"refused": refused.problems}
    outcomes = snapshot.frame("outcomes").sort("device_key")
    return {"digest": outcomes.write_csv(), "quarantined": snapshot.frame("quarantine")["rows"].sum()}

"""The actual verdict: the certificates on the Device, cell by cell."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from data import reference
from data.evidence import NEVER, instants

# Least to most severe; a verdict's place is its rank.
VERDICTS = (
    "right",
    "not_read",
    "not_judged",
    "unknown_certificate",
    "missing",
    "supplier_credentials",
    "dcc_credentials",
    "wrong_party",
)
RANK = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
LEAST_FAULT = RANK["unknown_certificate"]


@dataclass(frozen=True)
class Cell:
    """A Trust Anchor Cell, or a key of the Device's own."""

    number: int
    role: str
    usage: str
    device_types: tuple[str, ...]
    stale_after: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.role}/{self.usage}"


def _cells() -> tuple[Cell, ...]:
    return tuple(
        Cell(
            number=int(row["cell_no"]),
            role=row["remote_party_role"],
            usage=row["certificate_usage"],
            device_types=tuple(t for t in reference.DEVICE_TYPES if row[t] == "x"),
            stale_after=tuple(row["stale_after"].split()),
        )
        for row in reference.table("cells")
    )


PARTY_CELLS = tuple(cell for cell in _cells() if cell.role != "Device")
DEVICE_KEYS = tuple(cell for cell in _cells() if cell.role == "Device")


def verdict_of_read() -> pl.Expr:
    """Rank of what one read says of its cell, staleness apart: the first condition that holds."""
    acb_is_accepted = pl.col("is_operator_cell") & pl.col("subject_is_acb") & ~pl.col("operator_is_dcc_user")
    expected = pl.col("subject_is_expected")
    in_use = pl.when(expected).then("certificate_is_in_use").otherwise("acb_certificate_is_in_use")
    in_operator_cell = pl.col("is_operator_cell") & ~expected
    return (
        pl.when(~pl.col("is_read_successfully"))
        .then(_rank("missing"))
        .when(~pl.col("party_is_known"))
        .then(_rank("not_judged"))
        .when(in_operator_cell & pl.col("subject_is_acb") & pl.col("operator_is_dcc_user"))
        .then(_rank("dcc_credentials"))
        .when(in_operator_cell & pl.col("subject_is_supplier") & ~acb_is_accepted)
        .then(_rank("supplier_credentials"))
        .when(~expected & ~acb_is_accepted)
        .then(_rank("wrong_party"))
        .when(~in_use)
        .then(_rank("unknown_certificate"))
        .otherwise(_rank("right"))
    )


def _rank(verdict: str) -> pl.Expr:
    return pl.lit(RANK[verdict], pl.Int64)


# How a Device's own party stands to what was found in a cell.
STANDINGS = ("has_party", "party_is_known", "party_is_subject", "operator_is_dcc_user")


def verdicts_of_reads(party_cell_reads: pl.DataFrame, judged: pl.DataFrame) -> pl.Series:
    """Rank of each read's verdict, staleness apart.

    The verdict depends only on what was found and on how the Device's party stands to it: each such combination
    is judged once, and every read looks its own up.
    """
    standings = pl.DataFrame(list(product((False, True), repeat=len(STANDINGS))), STANDINGS, orient="row")
    every = judged.join(standings, how="cross", maintain_order="left_right").with_columns(
        party_is_known=pl.when("has_party").then("party_is_known").otherwise("role_is_known"),
        subject_is_expected=pl.when("has_party").then("party_is_subject").otherwise("subject_is_in_role"),
        is_operator_cell=pl.col("remote_party_role") == "NetworkOperator",
    )
    ranks = every.select(rank=verdict_of_read())["rank"]
    standing = pl.sum_horizontal(
        pl.col(name).cast(pl.UInt32) * (1 << place) for place, name in enumerate(reversed(STANDINGS))
    )
    row = party_cell_reads.select(pl.col("judged_no") * standings.height + standing).to_series()
    return ranks.gather(row).alias("rank")


def with_actual(
    devices: pl.DataFrame, party_cell_reads: pl.DataFrame, device_key_reads: pl.DataFrame, judged: pl.DataFrame
) -> pl.DataFrame:
    """Adds a verdict rank a cell (null where not required), actual, device_keys, verified_at and faults."""
    ranked = party_cell_reads.with_columns(verdicts_of_reads(party_cell_reads, judged))
    cells = _latest(ranked, devices.height, PARTY_CELLS)
    keys = _latest(
        device_key_reads.with_columns(rank=(~pl.col("certificate_is_in_use")).cast(pl.Int64)),
        devices.height,
        DEVICE_KEYS,
    )
    devices = devices.with_columns(*cells, *keys)
    devices = devices.with_columns(
        *(_verdict(cell) for cell in PARTY_CELLS), *(_key_is_bad(key) for key in DEVICE_KEYS)
    )
    devices = devices.with_columns(device_keys=_device_keys())
    devices = devices.with_columns(actual=_actual())
    devices = devices.with_columns(verified_at=_verified_at())
    return devices.with_columns(faults(devices))


def _latest(reads: pl.DataFrame, devices: int, cells: tuple[Cell, ...]) -> list[pl.Series]:
    """For each cell the time of its latest read and, at that instant, the highest rank, by device_no."""
    width = max(cell.number for cell in cells) + 1
    latest = np.full(devices * width, NEVER)
    where = reads["device_no"].to_numpy() * width + reads["cell_no"].to_numpy()
    # Time above rank in one integer: the greatest is the latest read, and of several then the worst.
    np.maximum.at(latest, where, reads["read_at"].to_numpy() * len(VERDICTS) + reads["rank"].to_numpy())
    latest = latest.reshape(devices, width)
    columns = []
    for cell in cells:
        packed = latest[:, cell.number]
        read_at = np.where(packed == NEVER, NEVER, packed // len(VERDICTS))
        columns.append(instants(f"{cell.name} read_at", read_at))
        columns.append(pl.Series(f"{cell.name} rank", packed % len(VERDICTS)).cast(pl.UInt8))
    return columns


def _is_current(cell: Cell) -> pl.Expr:
    """Whether the cell was read, and not before the last thing that may have changed it."""
    read_at = pl.col(f"{cell.name} read_at")
    changes = [_changed_at(change) for change in cell.stale_after]
    stale = read_at < pl.max_horizontal(changes) if changes else pl.lit(False)
    return read_at.is_not_null() & ~stale.fill_null(False)


def _changed_at(change: str) -> pl.Expr:
    if change == "change_of_supplier":
        return pl.col("last_change_of_supplier").cast(pl.Datetime("us"))
    return pl.col(f"{change}_open_at")


def _verdict(cell: Cell) -> pl.Expr:
    read = pl.when(_is_current(cell)).then(f"{cell.name} rank").otherwise(pl.lit(RANK["not_read"], pl.UInt8))
    return pl.when(pl.col("device_type").is_in(cell.device_types)).then(read).alias(cell.name)


def _key_is_bad(key: Cell) -> pl.Expr:
    """True: a certificate not in use. False: in use. Null: not read."""
    return pl.when(_is_current(key)).then(pl.col(f"{key.name} rank") != 0).alias(key.name)


def _device_keys() -> pl.Expr:
    bad = [pl.col(key.name) for key in DEVICE_KEYS]
    return (
        pl.when(pl.any_horizontal(column.fill_null(False) for column in bad))
        .then(pl.lit("not_in_use"))
        .when(pl.all_horizontal(column.is_not_null() for column in bad))
        .then(pl.lit("in_use"))
        .otherwise(pl.lit("not_read"))
    )


def _actual() -> pl.Expr:
    cells = [pl.col(cell.name) for cell in PARTY_CELLS]
    worst = pl.max_horizontal(cells)
    unverified = (RANK["not_read"], RANK["not_judged"])
    return (
        pl.when((worst >= LEAST_FAULT) | (pl.col("device_keys") == "not_in_use"))
        .then(pl.lit("not_secure"))
        .when(worst.is_in(unverified))
        .then(pl.lit("unverified"))
        .otherwise(pl.lit("secure"))
    )


def _verified_at() -> pl.Expr:
    """The oldest read among the required cells that were read, as the picture is no newer than that."""
    oldest = pl.min_horizontal(
        pl.when(pl.col(cell.name) != RANK["not_read"]).then(f"{cell.name} read_at") for cell in PARTY_CELLS
    )
    return pl.when(pl.col("actual") != "unverified").then(oldest)


def faults(devices: pl.DataFrame) -> pl.Series:
    """`Role/Usage: verdict` of every fault joined with `; `, empty where there is none."""
    has_fault = pl.col("actual") == "not_secure"
    texts = [_fault(cell) for cell in PARTY_CELLS]
    texts.append(pl.when(pl.col("device_keys") == "not_in_use").then(pl.lit("Device: not_in_use")))
    return devices.select(
        faults=pl.when(has_fault).then(pl.concat_str(texts, separator="; ", ignore_nulls=True)).otherwise(pl.lit(""))
    )["faults"]


def _fault(cell: Cell) -> pl.Expr:
    text = {rank: f"{cell.name}: {VERDICTS[rank]}" for rank in range(LEAST_FAULT, len(VERDICTS))}
    return pl.col(cell.name).replace_strict(text, default=None, return_dtype=pl.String)

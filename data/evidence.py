"""Reduced rows come together as one row a Device: the evidence on which verdicts rest."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, repeat

import numpy as np
import polars as pl

from data import duck, reference
from data.merge import Merged, together
from data.reduction import buckets_for
from data.suppliers import with_suppliers

NEVER = np.iinfo(np.int64).min
# Buckets that are gathered while one is used: much of it is done by one thread, so that one alone leaves cores idle.
GATHERED_AHEAD = 2


@dataclass(frozen=True)
class Evidence:
    """What the verdicts on the Devices of some buckets rest on.

    devices: one row per Device in scope, in the order of its key and of device_no (0..n-1); all times are UTC.
    party_cell_reads: one row per read of a party's cell: device_no, cell_no, read_at (microseconds since 1970),
    judged_no (a row of `judged`), and how the Device's own party stands to what was found.
    device_key_reads: one row per read of the Device's own certificate: device_no, cell_no, read_at,
    certificate_is_in_use.
    judged: one row per cell and content found in it, in the order of judged_no; the same for all buckets.
    """

    devices: pl.DataFrame
    party_cell_reads: pl.DataFrame
    device_key_reads: pl.DataFrame
    judged: pl.DataFrame


@dataclass(frozen=True)
class Parties:
    """What is known of parties and of what was found in their cells, once for all buckets.

    known: one row per party and role in which it has an EUI-64. judged: see Evidence. holders: one row per
    judged_no and party whose EUI-64, in the cell's role, is the subject found.
    """

    known: pl.DataFrame
    judged: pl.DataFrame
    holders: pl.DataFrame

    def of_role(self, role: str) -> pl.DataFrame:
        return self.known.filter(pl.col("role") == role)


# Buckets -> the hashes of those of their Devices that are asked for.
Touched = Callable[[range], pl.Series]


def evidence(merged: Merged, touched: Touched | None = None) -> Iterator[tuple[range, Evidence | None]]:
    """The evidence of all buckets in turn, some of them together, the next ones gathered while one is used.

    touched: all Devices are asked for when it is None. Of buckets of which none is asked for there is None.
    """
    parties = parties_of(merged)
    with ThreadPoolExecutor(max_workers=GATHERED_AHEAD) as pool:
        parts = list(_parts(merged, touched, pool))
        waiting = iter(parts)
        gathered = deque(
            pool.submit(of_buckets, merged, parties, ahead, touched) for ahead in islice(waiting, GATHERED_AHEAD)
        )
        for buckets in parts:
            merged.progress("Weighing the evidence", buckets.start, merged.buckets)
            found = gathered.popleft().result()
            gathered.extend(pool.submit(of_buckets, merged, parties, ahead, touched) for ahead in islice(waiting, 1))
            yield buckets, found
            # Not to be held while the next one is waited for.
            del found
    merged.progress("Weighing the evidence", merged.buckets, merged.buckets)


def _parts(merged: Merged, touched: Touched | None, pool: ThreadPoolExecutor) -> Iterator[range]:
    """The buckets, those together of which no more Devices are asked for than one may have."""
    parts = together(merged.buckets)
    asked = pool.map(touched, parts) if touched else repeat(None)
    for buckets, found in zip(parts, asked, strict=False):
        if found is not None and buckets_for(found.len()) == 1:
            yield buckets
        else:
            yield from (range(bucket, bucket + 1) for bucket in buckets)


def parties_of(merged: Merged) -> Parties:
    """What is known of parties; raises RuntimeError when two contents of a cell have one hash."""
    execute = merged.connection.execute
    distinct = "select count(*)::bigint - count(distinct content)::bigint from cell_contents"
    if merged.connection.sql(distinct).fetchall() != [(0,)]:
        raise RuntimeError("two different contents of a cell have one hash; no snapshot was made")
    for name in ("known_parties", "judged_contents", "holders"):
        execute(f"create or replace table {name} as {duck.sql(name)}")
    judged = merged.connection.sql("from judged_contents order by cell_no, content").pl().with_row_index("judged_no")
    holders = merged.connection.sql("from holders").pl()
    return Parties(
        known=merged.connection.sql("from known_parties").pl(),
        judged=judged,
        holders=holders.join(judged.select("cell_no", "content", "judged_no"), on=["cell_no", "content"]),
    )


def of_buckets(merged: Merged, parties: Parties, buckets: range, touched: Touched | None) -> Evidence | None:
    where = None
    if touched:
        asked = touched(buckets)
        if asked.is_empty():
            return None
        where = pl.col("device_hash").is_in(asked.implode())
    devices = in_scope(merged.inventory(buckets, where), merged.as_at).sort("device_key").with_row_index("device_no")
    if devices["device_hash"].is_duplicated().any():
        raise RuntimeError("two Devices have one hash; no snapshot was made")
    spells = _rows_of(merged, buckets, where, "spells", devices, "supplier_id", "effective_from", "effective_to")
    spells = spells.filter(pl.col("effective_from") <= merged.as_at.date())
    devices = with_suppliers(devices, spells, merged.as_at)
    attempts = _rows_of(merged, buckets, where, "attempts", devices, "attempt", "sent_at")
    checks = _rows_of(merged, buckets, where, "dsp_checks", devices, "attempt")
    reads = _rows_of(merged, buckets, where, "cell_reads", devices, "read", "content").select(
        "device_no",
        "content",
        cell_no=(pl.col("read") & 15).cast(pl.UInt8),
        read_at=pl.col("read") // 16,
    )
    certificates = _rows_of(merged, buckets, where, "device_certificates", devices, "cell_no", "content")
    return Evidence(
        devices=devices.with_columns(_steps(pl.concat([attempts, checks], how="diagonal"), devices.height)),
        party_cell_reads=_party_cell_reads(reads, devices, parties),
        device_key_reads=_device_key_reads(reads, certificates),
        judged=parties.judged,
    )


def in_scope(inventory: pl.DataFrame, as_at: datetime) -> pl.DataFrame:
    """The Devices to which the criteria apply."""
    out_of_scope = [row["device_status"] for row in reference.table("out_of_scope_statuses")]
    found = inventory.filter(
        pl.col("device_type").is_in(reference.DEVICE_TYPES),
        ~pl.col("device_status").is_in(out_of_scope),
        pl.col("commissioned_at") <= as_at,
    )
    return found.drop("device_status").rename({"network_operator_id": "network_operator"})


def _rows_of(
    merged: Merged, buckets: range, where: pl.Expr | None, name: str, devices: pl.DataFrame, *columns: str
) -> pl.DataFrame:
    """A reduction's rows on the buckets' Devices in scope, with device_no."""
    rows = merged.rows(name, buckets, "device_hash", *columns, where=where)
    return rows.join(devices.select("device_hash", "device_no"), on="device_hash").drop("device_hash")


def _party_cell_reads(reads: pl.DataFrame, devices: pl.DataFrame, parties: Parties) -> pl.DataFrame:
    """The reads of parties' cells, with whether the Device's party is known and is the subject found."""
    judged = parties.judged.select("cell_no", "content", "judged_no", "remote_party_role")
    reads = reads.join(judged, on=["cell_no", "content"])
    party_ids = pl.concat([parties.known["party_id"], parties.holders["party_id"]]).unique().sort()
    of_device = devices.select(
        supplier=_number_of("supplier", party_ids),
        operator=_number_of("network_operator", party_ids),
        supplier_is_known=_is_among("supplier", parties.of_role("Supplier")),
        operator_is_known=_is_among("network_operator", parties.of_role("NetworkOperator")),
        operator_is_dcc_user=_is_among("network_operator", parties.of_role("NetworkOperator").filter("is_dcc_user")),
    )
    reads = reads.with_columns(of_device[reads["device_no"]])
    is_suppliers, is_operators = (pl.col("remote_party_role") == role for role in ("Supplier", "NetworkOperator"))
    parts = party_ids.len() + 1
    held = parties.holders.select(pl.col("judged_no").cast(pl.Int64) * parts + _number_of("party_id", party_ids))
    party = pl.when(is_suppliers).then("supplier").otherwise("operator")
    return reads.select(
        "device_no",
        "cell_no",
        "read_at",
        "judged_no",
        # Of the DCC's own cells `judged` says whether any party with the role is known, and is the subject.
        has_party=is_suppliers | is_operators,
        party_is_known=pl.when(is_suppliers).then("supplier_is_known").otherwise("operator_is_known"),
        party_is_subject=(pl.col("judged_no").cast(pl.Int64) * parts + party).is_in(held.to_series().implode()),
        operator_is_dcc_user="operator_is_dcc_user",
    )


def _number_of(column: str, values: pl.Series) -> pl.Expr:
    """The place of the column's value in a list, the list's length where it is null or not in it."""
    places = pl.Series(range(values.len()), dtype=pl.Int64)
    return (
        pl.col(column)
        .replace_strict(values, places, default=values.len(), return_dtype=pl.Int64)
        .fill_null(values.len())
    )


def _is_among(column: str, parties: pl.DataFrame) -> pl.Expr:
    return pl.col(column).is_in(parties["party_id"].implode()).fill_null(False)


def _device_key_reads(reads: pl.DataFrame, certificates: pl.DataFrame) -> pl.DataFrame:
    """The reads of Devices' own certificates, with whether it is one of theirs in use."""
    keys = [int(row["cell_no"]) for row in reference.table("cells") if row["remote_party_role"] == "Device"]
    of_keys = reads.filter(pl.col("cell_no").is_in(keys))
    in_use = certificates.unique().with_columns(certificate_is_in_use=True)
    found = of_keys.join(in_use, on=["device_no", "cell_no", "content"], how="left", maintain_order="left")
    return found.select("device_no", "cell_no", "read_at", pl.col("certificate_is_in_use").fill_null(False))


def _steps(attempts: pl.DataFrame, devices: int) -> list[pl.Series]:
    """Packed attempts (device_no, attempt, sent_at) as columns, one row per Device in the order of device_no.

    For each step, the checks first: `<step>_met_at` (UTC), its first success; `<step>_open_at`, the last time when an
    attempt at it may have worked; `<step>_tries`, attempts at it (255 stands for more). `empty_checks` and
    `unanswered_checks` have bit check_no - 1 set.
    """
    names = step_names()
    width = max(names) + 1
    packed = attempts["attempt"].to_numpy()
    step, outcome, moment = (packed >> 3) & 15, packed & 7, packed >> 7
    where = attempts["device_no"].to_numpy() * np.int64(width) + step
    succeeded = outcome == duck.SUCCESS
    may_have_worked = outcome != duck.OTHER
    first, last = np.full(devices * width, -NEVER - 1), np.full(devices * width, NEVER)
    np.minimum.at(first, where[succeeded], moment[succeeded])
    np.maximum.at(last, where[may_have_worked], moment[may_have_worked])
    seen = np.zeros(devices * width, dtype=np.uint8)
    np.bitwise_or.at(seen, where, (1 << outcome).astype(np.uint8))
    first[first == -NEVER - 1] = NEVER
    tries = np.bincount(where, minlength=devices * width)
    tries -= np.bincount(where[_second_copies(attempts, tries[where] > 1)], minlength=devices * width)
    tries = np.minimum(tries, 255).astype(np.uint8)
    first, last, seen, tries = (array.reshape(devices, width) for array in (first, last, seen, tries))
    return [
        *(instants(f"{name}_met_at", first[:, number]) for number, name in names.items()),
        *(instants(f"{name}_open_at", last[:, number]) for number, name in names.items()),
        *(pl.Series(f"{name}_tries", tries[:, number]) for number, name in names.items()),
        _check_bits("empty_checks", seen, duck.EMPTY),
        _check_bits("unanswered_checks", seen, duck.NO_RESPONSE),
    ]


def _second_copies(attempts: pl.DataFrame, may_be: np.ndarray) -> np.ndarray:
    """Places of the rows that stand twice: of one Device, step and outcome, sent and answered at the same instants."""
    places = np.flatnonzero(may_be)
    return places[~attempts[places].select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()]


def instants(name: str, microseconds: np.ndarray) -> pl.Series:
    """UTC times from microseconds since 1970; NEVER is null."""
    times = pl.Series(name, microseconds)
    return times.set(times == NEVER, None).cast(pl.Datetime("us"))


def step_names() -> dict[int, str]:
    checks = {int(row["check_no"]): row["check"] for row in reference.checks()}
    return checks | {int(row["step_no"]): row["step"] for row in reference.table("other_steps")}


def _check_bits(name: str, seen: np.ndarray, outcome: int) -> pl.Series:
    """The checks at which an outcome was seen, as bits."""
    bits = np.zeros(len(seen), dtype=np.uint8)
    for row in reference.checks():
        number = int(row["check_no"])
        bits |= ((seen[:, number] >> outcome) & 1) << (number - 1)
    return pl.Series(name, bits)

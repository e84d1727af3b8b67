"""What the findings of Devices were in one snapshot and are in another: a matrix, and which changes matter."""

import polars as pl

# The order of rows and columns; ABSENT is a Device that one of the two snapshots does not have.
FINDINGS = (
    "confirmed_pass",
    "unverified_pass",
    "missed_failure",
    "over_reported",
    "unverified_failure",
    "confirmed_failure",
    "not_due",
)
ABSENT = "absent"
NOT_SECURE = ("missed_failure", "confirmed_failure")
SECURE = ("confirmed_pass", "over_reported")

UNCHANGED, OTHER = "unchanged", "other"
NEWLY_MISSED, NEWLY_NOT_SECURE, OUT_OF_SIGHT, MENDED = "newly_missed", "newly_not_secure", "out_of_sight", "mended"
# The kinds of change, the one to look at first before all others.
KINDS = (NEWLY_MISSED, NEWLY_NOT_SECURE, OUT_OF_SIGHT, MENDED, OTHER, UNCHANGED)


def kind_of(before: str, now: str) -> str:
    """What a change means; a Device that is new and not secure is newly so."""
    if before == now:
        return UNCHANGED
    if now == "missed_failure":
        return NEWLY_MISSED
    if before not in NOT_SECURE:
        return NEWLY_NOT_SECURE if now in NOT_SECURE else OTHER
    # Of a missed failure that is reported now the report has caught up.
    return MENDED if now in SECURE or now == "confirmed_failure" else OUT_OF_SIGHT


def matrix(changed: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """One row per finding before and now, zeros included: devices, and the kind of change.

    changed: rows of `data.changes.changed_findings` of the selected Devices; now: their counts in the later snapshot
    (`finding`, `devices`), of which those that did not change are what is left.
    """
    absent = pl.lit(ABSENT)
    moved = changed.select(
        before=pl.col("finding_before").fill_null(absent),
        now=pl.col("finding_now").fill_null(absent),
        devices="devices",
    )
    of_pair = dict(_sums(moved, "before", "now"))
    of_finding = {finding: number for (finding,), number in _sums(now, "finding")}
    rows = []
    for before in (*FINDINGS, ABSENT):
        for after in (*FINDINGS, ABSENT):
            devices = of_pair.get((before, after), 0)
            if before == after:
                devices = of_finding.get(after, 0) - sum(n for (_, came), n in of_pair.items() if came == after)
            if before != ABSENT or after != ABSENT:
                rows.append((before, after, devices, kind_of(before, after)))
    return pl.DataFrame(
        rows, {"before": pl.String, "now": pl.String, "devices": pl.Int64, "kind": pl.String}, orient="row"
    )


def _sums(frame: pl.DataFrame, *by: str) -> list[tuple[tuple[str, ...], int]]:
    rows = frame.group_by(by).agg(pl.col("devices").sum().cast(pl.Int64)).rows()
    return [(tuple(row[:-1]), row[-1]) for row in rows]


def changes_only(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of the matrix with Devices whose finding changed, the most serious kind first, then the most Devices.

    Of the newly missed those come first that were known to be secure.
    """
    was_secure = pl.col("before") == "confirmed_pass"
    rank = pl.col("kind").replace_strict(list(KINDS), range(len(KINDS)), return_dtype=pl.Int64)
    found = table.filter(pl.col("devices") > 0, pl.col("kind") != UNCHANGED)
    return found.sort(rank, ~was_secure, -pl.col("devices"), "before", "now")


def totals(table: pl.DataFrame) -> dict[str, int]:
    """Devices of the matrix: in `both`, of those `changed`; `new` in the later, `left` since the earlier; by kind."""

    def devices(*conditions: pl.Expr) -> int:
        return table.filter(*conditions)["devices"].sum()

    is_new, has_left = pl.col("before") == ABSENT, pl.col("now") == ABSENT
    return {
        "both": devices(~is_new, ~has_left),
        "changed": devices(~is_new, ~has_left, pl.col("kind") != UNCHANGED),
        "new": devices(is_new),
        "left": devices(has_left),
        **{kind: devices(pl.col("kind") == kind) for kind in KINDS},
    }

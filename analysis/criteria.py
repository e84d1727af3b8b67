"""What a set of amendments would do: false alarms removed, and failures hidden in return.

Everything follows from one frame, `sets`: the value of each of the 16 sets, with and without certificate evidence.
"""

from math import factorial

import polars as pl

from analysis.amendments import AMENDMENTS, amendment_sets, amendments, passes_under
from analysis.causes import causes
from analysis.rates import rates

# What a set is judged by, both in Devices: the first is what it gains, the second what it costs.
MEASURES = ("over_reported_removed", "missed_created")


def amendment_label(amendment: str) -> str:
    """The label of the cause that the amendment accepts."""
    return next(cause.label for cause in causes() if cause.amendment == amendment)


def sets(counts: pl.DataFrame) -> pl.DataFrame:
    """One row per set of amendments and demand of evidence: its figures, and what changes from the criteria in force.

    A reported failure that passes is one over-reported removed, a missed failure created, or an unverified passed.
    """
    table = amendments(counts)
    in_force = table.row(0, named=True)
    due = _due(counts)
    removed = in_force["over_reported"] - pl.col("over_reported")
    created = pl.col("missed_failures") - in_force["missed_failures"]
    newly_passed = in_force["reported_failures"] - pl.col("reported_failures")
    return _with_frontier(
        table.with_columns(
            due=pl.lit(due, pl.Int64),
            reported_failure_rate=pl.col("reported_failures") / due if due else pl.lit(None, pl.Float64),
            newly_passed=newly_passed,
            over_reported_removed=removed,
            missed_created=created,
            unverified_passed=newly_passed - removed - created,
        )
    )


def _due(counts: pl.DataFrame) -> int:
    return counts.filter(pl.col("reported").is_in(["passed", "failed"]))["devices"].sum()


def _with_frontier(table: pl.DataFrame) -> pl.DataFrame:
    """on_frontier: no other set with the same demand of evidence removes more and hides no more, or hides less and
    removes no less. With evidence apart from without: it hides nothing, so that its largest set beats every other."""
    rows = table.select("evidence", *MEASURES).rows()

    def is_beaten(evidence: bool, removed: int, created: int) -> bool:
        return any(
            also == evidence and other_removed >= removed and other_created <= created
            for also, other_removed, other_created in rows
            if (other_removed, other_created) != (removed, created)
        )

    return table.with_columns(on_frontier=pl.Series([not is_beaten(*row) for row in rows], dtype=pl.Boolean))


def under(table: pl.DataFrame, chosen: tuple[str, ...], evidence: bool) -> dict:
    """The row of `sets` of one set; the order in which it is named does not matter."""
    return table.row(by_predicate=_is_set(chosen) & (pl.col("evidence") == evidence), named=True)


def _is_set(chosen: tuple[str, ...]) -> pl.Expr:
    return pl.col("amendments") == pl.lit([a for a in AMENDMENTS if a in chosen], pl.List(pl.String))


def newly_passing(counts: pl.DataFrame, chosen: tuple[str, ...], evidence: bool) -> dict:
    """`rates` of the reported failures that would pass: how many are not secure, estimated from those verified."""
    return rates(counts.filter(passes_under(chosen, evidence))).row(0, named=True)


def steps(table: pl.DataFrame, order: tuple[str, ...], evidence: bool) -> pl.DataFrame:
    """One row for the criteria in force, then one per amendment: what it brings after those before it.

    over_reported, missed_failures and reported_failures are the levels then reached.
    """
    reached = [under(table, order[:place], evidence) for place in range(len(order) + 1)]
    before = [reached[0], *reached]
    levels = ("reported_failures", "over_reported", "missed_failures")
    changes = ("newly_passed", *MEASURES, "unverified_passed")
    rows = [
        {"step": step}
        | {level: row[level] for level in levels}
        | {change: row[change] - last[change] for change in changes}
        for step, row, last in zip(["Criteria in force", *map(amendment_label, order)], reached, before, strict=False)
    ]
    return pl.DataFrame(rows)


def contributions(table: pl.DataFrame, order: tuple[str, ...], evidence: bool) -> pl.DataFrame:
    """One row per measure and amendment, in Devices: what it brings alone, in the order, and its Shapley share.

    Of an amendment outside the set only what it brings alone is known. Shapley shares sum to what the set brings.
    """
    in_order = steps(table, order, evidence)[1:]
    rows = []
    for measure in MEASURES:
        values = _values(table, measure, evidence)
        for amendment in (*order, *(a for a in AMENDMENTS if a not in order)):
            place = order.index(amendment) if amendment in order else None
            rows.append(
                {
                    "measure": measure,
                    "amendment": amendment_label(amendment),
                    "in_set": amendment in order,
                    "alone": values[frozenset([amendment])],
                    "in_order": None if place is None else in_order[measure][place],
                    "shapley": None if place is None else _shapley(values, frozenset(order), amendment),
                }
            )
    numbers = {"alone": pl.Int64, "in_order": pl.Int64, "shapley": pl.Float64}
    return pl.DataFrame(rows, {"measure": pl.String, "amendment": pl.String, "in_set": pl.Boolean, **numbers})


def _values(table: pl.DataFrame, measure: str, evidence: bool) -> dict[frozenset[str], int]:
    of_evidence = table.filter(pl.col("evidence") == evidence)
    return {frozenset(chosen): value for chosen, value in of_evidence.select("amendments", measure).rows()}


def _shapley(values: dict[frozenset[str], int], chosen: frozenset[str], amendment: str) -> float:
    """What the amendment adds to those before it, averaged over all orders of the set (Shapley 1953)."""
    others = chosen - {amendment}
    total = 0
    for before in map(frozenset, amendment_sets()):
        if before <= others:
            orders = factorial(len(before)) * factorial(len(others) - len(before))
            total += orders * (values[before | {amendment}] - values[before])
    return total / factorial(len(chosen))

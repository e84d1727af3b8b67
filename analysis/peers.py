"""Parties over time, by quarter of commissioning, and one of them beside its peers."""

import polars as pl

from analysis.rates import rates
from analysis.selection import added_up

# A peer with fewer Devices due in a quarter has a rate of noise; of fewer peers a decile means nothing.
FEWEST_DUE, FEWEST_PEERS = 10, 5
DECILES = {f"decile_{tenth}": tenth / 10 for tenth in range(1, 10)}


def by_quarter(counts: pl.DataFrame, column: str) -> pl.DataFrame:
    """Rates by party and quarter of commissioning (`2021 Q3`), those without a Device due left out."""
    month = pl.col("commissioned_month")
    quarter = pl.format("{} Q{}", month.str.slice(0, 4), (month.str.slice(5, 2).cast(pl.Int32) + 2) // 3)
    few = added_up(counts, column, "commissioned_month", "reported", "actual", "device_keys")
    return rates(few.with_columns(quarter=quarter), (column, "quarter")).filter(pl.col("due") > 0)


def largest(table: pl.DataFrame, column: str, most: int = 12) -> pl.DataFrame:
    """Of the rates by party the largest by Devices due; Devices without a recorded party are no party."""
    return table.filter(pl.col(column).is_not_null()).sort("due", "name", descending=[True, False]).head(most)


def of_parties(quarters: pl.DataFrame, column: str, parties: pl.DataFrame) -> pl.DataFrame:
    """The quarters of these parties, with each one's name, in the order of `parties`."""
    return (
        parties.select(column, "name")
        .join(quarters, on=column, how="left", maintain_order="left_right")
        .sort("quarter", maintain_order=True)
        .sort(pl.col(column).replace_strict({party: place for place, party in enumerate(parties[column])}))
    )


def beside_peers(quarters: pl.DataFrame, column: str, party: str) -> pl.DataFrame:
    """One row per quarter: the party's reported rate, how many peers have one, and their deciles.

    Peers are the other parties with at least `FEWEST_DUE` Devices due in the quarter, each counted once whatever its
    size; deciles are interpolated linearly, and null where fewer than `FEWEST_PEERS` are left.
    """
    rate = pl.col("reported_failure_rate")
    is_peer = (pl.col(column) != party) & (pl.col("due") >= FEWEST_DUE)
    enough = pl.col("peers") >= FEWEST_PEERS
    peers = (
        quarters.filter(is_peer)
        .group_by("quarter")
        .agg(
            pl.len().cast(pl.Int64).alias("peers"),
            *(rate.quantile(share, "linear").alias(name) for name, share in DECILES.items()),
        )
        .with_columns(pl.when(enough).then(pl.col(name)).alias(name) for name in DECILES)
    )
    own = quarters.filter(pl.col(column) == party).select("quarter", "due", "reported_failures", rate)
    return (
        quarters.select("quarter")
        .unique()
        .join(own, on="quarter", how="left")
        .join(peers, on="quarter", how="left")
        .with_columns(pl.col("due", "reported_failures", "peers").fill_null(0))
        .sort("quarter")
    )

"""How far from the rate of all a party's reported rate may lie by chance alone: the limits of a funnel plot.

The limits are exact binomial quantiles of the number reported failed. A small party's are wide, so that nobody is named
for noise. They allow for chance and nothing else: large parties differ in their Devices, regions and years as well
(over-dispersion), so more of them than the limits' share lie outside, and that alone accuses none.
Spiegelhalter (2005), Statistics in Medicine 24, 1185-1202.
"""

import numpy as np
import polars as pl

INSIDE, OUTSIDE_95, OUTSIDE_998 = STANDINGS = ("inside", "outside 95 %", "outside 99.8 %")
# Column of a limit -> the probability of a count no greater than it.
QUANTILES = {"low_998": 0.001, "low_95": 0.025, "high_95": 0.975, "high_998": 0.999}
# Beyond so many standard deviations and Devices from the mean lies less than 1e-12 of a binomial.
REACH_SD, REACH_DEVICES = 8, 40


def binomial_quantiles(due: int, rate: float, probabilities: list[float]) -> list[int]:
    """For each probability the smallest count whose cumulative binomial probability reaches it."""
    if rate <= 0 or rate >= 1:
        return [due if rate >= 1 else 0] * len(probabilities)
    mean, reach = due * rate, REACH_SD * np.sqrt(due * rate * (1 - rate)) + REACH_DEVICES
    counts = np.arange(max(0, int(mean - reach)), min(due, int(mean + reach)) + 1)
    # Each count's probability over the one before it; from the peak, as the ends are too small for a float.
    steps = np.log(due - counts[:-1]) - np.log(counts[1:]) + np.log(rate) - np.log1p(-rate)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    places = np.searchsorted(np.cumsum(weights) / weights.sum(), probabilities)
    return [int(counts[min(place, len(counts) - 1)]) for place in places]


def limits(due: list[int], rate: float) -> pl.DataFrame:
    """One row per number of Devices due: the counts between which chance keeps the reported failures."""
    rows = [(number, *binomial_quantiles(number, rate, [*QUANTILES.values()])) for number in due]
    return pl.DataFrame(rows, {"due": pl.Int64, **dict.fromkeys(QUANTILES, pl.Int64)}, orient="row")


def funnel(table: pl.DataFrame) -> pl.DataFrame:
    """The rates of all parties, in the same order, with the overall rate, limits of each rate, and its standing.

    A count on a limit is inside it: chance puts at most one party in twenty outside 95 %, one in 500 outside 99.8 %.
    """
    sized = table.filter(pl.col("due") > 0)
    rate = overall_rate(sized)
    if rate is None:
        return sized.with_columns(overall_rate=pl.lit(None, pl.Float64))
    of_size = limits(sized["due"].unique().to_list(), rate)
    failures = pl.col("reported_failures")

    def outside(level: str) -> pl.Expr:
        return (failures < pl.col(f"low_{level}")) | (failures > pl.col(f"high_{level}"))

    standing = pl.when(outside("998")).then(pl.lit(OUTSIDE_998)).when(outside("95")).then(pl.lit(OUTSIDE_95))
    return (
        sized.join(of_size, on="due", how="left", maintain_order="left")
        .with_columns(overall_rate=pl.lit(rate), standing=standing.otherwise(pl.lit(INSIDE)))
        .with_columns(pl.col(name) / pl.col("due") for name in QUANTILES)
    )


def overall_rate(table: pl.DataFrame) -> float | None:
    """Reported failures of Devices due over all rows; null when none is due."""
    due = table["due"].sum()
    return table["reported_failures"].sum() / due if due else None


def curve(smallest: int, largest: int, rate: float, points: int = 160) -> pl.DataFrame:
    """The limits as shares from the smallest to the largest number due, spaced evenly on a log scale."""
    sizes = np.unique(np.geomspace(max(smallest, 1), max(largest, smallest, 1), points).round().astype(int))
    return limits(sizes.tolist(), rate).with_columns(pl.col(name) / pl.col("due") for name in QUANTILES)

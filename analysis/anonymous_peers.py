"""A party's peers without names: deciles of their reported rates by quarter, coarse enough to tell of none of them.

For the sealed folder of a party, which holds no row of another. Every peer's rate is of numbers within the disclosure
policy: Devices due from the policy's fewest on, reported failures below the threshold told as none, both rounded;
the deciles in whole percent, of ten peers or more, and none of 0 % or 100 %, which would say it of every peer below
or above.
"""

import polars as pl

from analysis.disclosure import Policy, policy
from analysis.peers import DECILES, by_quarter
from analysis.selection import PARTY_ROLES

# Of fewer peers a decile is the rate of one of them.
FEWEST = 10
TABLE = "peers"
SCHEMA = {"role": pl.String, "quarter": pl.String, "peers": pl.Int64, **dict.fromkeys(DECILES, pl.Float64)}


def anonymous(counts: pl.DataFrame, party: str, rules: Policy | None = None) -> pl.DataFrame:
    """One row per role and quarter of commissioning that may be told: peers (rounded down), and their deciles."""
    rules = rules or policy()
    told = [_of_role(counts, role, party, rules) for role in PARTY_ROLES]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *told])


def _of_role(counts: pl.DataFrame, role: str, party: str, rules: Policy) -> pl.DataFrame:
    due, failures = (pl.col(name).cast(pl.Float64) for name in ("due", "reported_failures"))
    failures = pl.when(failures < rules.threshold).then(0.0).otherwise(_rounded(failures, rules))
    rate = pl.min_horizontal(failures / _rounded(due, rules), 1.0)
    is_peer = pl.col(role).is_not_null() & (pl.col(role) != party) & (due >= max(rules.fewest_devices, rules.threshold))
    deciles = [rate.quantile(share, "linear").round(2).alias(name) for name, share in DECILES.items()]
    found = (
        by_quarter(counts, role)
        .filter(is_peer)
        .group_by("quarter")
        .agg(pl.len().cast(pl.Int64).alias("peers"), *deciles)
    )
    return (
        found.filter(pl.col("peers") >= max(FEWEST, rules.fewest_parties))
        .with_columns(pl.col("peers") // rules.round_to * rules.round_to, role=pl.lit(role))
        .with_columns(pl.when(pl.col(name).is_between(0, 1, closed="none")).then(name).alias(name) for name in DECILES)
        .select(*SCHEMA)
        .sort("quarter")
    )


def _rounded(number: pl.Expr, rules: Policy) -> pl.Expr:
    return (number / rules.round_to + 0.5).floor() * rules.round_to


def beside(trend: pl.DataFrame, told: pl.DataFrame, role: str) -> pl.DataFrame:
    """A party's quarters as `peers.beside_peers` gives them, with the deciles that may be told in place of its own."""
    of_role = told.filter(pl.col("role") == role).drop("role")
    own = trend.drop("peers", *DECILES)
    return own.join(of_role, on="quarter", how="left", maintain_order="left").with_columns(pl.col("peers").fill_null(0))

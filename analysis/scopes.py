"""What is in each scope: a party's own Devices, aggregates within the disclosure policy, an operator's tables."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from analysis.amendments import amendments
from analysis.anonymous_peers import TABLE, anonymous
from analysis.counts import COUNTED_BY, Counts
from analysis.disclosure import FILE, policy
from analysis.protected import protected
from analysis.selection import PARTY_ROLES
from data.marts import Snapshot
from data.scopes import AGGREGATES, ALL, OPERATOR, PARTY, Scope, Tables, sealed

# Another number when the code below, or in `protected`, makes other rows of the same snapshot.
VERSION = 2
# What stands where another party would be named.
ANOTHER, ANOTHER_NAME = "not-named", "Another party"
# Roles of the DCC's own parties, which are not peers of anyone.
OF_THE_DCC = ("ACB", "Recovery", "TransCoS", "Root")


def scoped(snapshot: Snapshot, scope: Scope, root: Path) -> Snapshot:
    """The published snapshot as a reader of this scope may see it: a folder of its own below `root`."""
    if scope == ALL:
        return snapshot
    make = {PARTY: _of_party, AGGREGATES: _aggregates, OPERATOR: _of_operator}[scope.kind]
    rules = f"{VERSION}; {FILE.read_text(encoding='utf-8')}"
    return sealed(snapshot, scope, root, rules, lambda: make(snapshot, scope))


def is_own(party: str) -> pl.Expr:
    """Devices of which the party is, or was at commissioning, the Supplier, or is the network operator."""
    return pl.any_horizontal(pl.col(role) == party for role in PARTY_ROLES).fill_null(False)


def unnamed(party: str, *columns: str) -> list[pl.Expr]:
    """Party ids, all others than the party's own made one word."""
    return [
        pl.when(pl.col(name).is_null() | (pl.col(name) == party)).then(name).otherwise(pl.lit(ANOTHER)).alias(name)
        for name in columns
    ]


def _of_party(snapshot: Snapshot, scope: Scope) -> tuple[Tables, dict]:
    counts = Counts()
    keys: list[pl.Series] = []

    def tables() -> Iterator[tuple[str, pl.DataFrame]]:
        for file in snapshot.files("outcomes"):
            own = pl.scan_parquet(file, glob=False).filter(is_own(scope.party)).collect()
            own = own.with_columns(unnamed(scope.party, *PARTY_ROLES))
            counts.add(own.with_columns(commissioned_month=pl.col("commissioned_at").dt.strftime("%Y-%m")))
            keys.append(own["device_key"])
            yield "outcomes", own
        counted = counts.frame()
        yield "counts", counted
        yield "amendments", amendments(counted)
        yield "parties", parties_of(snapshot.frame("parties"), scope.party)
        yield TABLE, anonymous(snapshot.frame("counts"), scope.party)
        if snapshot.files("incidents"):
            own_keys = pl.concat(keys).implode()
            yield "incidents", snapshot.frame("incidents").filter(pl.col("device_key").is_in(own_keys))

    return tables(), {}


def parties_of(parties: pl.DataFrame, party: str) -> pl.DataFrame:
    """The party's own rows and the DCC's, and one row without a name for all the others."""
    kept = parties.filter((pl.col("party_id") == party) | _is_of_the_dcc(parties))
    another = {
        "eui": ANOTHER,
        "party_id": ANOTHER,
        "party_name": ANOTHER_NAME,
        "category": "Not told",
        "role": "Supplier",
        "is_dcc_user": False,
    }
    return pl.concat([kept, pl.DataFrame([another], parties.schema)])


def _is_of_the_dcc(parties: pl.DataFrame) -> pl.Expr:
    peers = parties.filter(~pl.col("role").is_in(OF_THE_DCC))["party_id"].unique().implode()
    return pl.col("role").is_in(OF_THE_DCC) & ~pl.col("party_id").is_in(peers)


def _protected_counts(snapshot: Snapshot) -> tuple[pl.DataFrame, dict]:
    counts = snapshot.frame("counts").select(*COUNTED_BY, "devices")
    as_at = datetime.fromisoformat(snapshot.manifest["as_at"])
    told = protected(counts, as_at, snapshot.manifest["grace_days"])
    devices = policy().rounded(counts["devices"].sum())
    return told.counts, {"devices": devices, "said_of_scope": told.in_words()}


def _aggregates(snapshot: Snapshot, scope: Scope) -> tuple[Tables, dict]:
    counts, told = _protected_counts(snapshot)
    parties = snapshot.frame("parties").clear()
    return [("counts", counts), ("amendments", amendments(counts)), ("parties", parties)], told


def _of_operator(snapshot: Snapshot, scope: Scope) -> tuple[Tables, dict]:
    counts, told = _protected_counts(snapshot)
    tables = [
        ("counts", counts),
        ("amendments", amendments(counts)),
        ("parties", snapshot.frame("parties").clear()),
        ("quarantine", snapshot.frame("quarantine")),
        ("unrecognised", snapshot.frame("unrecognised")),
    ]
    # All of the published manifest but its files, also what later builds tell of in it.
    manifest = {name: told for name, told in snapshot.manifest.items() if name not in ("files", "scope")}
    return tables, manifest | told | {"devices": snapshot.rows("outcomes")}

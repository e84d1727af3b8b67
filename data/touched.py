"""Which Devices a build has to judge anew: those of which the extracts say something else than at an earlier build,
and those of which the verdict may follow from the later instant alone."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from data import duck
from data.evidence import Parties, parties_of
from data.marts import Snapshot
from data.merge import WEIGHED, Merged, hashes_of, rows_between, together
from data.partials import Partial

# Table of a snapshot -> the name by which `parties_of` asks for it.
SMALL = {
    "parties": "party_euis",
    "cell_contents": "cell_contents",
    "organisation_certificates": "organisation_certificates",
}


@dataclass
class Change:
    """What lies between an earlier snapshot and what a build has merged; the snapshot's `as_at` is not later.

    contents: (cell_no, content) that are judged otherwise now. parties: party_ids of which something else is known.
    """

    earlier: Snapshot
    merged: Merged
    contents: pl.DataFrame
    parties: list[str]
    _touched: dict[range, pl.Series] = field(default_factory=dict)
    # Table -> its files that came and that went: of a national estate hundreds, asked for by each bucket.
    _files: dict[str, tuple[list[Path], list[Path]]] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        return datetime.fromisoformat(self.earlier.manifest["as_at"])

    def touched(self, buckets: range) -> pl.Series:
        """The hashes of the Devices of buckets that follow one another that are to be judged anew."""
        # A copy: other threads add to it.
        for searched, found in list(self._touched.items()):
            if searched.start <= buckets.start and buckets.stop <= searched.stop:
                return found if searched == buckets else found.filter(found.is_between(*self._hashes_of(buckets)))
        return self._touched.setdefault(buckets, self._find(buckets))

    def _hashes_of(self, buckets: range) -> tuple[int, int]:
        return hashes_of(buckets, self.merged.buckets)

    def touches_nobody(self) -> bool:
        return all(self.touched(buckets).is_empty() for buckets in together(self.merged.buckets))

    def came_to(self, name: str) -> bool:
        """Whether a table may have other rows: a file of it came, or a file of any table went."""
        keys = set(self.earlier.manifest["partials"])
        now = {partial.key: partial for partial in self.merged.partials}
        return not keys <= now.keys() or any(now[key].files(name) for key in now.keys() - keys)

    def _find(self, buckets: range) -> pl.Series:
        found = [self._rows_changed(name, buckets) for name in WEIGHED]
        if self.merged.as_at > self.since:
            found += [self._spells_begun_or_ended(buckets), self._not_due_then(buckets)]
        if self.contents.height:
            found.append(self._with_contents(buckets))
        if self.parties:
            found += [self._of_parties(bucket) for bucket in buckets]
        return pl.concat(found).unique()

    def _rows_changed(self, name: str, buckets: range) -> pl.Series:
        """The Devices of rows that only one of the two has."""
        added, removed = self._files_changed(name)
        if added and removed:
            # Whole rows of both: of one bucket at a time.
            return pl.concat(self._one_sided_rows(added, removed, range(bucket, bucket + 1)) for bucket in buckets)
        changed = added or removed
        found = rows_between(changed, *self._hashes_of(buckets), "device_hash")["device_hash"] if changed else _hashes()
        return found.drop_nulls().unique()

    def _one_sided_rows(self, added: list[Path], removed: list[Path], bucket: range) -> pl.Series:
        came, went = (rows_between(files, *self._hashes_of(bucket)) for files in (added, removed))
        return pl.concat(_one_sided(came, went.select(came.columns)))["device_hash"].drop_nulls().unique()

    def _files_changed(self, name: str) -> tuple[list[Path], list[Path]]:
        """The files of a table that only the merged partials have, and those that only the earlier ones had."""
        if name not in self._files:
            keys = set(self.earlier.manifest["partials"])
            now = {partial.key for partial in self.merged.partials}
            came = [partial for partial in self.merged.partials if partial.key not in keys]
            gone = [file for file in self.earlier.evidence_places(name) if file.parent.name not in now]
            self._files[name] = [file for partial in came for file in partial.files(name)], gone
        return self._files[name]

    def _spells_begun_or_ended(self, buckets: range) -> pl.Series:
        since, until = self.since.date(), self.merged.as_at.date()
        began, ended = ((pl.col(day) > since) & (pl.col(day) <= until) for day in ("effective_from", "effective_to"))
        return self.merged.rows("spells", buckets, "device_hash", where=began | ended)["device_hash"]

    def _not_due_then(self, buckets: range) -> pl.Series:
        """Of Devices commissioned so late that they were not due at the earlier instant, or not commissioned yet."""
        latest_due = self.since - timedelta(days=self.earlier.manifest["grace_days"])
        was_not_due = pl.col("commissioned_at") > latest_due
        rows = self.merged.rows("inventory_rows", buckets, "device_hash", where=was_not_due)
        return rows["device_hash"].drop_nulls()

    def _of_parties(self, bucket: int) -> pl.Series:
        roles = ("supplier", "network_operator")
        return self._outcomes(bucket, pl.any_horizontal(pl.col(role).is_in(self.parties) for role in roles))

    def _with_contents(self, buckets: range) -> pl.Series:
        reads = self.merged.rows("cell_reads", buckets, "device_hash", "content", "read")
        reads = reads.with_columns(cell_no=(pl.col("read") & 15).cast(pl.UInt8))
        return reads.join(self.contents, on=["cell_no", "content"], how="semi")["device_hash"]

    def _outcomes(self, bucket: int, condition: pl.Expr) -> pl.Series:
        file = self.earlier.part("outcomes", bucket)
        return pl.scan_parquet(file, glob=False).filter(condition).select("device_hash").collect().to_series()


def change(earlier: Snapshot, merged: Merged, work: Path) -> Change:
    """What lies between an earlier snapshot and what is merged now."""
    before, now = _parties_then(earlier, work), parties_of(merged)
    return Change(earlier, merged, _judged_otherwise(before, now), _known_otherwise(before, now))


@dataclass(frozen=True)
class _Then:
    connection: duckdb.DuckDBPyConnection


def _parties_then(earlier: Snapshot, work: Path) -> Parties:
    with duck.connect(work) as connection:
        for table, name in SMALL.items():
            connection.register("found", earlier.frame(table).to_arrow())
            connection.execute(f"create table {name} as from found").fetchall()
        return parties_of(_Then(connection))


def _judged_otherwise(before: Parties, now: Parties) -> pl.DataFrame:
    """cell_no and content of what was found before and is judged otherwise, or is another party's, now."""
    of_cell = ["cell_no", "content"]
    judged = [parties.judged.drop("judged_no") for parties in (before, now)]
    holders = [parties.holders.drop("judged_no") for parties in (before, now)]
    found = [rows.select(of_cell) for one, other in (judged, holders) for rows in _one_sided(one, other)]
    return (
        pl.concat(found).unique().join(before.judged, on=of_cell, how="semi").join(now.judged, on=of_cell, how="semi")
    )


def _known_otherwise(before: Parties, now: Parties) -> list[str]:
    """The party_ids of which the roles, or whether they are a DCC User, are not what they were."""
    return pl.concat(_one_sided(before.known, now.known))["party_id"].unique().to_list()


def _one_sided(one: pl.DataFrame, other: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows that only the first has, and those that only the second has."""
    return [a.join(b, on=a.columns, how="anti", nulls_equal=True) for a, b in ((one, other), (other, one))]


def _hashes() -> pl.Series:
    return pl.Series("device_hash", [], pl.UInt64)


def evidence_name(partial: Partial, table: str, file: Path) -> str:
    """The name below a snapshot's folder of a partial's file."""
    return f"evidence/{table}/{partial.key}/{file.name}"

"""The sentences and tables of the Data and method page."""

import polars as pl

from analysis import lineage, reporting
from dashboard import words
from dashboard.words import count, moment, month, percent
from data.marts import Snapshot

NOT_RECORDED = "not recorded"
CODE_OF_NOW = (
    "SQL and rules are shown as this version of the software has them; a snapshot built by an earlier version may have "
    "come of others."
)
SILENCE_RULE = (
    "A party is said to have stopped from a whole month in which none of its Devices was commissioned, where on "
    f"average {reporting.EXPECTED} or more a month were in the {reporting.MONTHS_BEFORE} months before. That says "
    "nothing of why: it may have nothing more to install, or its rows may be missing from the extracts."
)


def file_rows(manifest: dict, extracts: tuple[str, ...]) -> pl.DataFrame:
    """One row per file of these extracts as the build read them: extract, file, rows, bytes, SHA-256."""
    rows = [
        (name, file["name"], file["rows"], file["bytes"], file.get("sha256", NOT_RECORDED))
        for name in extracts
        for file in manifest["extracts"].get(name, {}).get("files", [])
    ]
    schema = {"extract": pl.String, "file": pl.String, "rows": pl.Int64, "bytes": pl.Int64, "SHA-256": pl.String}
    return pl.DataFrame(rows, schema, orient="row")


def road(stage: lineage.Stage, made_of: str, files: pl.DataFrame, snapshot: Snapshot, number: str) -> pl.DataFrame:
    """The stages from extract to number, one row each."""
    by_extract = files.group_by("extract", maintain_order=True).agg(pl.len(), pl.col("rows").sum())
    read = "; ".join(f"{name} ({_files(n)}, {count(rows)} rows)" for name, n, rows in by_extract.rows())
    tables = ", ".join(file.name for file in snapshot.files("counts"))
    stages = [
        ("Extract files", read),
        ("SQL", ", ".join(f"{name}.sql" for name in stage.sql)),
        ("Rules", ", ".join(stage.rules)),
        ("Facts of the domain", ", ".join(f"{name}.csv" for name in stage.references)),
        ("Columns", f"{', '.join(stage.columns)} of each Device; counted in {tables} of snapshot {snapshot.number}"),
        ("Number", f"{made_of}: {number}"),
    ]
    return pl.DataFrame(stages, ["stage", "what"], orient="row")


def _files(number: int) -> str:
    return f"{count(number)} file{'' if number == 1 else 's'}"


def figure(column: str, value: float | None) -> str:
    """A headline number as the pages print it."""
    if column in words.SHARES:
        return percent(value, 2)
    return count(value)


def samples(quarantine: pl.DataFrame, most: int = 5) -> pl.DataFrame:
    """At most so many rows of each rule as the file had them: extract, rule, file, sample."""
    each = quarantine.filter(pl.col("samples").list.len() > 0).explode("samples").sort("extract", "rule", "file")
    return (
        each.group_by("extract", "rule", maintain_order=True)
        .head(most)
        .select("extract", "rule", "file", pl.col("samples").alias("row"))
    )


def silences_title(table: pl.DataFrame, silences: pl.DataFrame, dimension: str) -> str:
    """How many parties stopped, of how many."""
    parties, stopped = table["party"].drop_nulls().n_unique(), _standing(silences, reporting.STOPPED)
    resumed = _standing(silences, reporting.RESUMED)
    said = (
        f"{stopped} of {parties} parties ({words.DIMENSIONS[dimension].lower()}) stopped: no more Devices commissioned"
    )
    return said + (f"; {resumed} paused and came back" if resumed else "")


def _standing(silences: pl.DataFrame, standing: str) -> int:
    return silences.filter(standing=standing)["party"].n_unique()


def silence(row: dict) -> str:
    """One party's silence, as an item of a list."""
    came_back = f", back after {month(row['silent_to'])}" if row["standing"] == reporting.RESUMED else ""
    months = f"{row['silent_months']} month{'' if row['silent_months'] == 1 else 's'}"
    return (
        f"* **{row['name']}** {row['standing']}: last Devices in {month(row['last_with_devices'])}, none for {months}"
        f"{came_back}; {row['usual']:,.0f} a month were usual."
    )


def side_by_side(earlier: Snapshot, later: Snapshot, rates: dict[int, dict]) -> pl.DataFrame:
    """What each of two snapshots was built from and says; rates: by number of snapshot, a row of `rates` each."""
    both = (earlier, later)
    lines = [
        ("As at", *(moment(one.manifest["as_at"]) for one in both)),
        (
            "As at was",
            *("given" if one.manifest["as_at_is_given"] else "the latest time in the extracts" for one in both),
        ),
        ("Grace period", *(f"{one.manifest['grace_days']} days" for one in both)),
        ("Bad rows allowed, of an extract", *(percent(one.manifest["most_quarantined"]) for one in both)),
        ("Built", *(moment(one.manifest["build_finished_at"]) for one in both)),
        ("Devices in scope", *(count(one.rows("outcomes")) for one in both)),
        ("Devices due, of those selected", *(count(rates[one.number]["due"]) for one in both)),
        ("Reported failed, of those due", *(percent(rates[one.number]["reported_failure_rate"], 2) for one in both)),
        ("Actual, of those due", *(percent(rates[one.number]["actual_failure_rate"], 2) for one in both)),
    ]
    for name in dict.fromkeys([*earlier.manifest["extracts"], *later.manifest["extracts"]]):
        lines.append((f"{name}: rows read (quarantined)", *(_rows(one.manifest, name) for one in both)))
    lines.append(("Extract files", _files(len(_digests(earlier))), compared_files(earlier, later)))
    columns = ["what", f"Snapshot {earlier.number}", f"Snapshot {later.number}"]
    return pl.DataFrame(lines, columns, orient="row")


def _rows(manifest: dict, name: str) -> str:
    extract = manifest["extracts"].get(name)
    return f"{count(extract['rows'])} ({count(extract['quarantined'])})" if extract else "none"


def _digests(snapshot: Snapshot) -> dict[str, str | None]:
    extracts = snapshot.manifest["extracts"].values()
    return {file["name"]: file.get("sha256") for extract in extracts for file in extract["files"]}


def compared_files(earlier: Snapshot, later: Snapshot) -> str:
    """How many extract files of the later snapshot are the same, byte by byte, as those of the earlier."""
    before, now = _digests(earlier), _digests(later)
    said = _files(len(now))
    if None in {*before.values(), *now.values()}:
        return f"{said} (their checksums were not recorded in both)"
    same = sum(before.get(name) == digest for name, digest in now.items())
    other = len(now.keys() & before.keys()) - same
    new, gone = len(now.keys() - before.keys()), len(before.keys() - now.keys())
    return f"{said}: {same:,} the same, {other:,} of other content, {new:,} new; {gone:,} gone"


def rows_by_rule(quarantine: pl.DataFrame) -> pl.DataFrame:
    """One row per extract and rule: rows, files, and a sample."""
    return (
        quarantine.group_by("extract", "rule")
        .agg(
            pl.col("rows").sum(),
            files=pl.col("file").n_unique(),
            sample=pl.col("samples").list.first().drop_nulls().first(),
        )
        .sort("extract", "rule")
    )


def only_one_kept(snapshot: Snapshot) -> str:
    return f"Snapshot {snapshot.number} is the only one kept: there is nothing to compare it with."


def quarantined_share(manifest: dict) -> str:
    """Of all rows read, how many were quarantined, and the share at which a build is refused."""
    extracts = manifest["extracts"].values()
    rows, bad = sum(one["rows"] for one in extracts), sum(one["quarantined"] for one in extracts)
    return (
        f"{count(bad)} of {count(rows)} rows read were quarantined: no verdict rests on them. A build is refused "
        f"beyond {percent(manifest['most_quarantined'])} of any one extract."
    )

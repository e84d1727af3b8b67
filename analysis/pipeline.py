"""From an extracts folder to a published snapshot: extract, evidence, verdict, count."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import polars as pl

from analysis.actual import with_actual
from analysis.amendments import amendments
from analysis.causes import with_cause
from analysis.counts import Counts
from analysis.pathways import with_pathway
from analysis.reported import names_of_checks, with_reported
from data import duck
from data import partials as kept
from data.behind import Behind
from data.codes import coded
from data.contracts import contracts
from data.evidence import Evidence, evidence
from data.extracts import InputRefused, Survey, changed, surveyed
from data.intake import Intake
from data.marts import Draft, NoSnapshot, Snapshot, current
from data.merge import OF_DEVICES, Merged, hashes_of, quarantine, unrecognised
from data.partials import Store, Wanted
from data.quarantine import Quarantine
from data.reduction import Progress
from data.touched import Change, change, evidence_name

GRACE_DAYS = 7
MOST_QUARANTINED = 0.01

# Columns of `outcomes` as they are kept in a snapshot: an EUI-64 as an integer, a list as text joined with `; `.
OUTCOMES = (
    "device_key",
    "device_type",
    "csp_region",
    "manufacturer",
    "model",
    "firmware_version",
    "commissioned_at",
    "due_at",
    "supplier_at_commissioning",
    "supplier",
    "changed_supplier_at",
    "network_operator",
    "reported",
    "reported_passed_at",
    "unmet_checks",
    "actual",
    "faults",
    "device_keys",
    "verified_at",
    "finding",
    "cause",
    "causes",
    # Of the snapshot only, no part of what is exported.
    "device_hash",
    "unmet",
    "signature",
    "pathway",
    "pathway_hours",
)
MONTH = pl.col("commissioned_at").dt.strftime("%Y-%m")
FINDINGS = {
    ("failed", "secure"): "over_reported",
    ("failed", "not_secure"): "confirmed_failure",
    ("failed", "unverified"): "unverified_failure",
    ("passed", "secure"): "confirmed_pass",
    ("passed", "not_secure"): "missed_failure",
    ("passed", "unverified"): "unverified_pass",
}


@dataclass(frozen=True)
class Parameters:
    """What a build may be asked for; see `pco build --help`."""

    as_at: datetime | None = None
    grace_days: int = GRACE_DAYS
    most_quarantined: float = MOST_QUARANTINED
    # Go on without files that cannot be read; the snapshot says which.
    quarantine_files: bool = False
    # The greatest share of an extract's rows that may seem to be missing.
    most_missing: float = 1.0


def classify(found: Evidence, as_at: datetime, grace_days: int = GRACE_DAYS) -> pl.DataFrame:
    """One row per Device in scope: the evidence and every verdict, in the order of device_no."""
    devices = with_reported(found.devices, as_at, grace_days)
    devices = with_actual(devices, found.party_cell_reads, found.device_key_reads, found.judged)
    return with_pathway(with_cause(devices)).with_columns(
        finding=finding(),
        unmet_checks=pl.col("unmet").replace_strict(names_of_checks(), return_dtype=pl.String),
        commissioned_month=MONTH,
    )


def finding() -> pl.Expr:
    """Reported and actual put side by side; a Device that is not due has none of the six."""
    chain = pl.when(pl.col("reported") == "not_due").then(pl.lit("not_due"))
    for (reported, actual), name in FINDINGS.items():
        chain = chain.when((pl.col("reported") == reported) & (pl.col("actual") == actual)).then(pl.lit(name))
    return chain


def build(
    extracts: Path,
    marts: Path,
    parameters: Parameters | None = None,
    progress: Progress = lambda stage, done, total: None,
    engine: "Engine | None" = None,
    before_use: Callable[[Path], None] = lambda snapshot: None,
) -> Snapshot:
    """Builds and publishes a snapshot; raises `InputRefused`, leaving the snapshot in use as it was.

    before_use: is told the folder of the whole snapshot; if it raises, that is not published.
    """
    parameters, engine = parameters or Parameters(), engine or Engine()
    build_start = datetime.now(UTC).replace(tzinfo=None)
    found = surveyed(extracts, leave_out_bad=parameters.quarantine_files, most_missing=parameters.most_missing)
    with Draft(marts, before_use) as draft:
        wanted = Wanted(build_start, parameters.as_at)
        reading = draft.work / "reading"
        store = Store(draft.marts / "partials", reading)
        intake = engine.intake(found, store, wanted, reading, progress, parameters.quarantine_files)
        partials = intake.partials()
        with duck.connect(draft.work / "merging") as connection:
            merged = Merged(partials, connection, parameters.as_at, progress)
            conflicts = intake.conflicting_rows(partials, merged.devices_in_conflict)
            bad = quarantine(partials, conflicts)
            _refuse_too_many_bad_rows(found, bad, parameters.most_quarantined)
            since = _since(marts, merged, parameters, draft.work)
            if since and since.touches_nobody():
                _take_judged(draft, merged, since.earlier)
            else:
                _write_counts(draft, engine.judge(draft, merged, parameters, since))
            draft.write("quarantine", bad.frame())
            draft.write("unrecognised", unrecognised(partials, conflicts))
            _write_small_tables(draft, merged, found, since)
        for partial in partials:
            for table in OF_DEVICES:
                for file, rows, sha256 in partial.described(table):
                    draft.take(f"evidence/{table}", file, evidence_name(partial, table, file), rows, sha256)
        manifest = _manifest(extracts, found, intake, merged, bad, parameters, build_start)
        if problems := changed(found):
            raise InputRefused(problems)
        published = draft.publish(manifest)
        intake.keep(partials)
        return published


def _since(marts: Path, merged: Merged, parameters: Parameters, work: Path) -> Change | None:
    """What has changed since the snapshot in use; None where its verdicts do not stand for what is judged now."""
    try:
        earlier = current(marts)
    except NoSnapshot:
        return None
    told = earlier.manifest
    same = (
        told.get("rules") == rules()
        and told["grace_days"] == parameters.grace_days
        and told["buckets"] == merged.buckets
        and datetime.fromisoformat(told["as_at"]) <= merged.as_at
    )
    return change(earlier, merged, work / "earlier") if same else None


def _judge(draft: Draft, merged: Merged, parameters: Parameters, since: Change | None) -> Counts:
    """Writes the outcomes, and counts them. Devices that nothing has touched keep their outcome."""
    counts = Counts(draft.work, since.earlier.files("counts") if since else None)
    # A bucket's outcomes are written while the next ones are judged.
    with Behind() as behind:
        for buckets, found in evidence(merged, since.touched if since else None):
            for bucket, outcomes in outcomes_of(found, buckets, merged, parameters.grace_days, since, counts):
                if outcomes is None:
                    draft.take_from(since.earlier, "outcomes", bucket)
                    continue
                behind.call(draft.write, "outcomes", outcomes, bucket)
                # Not to be held while the next bucket is waited for, nor while the counts are added up.
                del outcomes
            del found
    return counts


def outcomes_of(
    found: Evidence | None, buckets: range, merged: Merged, grace_days: int, since: Change | None, counts: Counts
) -> Iterator[tuple[int, pl.DataFrame | None]]:
    """Of each bucket the outcomes, in the order of device_key, None where no Device is judged anew; adds to counts."""
    if found is None:
        yield from ((bucket, None) for bucket in buckets)
        return
    judged = coded(classify(found, merged.as_at, grace_days).select(*OUTCOMES, "commissioned_month"))
    counts.add(judged)
    judged = judged.select(OUTCOMES)
    if since is None:
        [bucket] = buckets
        yield bucket, judged
        return
    touched = since.touched(buckets)
    for bucket in buckets:
        hashes = hashes_of(range(bucket, bucket + 1), merged.buckets)
        of_bucket = touched.filter(touched.is_between(*hashes))
        anew = judged.filter(pl.col("device_hash").is_between(*hashes))
        yield bucket, None if of_bucket.is_empty() else _with_those_before(anew, of_bucket, bucket, since, counts)


def _with_those_before(
    judged: pl.DataFrame, touched: pl.Series, bucket: int, since: Change, counts: Counts
) -> pl.DataFrame:
    """The outcomes of a bucket: those judged anew, and those from before of all Devices that are not touched."""
    # By one thread: other buckets are gathered meanwhile.
    before = pl.read_parquet(since.earlier.part("outcomes", bucket), glob=False, parallel="none")
    is_touched = before["device_hash"].is_in(touched.implode())
    counts.add(before.filter(is_touched).with_columns(commissioned_month=MONTH), -1)
    # Twice as fast as merging the two in order, and on all cores.
    return pl.concat([before.filter(~is_touched), judged]).sort("device_key")


@dataclass(frozen=True)
class Engine:
    """What does the two parts of a build that take long: reading the extracts, and judging the Devices.

    The rest of a build, and every rule, is the same for all engines. judge: writes the outcomes and counts them.
    """

    intake: Callable[..., Intake] = Intake
    judge: Callable[[Draft, Merged, Parameters, Change | None], Counts] = _judge


@cache
def rules() -> str:
    """A digest of all that decides a verdict; with another one every Device is judged anew."""
    digest = hashlib.sha256(kept.reading().encode())
    for package in ("analysis", "data"):
        for source in sorted(files(package).iterdir(), key=lambda source: source.name):
            if source.name.endswith((".py", ".toml")):
                digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def _take_judged(draft: Draft, merged: Merged, earlier: Snapshot) -> None:
    """Everything that follows from verdicts, as it was."""
    for bucket in range(merged.buckets):
        draft.take_from(earlier, "outcomes", bucket)
    for table in ("counts", "amendments"):
        draft.take_from(earlier, table)


def _write_counts(draft: Draft, counts: Counts) -> None:
    file = draft.part("counts")
    counts.write(file)
    draft.write("amendments", amendments(pl.scan_parquet(file, glob=False)))


def _write_small_tables(draft: Draft, merged: Merged, found: Survey, since: Change | None) -> None:
    draft.write("parties", merged.parties())
    draft.write("cell_contents", merged.cell_contents())
    draft.write("organisation_certificates", merged.organisation_certificates())
    if since and found.files.get("incidents") and not since.came_to("incident_rows"):
        draft.take_from(since.earlier, "incidents")
    elif found.files.get("incidents"):
        draft.write("incidents", merged.incidents())


def _refuse_too_many_bad_rows(found: Survey, bad: Quarantine, most: float) -> None:
    problems = []
    for extract in contracts():
        quarantined, rows = bad.rows.get(extract, 0), found.rows(extract)
        if quarantined > most * rows:
            rules = ", ".join(sorted({rule for name, _, rule in bad.by_rule if name == extract}))
            problems.append(
                f"{extract}: {quarantined:,} of {rows:,} rows break the contract, more than {most:.2%} ({rules})"
            )
    if problems:
        raise InputRefused(problems)


def _manifest(
    extracts: Path,
    found: Survey,
    intake: Intake,
    merged: Merged,
    bad: Quarantine,
    parameters: Parameters,
    build_start: datetime,
) -> dict:
    """What `pco status` and the Data and method page tell of a snapshot."""
    return {
        "as_at": merged.as_at.isoformat(),
        "as_at_is_given": parameters.as_at is not None,
        "buckets": merged.buckets,
        "partials": sorted(partial.key for partial in merged.partials),
        "rules": rules(),
        "grace_days": parameters.grace_days,
        "most_quarantined": parameters.most_quarantined,
        "quarantine_files": parameters.quarantine_files,
        "most_missing": parameters.most_missing,
        "left_out": [list(problem) for problem in found.left_out],
        "warnings": [warned._asdict() for warned in found.warnings],
        "digests_verified": found.digests_verified,
        "build_started_at": build_start.isoformat(),
        "build_finished_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "is_demonstration": (extracts / "DEMONSTRATION.json").is_file(),
        "ignored_in_extracts": found.ignored,
        "extracts": {
            name: {
                "files": [
                    {
                        "name": file.name,
                        "rows": file.rows,
                        "bytes": file.size,
                        "sha256": intake.digests[file.name],
                        "identity": found.lasting_identity(file),
                    }
                    for file in found.files.get(name, [])
                ],
                "rows": found.rows(name),
                "quarantined": bad.rows.get(name, 0),
                "extra_columns": sorted({c for file in found.files.get(name, []) for c in file.extra}),
            }
            for name in contracts()
        },
    }

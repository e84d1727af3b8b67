"""From an extracts folder to a published snapshot: extract, evidence, verdict, count."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import polars.selectors as cs

from analysis.actual import with_actual
from analysis.amendments import amendments
from analysis.causes import with_cause
from analysis.pathways import with_pathway
from analysis.reported import names_of_checks, with_reported
from data.contracts import contracts
from data.evidence import Evidence, evidence
from data.extracts import InputRefused, Survey, digests, survey
from data.marts import Draft, Snapshot
from data.reduction import Progress, Reduction

GRACE_DAYS = 7
MOST_QUARANTINED = 0.01
# Rows of counts held before they are added up.
MOST_COUNTS = 2_000_000

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
# What Devices are counted by: everything that a page groups, filters or computes with.
COUNTED_BY = (
    "commissioned_month",
    "device_type",
    "csp_region",
    "supplier_at_commissioning",
    "supplier",
    "network_operator",
    "manufacturer",
    "model",
    "reported",
    "actual",
    "finding",
    "device_keys",
    "cause",
    "causes",
    "unmet",
    "signature",
)
# What a Device's own page shows beside its outcome.
EVIDENCE_KEPT = ("inventory_rows", "attempts", "dsp_checks", "cell_reads", "spells", "device_certificates")
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


def classify(found: Evidence, as_at: datetime, grace_days: int = GRACE_DAYS) -> pl.DataFrame:
    """One row per Device in scope: the evidence and every verdict, in the order of device_no."""
    devices = with_reported(found.devices, as_at, grace_days)
    devices = with_actual(devices, found.party_cell_reads, found.device_key_reads, found.judged)
    return with_pathway(with_cause(devices)).with_columns(
        finding=finding(),
        unmet_checks=pl.col("unmet").replace_strict(names_of_checks(), return_dtype=pl.String),
        commissioned_month=pl.col("commissioned_at").dt.strftime("%Y-%m"),
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
) -> Snapshot:
    """Builds and publishes a snapshot; raises `InputRefused`, leaving the snapshot in use as it was."""
    parameters = parameters or Parameters()
    build_start = datetime.now(UTC).replace(tzinfo=None)
    found = survey(extracts)
    with Draft(marts) as draft:
        reduction = Reduction(found, draft.work / "reduced", build_start, parameters.as_at, progress=progress)
        try:
            reduction.read()
            _refuse_too_many_bad_rows(found, reduction, parameters.most_quarantined)
            counts = Counts()
            for number, bucket in enumerate(evidence(reduction)):
                outcomes = classify(bucket, reduction.as_at, parameters.grace_days)
                counts.add(outcomes)
                draft.write("outcomes", outcomes.select(OUTCOMES), number)
            _write_small_tables(draft, reduction, counts.frame())
            draft.keep_evidence(reduction.work, EVIDENCE_KEPT)
            manifest = _manifest(extracts, found, reduction, parameters, build_start)
        finally:
            reduction.close()
        return draft.publish(manifest)


class Counts:
    """Devices counted by `COUNTED_BY`, a bucket at a time; the same buckets give the same rows in the same order."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, outcomes: pl.DataFrame) -> None:
        # Codes in place of texts group three times as fast.
        coded = outcomes.select(pl.col(COUNTED_BY)).with_columns(cs.string().cast(pl.Categorical))
        self._parts.append(coded.group_by(COUNTED_BY, maintain_order=True).agg(devices=pl.len().cast(pl.Int64)))
        if sum(part.height for part in self._parts) > MOST_COUNTS:
            self._merge()

    def frame(self) -> pl.DataFrame:
        self._merge()
        return self._parts[0].with_columns(cs.categorical().cast(pl.String))

    def _merge(self) -> None:
        merged = pl.concat(self._parts).group_by(COUNTED_BY, maintain_order=True).agg(pl.col("devices").sum())
        self._parts = [merged]


def _write_small_tables(draft: Draft, reduction: Reduction, counts: pl.DataFrame) -> None:
    draft.write("counts", counts)
    draft.write("amendments", amendments(counts))
    draft.write("quarantine", reduction.quarantine.frame())
    draft.write("unrecognised", reduction.unrecognised.frame())
    draft.write("parties", reduction.parties())
    draft.write("cell_contents", reduction.cell_contents())
    draft.write("organisation_certificates", reduction.organisation_certificates())
    if reduction.survey.files.get("incidents"):
        draft.write("incidents", reduction.incidents())


def _refuse_too_many_bad_rows(found: Survey, reduction: Reduction, most: float) -> None:
    problems = []
    for extract, bad in reduction.quarantine.rows.items():
        rows = found.rows(extract)
        if bad > most * rows:
            rules = ", ".join(sorted({rule for name, _, rule in reduction.quarantine.by_rule if name == extract}))
            problems.append(f"{extract}: {bad:,} of {rows:,} rows break the contract, more than {most:.2%} ({rules})")
    if problems:
        raise InputRefused(problems)


def _manifest(
    extracts: Path, found: Survey, reduction: Reduction, parameters: Parameters, build_start: datetime
) -> dict:
    """What `pco status` and the Data and method page tell of a snapshot."""
    sha256 = digests(found)
    return {
        "as_at": reduction.as_at.isoformat(),
        "as_at_is_given": parameters.as_at is not None,
        "buckets": reduction.buckets,
        "grace_days": parameters.grace_days,
        "most_quarantined": parameters.most_quarantined,
        "build_started_at": build_start.isoformat(),
        "build_finished_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "is_demonstration": (extracts / "DEMONSTRATION.json").is_file(),
        "ignored_in_extracts": found.ignored,
        "extracts": {
            name: {
                "files": [
                    {"name": file.name, "rows": file.rows, "bytes": file.size, "sha256": sha256[file.name]}
                    for file in found.files.get(name, [])
                ],
                "rows": found.rows(name),
                "quarantined": reduction.quarantine.rows.get(name, 0),
                "extra_columns": sorted({c for file in found.files.get(name, []) for c in file.extra}),
            }
            for name in contracts()
        },
    }

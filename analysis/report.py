"""What a report says: sections of sentences, tables and figures, without any format.

A report speaks of the Devices commissioned in one month, and of the months before it as the trend, as the snapshot
knows them. What is due, secure or amended is told by the same functions as on the pages.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata

import polars as pl

from analysis.amendments import AMENDMENTS
from data.marts import Snapshot

SSC, PANEL, DCC_USER, CSP, INDUSTRY = AUDIENCES = ("ssc", "panel", "dcc-user", "csp", "industry")
NAMES = {
    SSC: "Security Sub-Committee",
    PANEL: "SEC Panel",
    DCC_USER: "DCC User",
    CSP: "Communications Service Provider",
    INDUSTRY: "Industry Parties",
}
# Readers who are not the parties: only numbers that the disclosure policy lets through.
AGGREGATED = (PANEL, INDUSTRY)
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
# Months before the report's that the trend shows.
MONTHS_BEFORE = 12
# Rows that a document shows of a long list; the files of data hold all.
MOST_ROWS = 200
# EUI-64s of Devices without an outcome have no region.
NO_REGION = "Unknown"
# Stands where a table has nothing to say.
NONE = "\u2013"


class WrongReport(Exception):
    """The report cannot be made of these arguments; the message names the one at fault."""


@dataclass(frozen=True)
class Asked:
    """What a report is asked for; amendments in any order."""

    audience: str
    month: str
    party: str | None = None
    region: str | None = None
    accepted: tuple[str, ...] = AMENDMENTS
    evidence: bool = True


@dataclass(frozen=True)
class Table:
    """`frame` holds every row; documents show the first MOST_ROWS. `missing` stands where a number is null."""

    name: str
    title: str
    frame: pl.DataFrame
    how: str = ""
    missing: str = "no rate"


@dataclass(frozen=True)
class Figure:
    """A picture of a table: `kind` names the chart; where none can be drawn, the table stands for it."""

    name: str
    kind: str
    title: str
    frame: pl.DataFrame


@dataclass(frozen=True)
class Section:
    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Report:
    """facts: name -> what stands on every page, in order. stem: the name of its files without an ending."""

    asked: Asked
    title: str
    facts: dict[str, str]
    sections: tuple[Section, ...]
    stem: str
    is_demonstration: bool = False

    def tables(self) -> list[Table]:
        return [table for section in self.sections for table in section.tables]

    def figures(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures]


@dataclass(frozen=True)
class Source:
    """What reports are made of, read once for many: the snapshot, its counts, and its parties.

    names: party id -> name. users: ids of the DCC Users of which some Device is in scope, as present Supplier or
    network operator.
    """

    snapshot: Snapshot
    counts: pl.DataFrame
    names: dict[str, str]
    users: tuple[str, ...]
    cached: dict = field(default_factory=dict, compare=False)

    @property
    def as_at(self) -> datetime:
        return datetime.fromisoformat(self.snapshot.manifest["as_at"])

    def months(self) -> list[str]:
        return sorted(self.counts["commissioned_month"].unique())

    def regions(self) -> list[str]:
        """The CSP regions that a report can be asked for."""
        return sorted(set(self.counts["csp_region"].unique()) - {NO_REGION})


def source(snapshot: Snapshot, counts: pl.DataFrame | None = None) -> Source:
    """What the snapshot's reports are made of; `counts` where they have been read already."""
    counts, parties = snapshot.frame("counts") if counts is None else counts, snapshot.frame("parties")
    named = parties.group_by("party_id").agg(name=pl.col("party_name").min())
    shared = pl.col("name").is_duplicated()
    name = pl.when(shared).then(pl.format("{} ({})", "name", "party_id")).otherwise("name")
    is_user = pl.col("role").is_in(["Supplier", "NetworkOperator"]) & pl.col("is_dcc_user")
    present = {*counts["supplier"].unique(), *counts["network_operator"].unique()}
    users = sorted(set(parties.filter(is_user)["party_id"]) & present)
    return Source(snapshot, counts, dict(named.select("party_id", name).rows()), tuple(users))


def checksum(snapshot: Snapshot) -> str:
    """SHA-256 over the digests and names of the snapshot's files, a line each, as `sha256sum` writes them."""
    lines = "".join(f"{file['sha256']}  {file['name']}\n" for file in snapshot.manifest["files"])
    return hashlib.sha256(lines.encode()).hexdigest()


def version() -> str:
    return metadata.version("post-commissioning-outcomes")


def refuse_wrong(asked: Asked, given: Source) -> None:
    """Raises `WrongReport` for arguments that do not go together, or of which the snapshot knows nothing."""
    if asked.audience not in AUDIENCES:
        raise WrongReport(f"--audience {asked.audience}: no such audience; there are {', '.join(AUDIENCES)}")
    refuse_wrong_month(asked.month, given)
    _refuse_wrong_party(asked, given)
    _refuse_wrong_region(asked, given)
    for name in asked.accepted:
        if name not in AMENDMENTS:
            raise WrongReport(f"--accept {name}: no such amendment; there are {', '.join(AMENDMENTS)}")


def refuse_wrong_month(month: str, given: Source) -> None:
    months = given.months()
    if not MONTH.fullmatch(month):
        raise WrongReport(f"--month {month}: a month is written YYYY-MM")
    if month not in months:
        span = f"the snapshot has Devices commissioned from {months[0]} to {months[-1]}" if months else "there is none"
        raise WrongReport(f"--month {month}: no Device in scope was commissioned then; {span}")


def _refuse_wrong_party(asked: Asked, given: Source) -> None:
    if asked.audience == DCC_USER:
        if asked.party is None:
            raise WrongReport("--party: a report for a DCC User needs one")
        if asked.party not in given.users:
            raise WrongReport(
                f"--party {asked.party}: no DCC User of this id is Supplier or network operator of a Device in scope"
            )
    elif asked.party is not None:
        raise WrongReport(f"--party {asked.party}: goes with --audience {DCC_USER} only, not with {asked.audience}")


def _refuse_wrong_region(asked: Asked, given: Source) -> None:
    if asked.audience in AGGREGATED and asked.region is not None:
        raise WrongReport(
            f"--region {asked.region}: not for {asked.audience}; reports of parts of the estate beside one of the "
            "whole would give away the small numbers that are left out. The panel's report has a table by region, and "
            "ssc takes a region"
        )
    if asked.audience == CSP and asked.region is None:
        raise WrongReport("--region: a report for a CSP needs one")
    if asked.region is not None and asked.region not in given.regions():
        raise WrongReport(
            f"--region {asked.region}: no Device in scope is there; there are {', '.join(given.regions())}"
        )


def all_asked(month: str, given: Source, accepted: tuple[str, ...] = AMENDMENTS, evidence: bool = True) -> list[Asked]:
    """Every report of a month: the SSC, the Panel, the industry, each CSP region, each DCC User."""
    refuse_wrong_month(month, given)
    rest = {"accepted": accepted, "evidence": evidence}
    found = [Asked(audience, month, **rest) for audience in (SSC, PANEL, INDUSTRY)]
    found += [Asked(CSP, month, region=region, **rest) for region in given.regions()]
    return found + [Asked(DCC_USER, month, party=party, **rest) for party in given.users]


def report(asked: Asked, given: Source) -> Report:
    """The report asked for; raises `WrongReport`."""
    from analysis import report_parts

    refuse_wrong(asked, given)
    sections = report_parts.sections(asked, given)
    demonstration = given.snapshot.manifest["is_demonstration"]
    return Report(asked, _title(asked, given), _facts(asked, given), sections, stem(asked), demonstration)


def stem(asked: Asked) -> str:
    """Of file names; an id that no file name can hold is told by its digest."""
    whom = asked.party or asked.region
    parts = [asked.month, asked.audience, *([_safe(asked.party)] if asked.party else [])]
    parts += [_safe(asked.region)] if whom and asked.region else []
    in_order = tuple(name for name in AMENDMENTS if name in asked.accepted)
    if (in_order, asked.evidence) != (AMENDMENTS, True):
        parts.append("set-" + hashlib.sha256(repr((in_order, asked.evidence)).encode()).hexdigest()[:8])
    return "-".join(parts)


def _safe(text: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9]+", "_", text)[:40]
    return kept if kept == text else f"{kept}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _title(asked: Asked, given: Source) -> str:
    whom = f" {given.names.get(asked.party, asked.party)}" if asked.party else ""
    region = f" of region {asked.region}" if asked.audience == CSP else ""
    return f"Post Commissioning outcomes of {month_name(asked.month)}, for the {NAMES[asked.audience]}{whom}{region}"


def month_name(month: str) -> str:
    """`2021-08` as August 2021."""
    return f"{datetime.strptime(month, '%Y-%m'):%B %Y}"


def moment(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%-d %B %Y, %H:%M} UTC"


def _facts(asked: Asked, given: Source) -> dict[str, str]:
    filters = [f"commissioned in {month_name(asked.month)}, months before as trend"]
    if asked.party:
        name = given.names.get(asked.party, asked.party)
        filters.append(f"present Supplier or network operator is {name} ({asked.party})")
    if asked.audience == CSP:
        filters.append("CHFs only")
    if asked.region:
        filters.append(f"CSP region {asked.region}")
    manifest = given.snapshot.manifest
    return {
        "Filters": "; ".join(filters),
        "As at": moment(manifest["as_at"]),
        "Grace period": f"{manifest['grace_days']} days",
        "Snapshot": f"{given.snapshot.number}, SHA-256 {checksum(given.snapshot)}",
        "Version": version(),
    }

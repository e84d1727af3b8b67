"""All that is wrong with an extracts folder, found without building: files, digests, months, rows."""

import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from data import duck
from data.contracts import contracts
from data.extracts import InputRefused, Survey, surveyed
from data.intake import Intake
from data.merge import Merged, quarantine, unrecognised
from data.partials import Store, Wanted
from data.set_rules import Warned, too_much_missing


@dataclass
class Checked:
    """problems: lines, each of which refuses a build. quarantine: {extract, file, rule, rows} each.

    extracts: name -> {files, rows, quarantined}, of the good files. digests_verified: None if none could be tried.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    extracts: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantine: list[dict] = field(default_factory=list)
    unrecognised: list[dict] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    digests_verified: bool | None = None

    @property
    def is_good(self) -> bool:
        return not self.problems

    def plain(self) -> dict:
        warnings = [warned._asdict() for warned in self.warnings]
        return {"good": self.is_good, **asdict(self), "warnings": warnings}


def checked(extracts: Path, most_quarantined: float, most_missing: float = 1.0) -> Checked:
    """What is wrong with the extracts; the rows are reduced in a folder of its own, which is removed."""
    told = Checked()
    work = Path(tempfile.mkdtemp(prefix="pco-check-"))
    try:
        _check(extracts, most_quarantined, most_missing, work, told)
    except InputRefused as refused:
        told.problems += [line for line in refused.problems if line not in told.problems]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return told


def _check(extracts: Path, most_quarantined: float, most_missing: float, work: Path, told: Checked) -> None:
    found = surveyed(extracts, leave_out_bad=True)
    told.ignored = found.ignored
    told.problems += [problem.line for problem in found.left_out]
    rows = _rows(found, work, told)
    told.digests_verified = found.digests_verified
    told.problems += too_much_missing(found.files, most_missing)
    told.warnings = found.warnings
    told.quarantine, told.unrecognised = rows["quarantine"], rows["unrecognised"]
    for name in contracts():
        files, bad = found.files.get(name, []), rows["quarantined"].get(name, 0)
        told.extracts[name] = {"files": len(files), "rows": found.rows(name), "quarantined": bad}
        if bad > most_quarantined * found.rows(name):
            rules = ", ".join(sorted({row["rule"] for row in rows["quarantine"] if row["extract"] == name}))
            share = f"{bad:,} of {found.rows(name):,} rows break the contract, more than {most_quarantined:.2%}"
            told.problems.append(f"{name}: {share} ({rules})")


def _rows(found: Survey, work: Path, told: Checked) -> dict:
    """The bad rows by rule and the unknown codes; files that cannot be read are added to the problems."""
    now = datetime.now(UTC).replace(tzinfo=None)
    before = set(found.left_out)
    intake = Intake(found, Store(work / "partials", work / "rows"), Wanted(now), work / "rows", leave_out_bad=True)
    partials = intake.partials()
    told.problems += [problem.line for problem in found.left_out if problem not in before]
    with duck.connect(work / "merging") as connection:
        merged = Merged(partials, connection, as_at=now)
        conflicts = intake.conflicting_rows(partials, merged.devices_in_conflict)
        bad = quarantine(partials, conflicts)
    return {
        "quarantined": bad.rows,
        "quarantine": bad.frame().drop("samples").to_dicts(),
        "unrecognised": unrecognised(partials, conflicts).to_dicts(),
    }

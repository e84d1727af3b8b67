"""The road that each headline number takes: extract files, SQL, rules, columns, number.

A test holds the roads against the code: every extract, SQL file, function and reference file that is named is there,
and every SELECT of a build is on some road.
"""

import importlib
import inspect
from dataclasses import dataclass

from data import duck


@dataclass(frozen=True)
class Stage:
    """What a verdict is made of; names as in `data/contracts.toml`, `data/sql/`, Python and `data/reference/`."""

    extracts: tuple[str, ...] = ()
    sql: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __add__(self, other: "Stage") -> "Stage":
        """Both, each thing once."""
        return Stage(*(tuple(dict.fromkeys(a + b)) for a, b in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[tuple[str, ...], ...]:
        return self.extracts, self.sql, self.rules, self.references, self.columns


CHECKED = Stage(
    extracts=("devices",),
    sql=("bad_rows", "rows_of_conflicting_devices", "inventory_rows", "keyed"),
    rules=("data.merge.one_row_a_device", "data.evidence.in_scope", "data.evidence.evidence"),
    references=("vocabulary", "out_of_scope_statuses"),
)
REPORTED = CHECKED + Stage(
    extracts=("service_responses", "dsp_checks"),
    sql=("attempts", "dsp_checks"),
    rules=("analysis.reported.with_reported", "analysis.reported.required_checks"),
    references=("checks", "response_codes"),
    columns=("reported",),
)
ACTUAL = CHECKED + Stage(
    extracts=("service_responses", "registrations", "credential_reads", "certificates", "parties"),
    sql=(
        "attempts",
        "spells",
        "cell_reads",
        "cell_contents",
        "device_certificates",
        "organisation_certificates",
        "party_euis",
        "known_parties",
        "judged_contents",
        "holders",
    ),
    rules=("data.suppliers.with_suppliers", "analysis.actual.verdict_of_read", "analysis.actual.with_actual"),
    references=("cells", "other_steps", "response_codes"),
    columns=("actual", "device_keys"),
)
SHARES = Stage(rules=("analysis.rates.rates",))
FINDING = Stage(rules=("analysis.pipeline.finding",), columns=("finding",))

# Column of `analysis.rates.rates` -> its road, and how it is made of the columns.
NUMBERS: dict[str, tuple[Stage, str]] = {
    "reported_failures": (REPORTED + SHARES, "Devices with reported = failed"),
    "reported_failure_rate": (
        REPORTED + SHARES,
        "Devices with reported = failed, of those with reported = failed or passed (the Devices due)",
    ),
    "actual_failure_rate": (
        REPORTED + ACTUAL + SHARES,
        "Apart for reported passed and failed: Devices with actual = not_secure of those secure or not_secure; the two "
        "shares weighted by their Devices due",
    ),
    "over_reported": (REPORTED + ACTUAL + FINDING + SHARES, "Devices with reported = failed and actual = secure"),
    "missed_failures": (REPORTED + ACTUAL + FINDING + SHARES, "Devices with reported = passed and actual = not_secure"),
    "verified_share": (
        REPORTED + ACTUAL + SHARES,
        "Devices due with actual = secure or not_secure, of the Devices due",
    ),
    "device_keys_read_share": (
        REPORTED + ACTUAL + SHARES,
        "Devices due with device_keys = in_use or not_in_use, of the Devices due",
    ),
}


def sql_text(name: str) -> str:
    """The SELECT as the build runs it."""
    return duck.sql(name)


def rule_text(name: str) -> str:
    """The source of a function, by its dotted name."""
    module, function = name.rsplit(".", 1)
    return inspect.getsource(getattr(importlib.import_module(module), function))


def says(text: str) -> str:
    """The first line of a SELECT's comment or of a function's docstring, in one line."""
    if text.startswith("--"):
        lines = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")]
        first = " ".join(lines)
    else:
        first = " ".join(text.split('"""')[1].split())
    return first.split(". ")[0].rstrip(".") + "."

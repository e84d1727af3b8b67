"""`pco business-case`: the workbook or the document of the business case, without the dashboard."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis import case_volumes
from analysis.amendments import AMENDMENTS
from analysis.assumptions import Assumptions, WrongAssumptions, defaults, read_scenarios
from analysis.business_case import Case
from analysis.business_case import case as case_of
from analysis.selection import PARTY_ROLES, Selection, select
from dashboard import words, words_business_case
from dashboard.access_settings import WrongAccess, classification, read_settings
from dashboard.cli_paths import Marts
from data.extracts import InputRefused
from data.marts import Snapshot, current
from data.scopes import scope_in_words

ENDINGS = (".xlsx", ".docx")
ALL = Selection()


def business_case(
    marts: Marts,
    to: Annotated[Path, typer.Option(help="File to write: a workbook (.xlsx) or a document (.docx).")],
    assumptions: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV with columns driver, low, central, high; a driver that it does not name keeps its default.",
        ),
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="Which scenario of that file, if it holds several.")] = None,
    amendments: Annotated[
        str | None, typer.Option(help=f"Comma-separated, all by default: {', '.join(AMENDMENTS)}.")
    ] = None,
    evidence: Annotated[bool, typer.Option(help="Whether certificate evidence is asked for.")] = True,
    device_type: Annotated[str | None, typer.Option(help="Only Devices of these types, comma-separated.")] = None,
    region: Annotated[str | None, typer.Option(help="Only Devices of these CSP regions, comma-separated.")] = None,
    party: Annotated[str | None, typer.Option(help="Only Devices of these parties: ids, comma-separated.")] = None,
    party_role: Annotated[
        str, typer.Option(help=f"What --party is to a Device: {', '.join(PARTY_ROLES)}.")
    ] = PARTY_ROLES[0],
) -> None:
    """Writes the business case of a set of amendments as a workbook with live formulas or as a Word document.

    Of all Devices, or of those that the options leave. No unit cost is known: every pound comes from assumptions to be
    confirmed.
    """
    if to.suffix.lower() not in ENDINGS:
        raise typer.BadParameter(f"{to.name}: the file must end in .xlsx or .docx", param_hint="--to")
    chosen = _chosen(amendments)
    snapshot = current(marts)
    selection = _selection(snapshot, device_type, region, party, party_role)
    found = case_of_snapshot(snapshot, chosen, evidence, _assumptions(assumptions, scenario), selection)
    content = _content(found, to.suffix.lower(), _about(snapshot, selection))
    # Beside it first: an older file stays whole if the disk is full.
    part = to.with_name(f".{to.name}.part")
    try:
        part.write_bytes(content)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    print(
        f"{words_business_case.headline(found)}: {words_business_case.set_in_words(found)}. It is in {to}", flush=True
    )


def case_of_snapshot(
    snapshot: Snapshot, chosen: tuple[str, ...], evidence: bool, given: Assumptions, selection: Selection = ALL
) -> Case:
    """The case of the selected Devices; raises `InputRefused` when there is none, or no month is wholly due."""
    whole = snapshot.frame("counts")
    counts = select(whole, selection)
    as_at = datetime.fromisoformat(snapshot.manifest["as_at"])
    first = whole["commissioned_month"].min()
    grace_days = snapshot.manifest["grace_days"]
    months = case_volumes.window(as_at, grace_days, first, selection) if first else None
    if months is None or not case_volumes.due(case_volumes.of_window(counts, months)):
        raise InputRefused([words_business_case.NO_MONTH])
    categories = case_volumes.party_types(snapshot.frame("parties"))
    return case_of(counts, months, categories, chosen, evidence, given)


def _chosen(names: str | None) -> tuple[str, ...]:
    if names is None:
        return AMENDMENTS
    given = [name.strip() for name in names.split(",") if name.strip()]
    for name in given:
        if name not in AMENDMENTS:
            known = ", ".join(AMENDMENTS)
            raise typer.BadParameter(f"there is no amendment {name!r}; there are {known}", param_hint="--amendments")
    return tuple(name for name in AMENDMENTS if name in given)


def _assumptions(file: Path | None, scenario: str | None) -> Assumptions:
    if file is None:
        if scenario is not None:
            raise typer.BadParameter("a scenario is of a file: give --assumptions too", param_hint="--scenario")
        return defaults()
    try:
        found = read_scenarios(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputRefused([f"{file.name}: the file is no text (UTF-8)"]) from error
    except WrongAssumptions as error:
        raise InputRefused([f"{file.name}: {problem}" for problem in error.problems]) from error
    if scenario is None and len(found) > 1:
        raise typer.BadParameter(f"{file.name} holds {', '.join(found)}: which of them?", param_hint="--scenario")
    if scenario is not None and scenario not in found:
        raise typer.BadParameter(
            f"{file.name} has no {scenario!r}; it holds {', '.join(found)}", param_hint="--scenario"
        )
    return found[scenario] if scenario is not None else next(iter(found.values()))


def _selection(
    snapshot: Snapshot, device_type: str | None, region: str | None, party: str | None, party_role: str
) -> Selection:
    """Refuses, by its name, what no Device of the snapshot has."""
    if party_role not in PARTY_ROLES:
        known = ", ".join(PARTY_ROLES)
        raise typer.BadParameter(f"there is no role {party_role!r}; there are {known}", param_hint="--party-role")
    counts = snapshot.frame("counts")

    def among(column: str, text: str | None, option: str) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))
        if text is not None and not named:
            raise typer.BadParameter("names nothing", param_hint=option)
        there = sorted(set(counts[column].unique().drop_nulls()))
        for name in named:
            if name not in there:
                raise typer.BadParameter(f"no Device has {name!r}; there are {', '.join(there)}", param_hint=option)
        return named

    return Selection(
        device_types=among("device_type", device_type, "--device-type"),
        regions=among("csp_region", region, "--region"),
        party_role=party_role,
        parties=among(party_role, party, "--party"),
    )


def _classification() -> str:
    """Of the access configuration, if there is one, as in the dashboard."""
    file = os.environ.get("PCO_ACCESS")
    try:
        return classification(read_settings(Path(file)) if file else None)
    except WrongAccess as error:
        raise typer.BadParameter(str(error)) from error


def _names(snapshot: Snapshot) -> dict[str, str]:
    return dict(snapshot.frame("parties").select("party_id", "party_name").rows())


def _about(snapshot: Snapshot, selection: Selection = ALL) -> dict[str, str]:
    facts = {
        "classification": _classification(),
        "scope": scope_in_words(snapshot),
        "title": "Business case",
        "filters": words_business_case.filters(selection, _names(snapshot)),
        "as_at": words.moment(snapshot.manifest["as_at"]),
        "file_made": words.moment(datetime.now(UTC).isoformat()),
    }
    if snapshot.manifest["is_demonstration"]:
        facts["estate"] = "Demonstration estate: every Device and party is made up."
    return words_business_case.of_snapshot(facts, snapshot)


def _content(found: Case, ending: str, about: dict[str, str]) -> bytes:
    # Both take a while to import, which no other command should wait for.
    if ending == ".docx":
        from dashboard.case_document import document

        return document(found, about)
    from dashboard.workbook import workbook

    return workbook(found, about)

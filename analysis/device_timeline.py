"""All that is known to have happened to one Device, on one axis of time, a lane for each check and cell."""

from datetime import datetime, time

import polars as pl

from analysis.actual import DEVICE_KEYS, PARTY_CELLS
from analysis.device import COUNTS, Device
from data import reference

SCHEMA = {
    "lane": pl.String,
    "kind": pl.String,
    "began_at": pl.Datetime("us"),
    "at": pl.Datetime("us"),
    "what": pl.String,
}
KIND_OF_VERDICT = {"right": "right", "in_use": "right", "not_judged": "unjudged"}
DSP_LANES = {"communicating": "DSP: communicates", "recovery_cell": "DSP: Recovery cell"}
SHORT = {
    "DigitalSigning": "signing",
    "Digital Signature": "signing",
    "KeyAgreement": "key agreement",
    "Key Agreement": "key agreement",
    "NetworkOperator": "Operator",
    "Device": "Own key",
}
SUPPLIER, INCIDENTS = "Registered Supplier", "Incidents"


def lanes(device: Device) -> list[str]:
    """The lanes from the top: checks, other Requests that were sent, Supplier, required cells, keys, Incidents.

    A lane without anything in it stays where something was to happen: that nothing did is what matters.
    """
    required = [row["check"] for row in device.checks.to_dicts()]
    sent = set(device.attempts["step_no"])
    checks = [STEP_LANES[int(row["check_no"])] for row in reference.checks() if row["check"] in required]
    others = [STEP_LANES[number] for number in sorted(sent) if STEP_LANES[number] not in checks]
    reads = set(device.reads["cell"])
    cells = [cell for cell in PARTY_CELLS if cell.name in reads or cell.name in device.cells["cell"]]
    kept = [*checks, *others, SUPPLIER, *(_cell_lane(cell.name) for cell in (*cells, *DEVICE_KEYS))]
    return kept + ([INCIDENTS] if device.history.incidents.height else [])


def events(device: Device) -> pl.DataFrame:
    """One row per thing that happened: lane, kind, began_at and at (UTC), what (in words), in the order of the lanes.

    An attempt begins when it was sent and is at its Response; a spell begins when it does and is at its end (null
    while it lasts); anything else has no began_at.
    """
    rows = [*_attempts(device), *_dsp_checks(device), *_spells(device), *_reads(device), *_incidents(device)]
    places = {lane: place for place, lane in enumerate(lanes(device))}
    return pl.DataFrame(rows, SCHEMA, orient="row").sort(
        pl.col("lane").replace_strict(places, return_dtype=pl.Int64), pl.coalesce("began_at", "at"), maintain_order=True
    )


def _step_lanes() -> dict[int, str]:
    checks = {int(row["check_no"]): row for row in reference.checks()}
    others = {int(row["step_no"]): row for row in reference.table("other_steps")}
    names = {
        number: DSP_LANES.get(row.get("check")) or f"{row['srv']} {SHORT.get(row['qualifier'], row['qualifier'])}"
        for number, row in (checks | others).items()
    }
    # One step, three Requests: the table of other steps names them.
    return names | {
        int(row["step_no"]): "Supplier's update" for row in others.values() if row["step"] == "supplier_update"
    }


STEP_LANES = _step_lanes()


def _cell_lane(cell: str) -> str:
    role, usage = cell.split("/")
    return f"{SHORT.get(role, role)}: {SHORT[usage]}"


def _attempts(device: Device) -> list[tuple]:
    return [
        (STEP_LANES[row["step_no"]], row["outcome"], row["sent_at"], row["counted_at"], _response(row))
        for row in device.attempts.to_dicts()
    ]


def _response(row: dict) -> str:
    told = [part for part in (row["response_code"], row["execution_status"]) if part]
    return ", ".join(told) or "no response code"


def _dsp_checks(device: Device) -> list[tuple]:
    rows = device.history.dsp_checks.select("checked_at", "step_no", "passed").rows()
    kinds = {True: ("passed", "passed"), False: ("not_passed", "not passed")}
    return [(STEP_LANES[number], kinds[passed][0], None, at, kinds[passed][1]) for at, number, passed in rows]


def _spells(device: Device) -> list[tuple]:
    spells = [
        (SUPPLIER, "spell", _midnight(row["effective_from"]), _midnight(row["effective_to"]), row["supplier"])
        for row in device.spells.to_dicts()
    ]
    days = sorted({day for day in (device.outcome["changed_supplier_at"], device.changed_on) if day is not None})
    return spells + [(SUPPLIER, "change", None, _midnight(day), "change of Supplier") for day in days]


def _midnight(day) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min)


def _reads(device: Device) -> list[tuple]:
    return [
        (
            _cell_lane(row["cell"]),
            KIND_OF_VERDICT.get(row["verdict"], "fault") if row["stands"] == COUNTS else "aside",
            None,
            row["read_at"],
            _found(row),
        )
        for row in device.reads.to_dicts()
    ]


def _found(row: dict) -> str:
    stands = row["verdict"].replace("_", " ") if row["stands"] == COUNTS else row["stands"]
    found = row["belongs_to"] or "nobody" if row["status_code"] == "success" else row["status_code"]
    return f"{stands}: {found}"


def _incidents(device: Device) -> list[tuple]:
    return [
        (INCIDENTS, "incident", None, row["raised_at"], f"{row['incident_id']} raised{_closed(row)}")
        for row in device.history.incidents.to_dicts()
    ]


def _closed(row: dict) -> str:
    if row["closed_at"] is None:
        return ", open"
    return f", closed {row['closed_at']:%-d %b %Y}" + (f": {row['resolution']}" if row["resolution"] else "")

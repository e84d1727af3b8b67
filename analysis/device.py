"""One Device in full: each check, each cell and each key of its own with its verdict, and what it rests on.

Verdicts come from the build's own rule, run once more on the rows kept of the Device.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time

import polars as pl

from analysis.actual import DEVICE_KEYS, PARTY_CELLS, VERDICTS, Cell, verdicts_of_reads
from analysis.causes import causes
from analysis.pipeline import OUTCOMES, classify
from analysis.reported import check_bit
from data import duck, reference
from data.history import History
from data.reduction import duis_form

SEPARATORS = re.compile(r"[\s:._\u2010-\u2015\u2212-]")
EUI_DIGITS = 16
FEWEST_DIGITS = 4
CLAUSE = "SEC Appendix AC section 5"
# How a read of a cell stands to the cell's verdict.
COUNTS, STALE, SUPERSEDED, NOT_REQUIRED = "counts", "stale", "superseded", "not required"


@dataclass(frozen=True)
class Asked:
    """What was typed into the search: hex digits in upper case, or nothing of the kind."""

    digits: str
    is_hex: bool

    @property
    def key(self) -> int | None:
        """The EUI-64, where it is whole."""
        return int(self.digits, 16) if self.is_hex and len(self.digits) == EUI_DIGITS else None

    @property
    def is_part(self) -> bool:
        return self.is_hex and FEWEST_DIGITS <= len(self.digits) < EUI_DIGITS


def asked_for(text: str) -> Asked:
    """An EUI-64 or a part of it, in any case, with or without hyphens, colons or spaces."""
    digits = SEPARATORS.sub("", text).upper()
    return Asked(digits, re.fullmatch("[0-9A-F]+", digits) is not None)


@dataclass(frozen=True)
class Device:
    """A Device in scope; all times are UTC.

    outcome: its row as the snapshot has it. differs: column -> its value made anew from the kept rows, where it is
    another; what follows is made anew. changed_on: day of the last change of Supplier. checks: a row per
    check of its type. cells: a row per required cell. keys: a row per key of its own. attempts, dsp_checks, reads,
    spells: a row per row kept, in words.
    """

    history: History
    eui: str
    outcome: dict
    differs: dict[str, object]
    changed_on: date | None
    checks: pl.DataFrame
    cells: pl.DataFrame
    keys: pl.DataFrame
    attempts: pl.DataFrame
    dsp_checks: pl.DataFrame
    reads: pl.DataFrame
    spells: pl.DataFrame


def device(history: History) -> Device:
    """The Device in scope whose rows these are."""
    anew = classify(history.evidence, history.as_at, history.grace_days).row(0, named=True)
    attempts = _attempts(history)
    reads = _reads(history, anew)
    return Device(
        history=history,
        eui=duis_form(history.key),
        outcome=history.outcome,
        # A snapshot of an earlier version may lack a column.
        differs={n: anew[n] for n in OUTCOMES if n in history.outcome and anew[n] != history.outcome[n]},
        changed_on=anew["last_change_of_supplier"],
        checks=_checks(history, anew, attempts),
        cells=pl.DataFrame([_cell(history, anew, reads, cell) for cell in _required(anew)], CELL_COLUMNS),
        keys=pl.DataFrame([_cell(history, anew, reads, key) for key in DEVICE_KEYS], CELL_COLUMNS),
        attempts=attempts,
        dsp_checks=history.dsp_checks.select(
            "checked_at", "passed", check=pl.col("step_no").replace_strict(STEPS, return_dtype=pl.String)
        ),
        reads=reads,
        spells=history.spells.with_columns(
            supplier=pl.col("supplier_id").replace(party_names(history)),
        ).select("supplier_id", "supplier", "effective_from", "effective_to"),
    )


# --- steps --------------------------------------------------------------------------------------------------


def _steps() -> dict[int, str]:
    """Number of a check or another step -> the Requests that make it, or the DSP's check, as a sentence has it."""
    rows: dict[int, list[dict[str, str]]] = {int(row["check_no"]): [row] for row in reference.checks()}
    for row in reference.table("other_steps"):
        rows.setdefault(int(row["step_no"]), []).append(row)
    return {number: _step_name(of_step) for number, of_step in rows.items()}


def _step_name(rows: list[dict[str, str]]) -> str:
    srvs = [row["srv"] for row in rows]
    if not srvs[0]:
        return rows[0]["label"]
    listed = f"{', '.join(srvs[:-1])} or {srvs[-1]}" if len(srvs) > 1 else srvs[0]
    qualifier = rows[0]["qualifier"]
    return f"SRV {listed} ({ROLES.get(qualifier, qualifier)})"


ROLES = {"NetworkOperator": "Network Operator"}
STEPS = _steps()
CHECK_COLUMNS = {
    "check": pl.String,
    "label": pl.String,
    "SRV": pl.String,
    "clause": pl.String,
    "verdict": pl.String,
    "met_at": pl.Datetime("us"),
    "tries": pl.Int64,
    "came_back": pl.String,
    "causes": pl.String,
}


def _attempts(history: History) -> pl.DataFrame:
    """The attempts with the step's name, the outcome's, and what the code means."""
    attempts = history.attempts.select(
        "sent_at",
        "counted_at",
        "step_no",
        step=pl.col("step_no").replace_strict(STEPS, return_dtype=pl.String),
        outcome=pl.col("outcome_no").replace_strict(duck.OUTCOMES, return_dtype=pl.String),
        # Of what worked or may have, the outcome says the code: it is kept only where it does not.
        response_code=pl.when(pl.col("outcome_no") < duck.NO_RESPONSE).then(pl.lit("I0")).otherwise("response_code"),
        execution_status="execution_status",
    )
    meanings = {code: code_means(code) for code in attempts["response_code"].drop_nulls().unique()}
    return attempts.with_columns(code_means=pl.col("response_code").replace_strict(meanings, return_dtype=pl.String))


def code_means(code: str) -> str:
    """What a response code means, as far as is known."""
    rows = reference.table("response_codes")
    return next((row["meaning"] for row in rows if re.fullmatch(row["response_code"], code)), "not known")


def _checks(history: History, anew: dict, attempts: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for row in reference.checks():
        name, number = row["check"], int(row["check_no"])
        if not anew["required"] & check_bit(name):
            continue
        of_step = attempts.filter(pl.col("step_no") == number)
        met_at = anew[f"{name}_met_at"]
        of_dsp = history.dsp_checks.filter(pl.col("step_no") == number)["passed"].to_list()
        rows.append(
            {
                "check": name,
                "label": row["label"],
                "SRV": row["srv"] or None,
                "clause": CLAUSE,
                "verdict": "not met" if met_at is None else "met",
                "met_at": met_at,
                "tries": of_step.height if row["kind"] == "user" else len(of_dsp),
                "came_back": came_back(of_step) if row["kind"] == "user" else made_of(of_dsp),
                "causes": "; ".join(c.name for c in causes() if anew[f"unmet by {c.name}"] & check_bit(name)),
            }
        )
    return pl.DataFrame(rows, CHECK_COLUMNS)


def made_of(passed: list[bool]) -> str:
    """What came of the DSP's checks of one kind: `1 passed; 2 not passed`."""
    counts = {"passed": sum(passed), "not passed": len(passed) - sum(passed)}
    return "; ".join(f"{number} {kind}" for kind, number in counts.items() if number)


def came_back(attempts: pl.DataFrame) -> str:
    """What came back from the attempts at one step, in the order of their first: `2 no_response (E21); 1 success`."""
    kinds: dict[str, int] = {}
    for outcome, code, status in attempts.select("outcome", "response_code", "execution_status").rows():
        told = [part for part in (code, status) if part] if outcome in ("no_response", "other") else []
        told = told or (["no code"] if outcome == "no_response" else [])
        kind = f"{outcome} ({', '.join(told)})" if told else outcome
        kinds[kind] = kinds.get(kind, 0) + 1
    return "; ".join(f"{number} {kind}" for kind, number in kinds.items())


# --- cells --------------------------------------------------------------------------------------------------

CELL_COLUMNS = {
    "cell": pl.String,
    "verdict": pl.String,
    "read_at": pl.Datetime("us"),
    "status_code": pl.String,
    "subject_unique_id": pl.String,
    "belongs_to": pl.String,
    "key_identifier": pl.String,
    "expected": pl.String,
    "changed_at": pl.Datetime("us"),
    "changed_by": pl.String,
}
NUMBERED = {cell.number: cell for cell in (*PARTY_CELLS, *DEVICE_KEYS)}


def _required(anew: dict) -> list[Cell]:
    return [cell for cell in PARTY_CELLS if anew["device_type"] in cell.device_types]


def _reads(history: History, anew: dict) -> pl.DataFrame:
    """Every read of a cell with how it stands to the cell's verdict, and the verdict of the one that counts."""
    of_parties = history.evidence.party_cell_reads
    content = history.evidence.judged.select("judged_no", "content")
    party_ranks = (
        of_parties.with_columns(verdicts_of_reads(of_parties, history.evidence.judged))
        .join(content, on="judged_no")
        .select("cell_no", "content", "rank")
        .unique()
    )
    own = history.own_certificates.with_columns(rank=pl.lit(0, pl.Int64))
    ranks = pl.concat([party_ranks, own], how="vertical_relaxed")
    reads = history.cell_reads.join(ranks, on=["cell_no", "content"], how="left", maintain_order="left")
    # A read of the Device's own key that found no certificate of its own in use.
    reads = reads.with_columns(pl.col("rank").fill_null(len(VERDICTS)))
    latest = pl.col("read_at") == pl.col("read_at").max().over("cell_no")
    worst = pl.col("rank") == pl.col("rank").filter(latest).max().over("cell_no")
    reads = reads.with_columns(is_chosen=latest & worst)
    stands = [_stands(anew, *row) for row in reads.select("cell_no", "is_chosen").rows()]
    owners = {name: _belongs_to(history, name) for name in reads["subject_unique_id"].unique()}
    itself = pl.lit("the Device")
    named = pl.col("subject_unique_id").replace_strict(owners, default=None, return_dtype=pl.String)
    return reads.select(
        "read_at",
        "cell_no",
        cell=pl.col("cell_no").replace_strict({n: c.name for n, c in NUMBERED.items()}, return_dtype=pl.String),
        stands=pl.Series(stands, dtype=pl.String),
        verdict=pl.Series(
            [
                _verdict(anew, NUMBERED[n]) if stand in (COUNTS, STALE) else None
                for n, stand in zip(reads["cell_no"], stands, strict=True)
            ],
            dtype=pl.String,
        ),
        status_code="status_code",
        subject_unique_id="subject_unique_id",
        belongs_to=pl.when(pl.col("subject_unique_id") == duis_form(history.key)).then(itself).otherwise(named),
        key_identifier="key_identifier",
    )


def _stands(anew: dict, cell_no: int, is_chosen: bool) -> str:
    cell = NUMBERED[cell_no]
    if cell.role != "Device" and anew["device_type"] not in cell.device_types:
        return NOT_REQUIRED
    if not is_chosen:
        return SUPERSEDED
    return STALE if _verdict(anew, cell) == "not_read" else COUNTS


def _verdict(anew: dict, cell: Cell) -> str:
    if cell.role != "Device":
        return VERDICTS[anew[cell.name]]
    return {None: "not_read", True: "not_in_use", False: "in_use"}[anew[cell.name]]


def _cell(history: History, anew: dict, reads: pl.DataFrame, cell: Cell) -> dict:
    """The cell's verdict, the read that it rests on, and the last thing that may have changed the cell."""
    chosen = reads.filter(pl.col("cell_no") == cell.number, pl.col("stands").is_in([COUNTS, STALE])).head(1)
    found = chosen.row(0, named=True) if chosen.height else {}
    changed_at, changed_by = _last_change(anew, cell)
    from_read = ("read_at", "status_code", "subject_unique_id", "belongs_to", "key_identifier")
    return {
        "cell": cell.name,
        "verdict": _verdict(anew, cell),
        **{name: found.get(name) for name in from_read},
        "expected": _expected(history, anew, cell),
        "changed_at": changed_at,
        "changed_by": changed_by,
    }


def _last_change(anew: dict, cell: Cell) -> tuple:
    """The last thing that may have changed the cell; what else was at the same instant is named beside it."""
    changes = {}
    for change in cell.stale_after:
        if change == "change_of_supplier":
            day, by = anew["last_change_of_supplier"], "a change of Supplier"
            moment = day and datetime.combine(day, time.min)
        else:
            moment, by = anew[f"{change}_open_at"], STEPS[STEP_NUMBERS[change]]
        if moment is not None:
            changes.setdefault(moment, []).append(by)
    return (max(changes), " and ".join(changes[max(changes)])) if changes else (None, None)


STEP_NUMBERS = {row["check"]: int(row["check_no"]) for row in reference.checks()} | {
    row["step"]: int(row["step_no"]) for row in reference.table("other_steps")
}


# --- parties ------------------------------------------------------------------------------------------------


def party_names(history: History) -> dict[str, str]:
    """Party id -> name with the id, where the parties extract has one."""
    names = history.parties.group_by("party_id").agg(pl.col("party_name").min()).rows()
    return {party: f"{name} ({party})" for party, name in names}


def _belongs_to(history: History, eui: str | None) -> str | None:
    """The parties that hold an EUI-64, each with its role."""
    if eui is None:
        return None
    if eui == duis_form(history.key):
        return "the Device"
    held = history.parties.filter(pl.col("eui") == eui).select("party_name", "party_id", "role").unique().sort(pl.all())
    names = [f"{name} ({party}) as {role}" for name, party, role in held.rows()]
    return "; ".join(names) or "no known party"


def _expected(history: History, anew: dict, cell: Cell) -> str:
    """Whose certificate the cell must hold."""
    if cell.role == "Device":
        return "the Device"
    party = {"Supplier": anew["supplier"], "NetworkOperator": anew["network_operator"]}.get(cell.role)
    if cell.role in ("Supplier", "NetworkOperator"):
        return party_names(history).get(party, party) or "not known"
    return f"any party in role {cell.role}"

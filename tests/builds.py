"""A small estate in which every row keeps the contract, and the ways that tests build it and run `pco`."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import estates
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import cli
from data import sandbox
from data.marts import digest_of, seal

PROJECT = Path(__file__).resolve().parent.parent
SUPPLIER, OPERATOR, ACB, RECOVERY = (f"90-B3-D5-1F-30-02-00-0{number}" for number in (1, 2, 3, 4))
KEY = "C0-00-00-00-00-00-00-01"
# What a Device of each type must do, in the words of the extracts: SRV, credential_type, remote_party_role.
USER_CHECKS = [
    ("6.17", "Digital Signature", None),
    ("6.17", "Key Agreement", None),
    ("6.15.2", "Digital Signature", None),
    ("6.15.2", "Key Agreement", None),
    ("6.15.1", None, "NetworkOperator"),
]
CELLS = [
    ("Supplier", "DigitalSigning", SUPPLIER),
    ("Supplier", "KeyAgreement", SUPPLIER),
    ("NetworkOperator", "DigitalSigning", OPERATOR),
    ("NetworkOperator", "KeyAgreement", OPERATOR),
    ("Recovery", "DigitalSigning", RECOVERY),
]


def march(day, *clock):
    return datetime(2021, 3, day, *clock)


def eui(number):
    return f"90-B3-D5-1F-30-01-{number >> 8:02X}-{number & 255:02X}"


def device(number=1, **changes):
    usual = {
        "device_id": eui(number),
        "device_type": "ESME",
        "device_status": "Commissioned",
        "csp_region": "North",
        "manufacturer": "Acme",
        "model": "M1",
        "firmware_version": "1.0",
        "commissioned_at": march(1),
        "responsible_supplier_id": "S-ONE",
        "network_operator_id": "N-ONE",
    }
    return usual | changes


def response(number=1, check=USER_CHECKS[0], **changes):
    usual = {
        "originator_id": SUPPLIER,
        "device_id": eui(number),
        "originator_counter": 1,
        "srv": check[0],
        "command_variant": 5,
        "credential_type": check[1],
        "remote_party_role": check[2],
        "sent_at": march(2),
        "responded_at": march(2, 1),
        "response_code": "I0",
        "execution_status": "success",
    }
    return usual | changes


def dsp_check(number=1, check="communicating", **changes):
    return {"device_id": eui(number), "check": check, "checked_at": march(3), "passed": True} | changes


def spell(number=1, **changes):
    usual = {"supplier_id": "S-ONE", "effective_from": date(2021, 2, 1), "effective_to": None}
    return {"device_id": eui(number), **usual, **changes}


def read(number=1, cell=CELLS[0], **changes):
    usual = {
        "device_id": eui(number),
        "read_at": march(20),
        "remote_party_role": cell[0],
        "certificate_usage": cell[1],
        "status_code": "success",
        "subject_unique_id": cell[2],
        "subject_key_identifier": KEY,
    }
    return usual | changes


def certificate(subject=SUPPLIER, role="Supplier", usage="DigitalSigning", **changes):
    usual = {"subject_unique_id": subject, "remote_party_role": role, "certificate_usage": usage}
    return {**usual, "subject_key_identifier": KEY, "status": "InUse", **changes}


def party(subject=SUPPLIER, party_id="S-ONE", role="Supplier", **changes):
    usual = {"eui": subject, "party_id": party_id, "party_name": f"The party {party_id}", "role": role}
    return {**usual, "category": "Other SEC Parties", "is_dcc_user": True, **changes}


def incident(number=1, **changes):
    usual = {"incident_id": f"INC{number:06d}", "device_id": eui(number), "raised_at": march(5)}
    return {**usual, "closed_at": None, "resolution": None, **changes}


def message(number=1, **changes):
    usual = {"device_id": eui(number), "at": march(5), "kind": "Request", "srv": "8.2", "request_id": None}
    return {**usual, "message": "<a/>", **changes}


ROW = {
    "devices": device,
    "service_responses": response,
    "dsp_checks": dsp_check,
    "registrations": spell,
    "credential_reads": read,
    "certificates": certificate,
    "parties": party,
    "incidents": incident,
    "messages": message,
}
# The contract's extracts, and the one that only `pco ingest` writes: verdicts, and so the oracle, know nothing of it.
SCHEMAS = estates.SCHEMAS | {
    "messages": pa.schema([("at", pa.timestamp("us")), *((name, pa.string()) for name in message() if name != "at")])
}


def secure_devices(numbers=(1, 2, 3)):
    """Extracts of Devices that are reported passed and are secure."""
    return {
        "devices": [device(n) for n in numbers],
        "service_responses": [response(n, check) for n in numbers for check in USER_CHECKS],
        "dsp_checks": [dsp_check(n, check) for n in numbers for check in ("communicating", "recovery_cell")],
        "registrations": [spell(n) for n in numbers],
        "credential_reads": [read(n, cell) for n in numbers for cell in CELLS],
        "certificates": [certificate(subject, role, usage) for role, usage, subject in CELLS],
        "parties": [
            party(),
            party(OPERATOR, "N-ONE", "NetworkOperator"),
            party(ACB, "DCC", "ACB"),
            party(RECOVERY, "DCC", "Recovery"),
        ],
    }


def table_of(extract, rows, **types):
    """The rows as Arrow in the contract's types, but for the columns whose type is given."""
    schema = pa.schema([(field.name, types.get(field.name, field.type)) for field in SCHEMAS[extract]])
    return pa.Table.from_pylist(rows, schema=schema)


def write(table, file, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as sink:
        pq.write_table(table, sink, **options)
    return file


class Folders(NamedTuple):
    extracts: Path
    marts: Path


def folders(root, extracts=None, **layout):
    """Folders to build in, the extracts (three secure Devices if none are given) written."""
    estates.write_estate(secure_devices() if extracts is None else extracts, root / "extracts", **layout)
    return Folders(root / "extracts", root / "marts")


def sealed_as_it_is(snapshot):
    """Makes the manifest say of every file what a test made of it."""
    manifest = json.loads((snapshot.folder / "manifest.json").read_text(encoding="utf-8"))
    for file in manifest["files"]:
        path = snapshot.folder / file["name"]
        file |= {"bytes": path.stat().st_size, "sha256": digest_of(path)}
    (snapshot.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    seal(snapshot.folder)


def here(function, *arguments, limits=None, progress=None, raises=()):
    """`data.sandbox.run` in this process, where a test can look on."""
    if isinstance(function, str):
        module, name = function.split(":")
        function = getattr(import_module(module), name)
    arguments = json.loads(json.dumps(arguments))
    return json.loads(json.dumps(function(*arguments, **({"progress": progress} if progress else {}))))


in_this_process = partial(patch.object, sandbox, "run", here)


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def problems(self):
        return self.err.splitlines()


def pco(*arguments):
    """Runs `pco` in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), ["pco", *map(str, arguments)]
    streams = redirect_stdout(out), redirect_stderr(err)
    with streams[0], streams[1], patch.object(sys, "argv", argv), pytest.raises(SystemExit) as stopped:
        cli.main()
    return Ran(stopped.value.code, out.getvalue(), err.getvalue())


def pco_build(folders, *options):
    """Builds, however many rows are bad: one bad row of a dozen is more than the usual share."""
    return pco("build", "--extracts", folders.extracts, "--marts", folders.marts, "--max-quarantined", 1, *options)


def pco_process(*arguments, seconds=60, **options):
    """Runs `pco` as the shell does, in a process of its own."""
    command = [sys.executable, "-c", "from dashboard.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, encoding="utf-8", timeout=seconds, check=False, **options
    )
    return Ran(done.returncode, done.stdout, done.stderr)

"""One line of a message log to one row: what the message says, with the payload decoded."""

import json
from datetime import datetime
from functools import partial
from hashlib import blake2b

import pyarrow as pa

from data.messages import duis, gbcs, status
from data.messages.gbcs import Malformed, Message
from data.messages.logs import MOST_LINE_BYTES, Block

REQUEST, RESPONSE, ALERT, OTHER_ALERT, DCC_ALERT = 1, 2, 3, 4, 5
CELL = pa.struct(
    {
        "remote_party_role": pa.string(),
        "certificate_usage": pa.string(),
        "status_code": pa.string(),
        "subject_unique_id": pa.uint64(),
        "subject_key_identifier": pa.uint64(),
    }
)
# A row a message of a Device. device, originator, counter: the RequestID; of an alert that brings an outcome the
# Device, whom it is for, and the counter of the Command. asked_originator, asked_counter: the Request that such an
# alert names, if it does. party and gbcs_counter: of the GBCS Command or Response, whose the Command is. same: a hash
# of what two copies of one message share. octets: the GBCS message, or the DUIS message where it holds none. place: a
# hash of the Device, by which rows are grouped.
ROWS = pa.schema(
    {
        "line": pa.int64(),
        "kind": pa.int8(),
        "device": pa.uint64(),
        "originator": pa.uint64(),
        "counter": pa.uint64(),
        "asked_originator": pa.uint64(),
        "asked_counter": pa.uint64(),
        "moment": pa.timestamp("us"),
        "srv": pa.string(),
        "variant": pa.int8(),
        "credential_type": pa.string(),
        "remote_party_role": pa.string(),
        "code": pa.string(),
        "is_precommand": pa.bool_(),
        "party": pa.uint64(),
        "gbcs_counter": pa.uint64(),
        "status": pa.string(),
        "cells": pa.list_(CELL),
        "same": pa.uint64(),
        "octets": pa.binary(),
        "place": pa.uint32(),
    }
)
BAD = pa.schema({"line": pa.int64(), "rule": pa.string()})
# Bodies whose GBCS message is a Command for the User, not what the Device said.
OF_COMMANDS = {"PreCommand", "LocalCommand"}
BOM = b"\xef\xbb\xbf"


def read(block: Block) -> tuple[pa.RecordBatch, pa.RecordBatch, int]:
    """The block's rows, its lines that break a rule, and how many lines it has that are not blank."""
    if block.broken:
        return _batch([], ROWS), _batch([{"line": block.first, "rule": block.broken}], BAD), 1
    rows, bad, count = [], [], 0
    for line, octets in enumerate(block.lines.split(b"\n"), block.first):
        octets = octets.strip()
        if line == 1:
            octets = octets.removeprefix(BOM)
        if not octets:
            continue
        count += 1
        try:
            row = _row(octets)
        except Malformed as error:
            bad.append({"line": line, "rule": error.rule})
        except Exception:
            # Nothing that a log holds may stop the other lines.
            bad.append({"line": line, "rule": "message_can_be_decoded"})
        else:
            if row is None:
                continue
            if row.pop("is_at_odds", False):
                # The rest of what the Device says is taken.
                bad.append({"line": line, "rule": "cells_come_with_success"})
            row["line"], row["place"] = line, place_of(row["device"])
            rows.append(row)
    return _batch(rows, ROWS), _batch(bad, BAD), count


def _batch(rows: list[dict], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _row(octets: bytes) -> dict | None:
    at, xml = _at_and_message(octets)
    message = duis.parse(xml)
    match message:
        case duis.Request():
            row = _request(message, at)
        case duis.Response():
            row = _response(message)
        case duis.DeviceAlert():
            row = _alert(message)
        case duis.DCCAlert(device=None):
            # It is of no Device.
            return None
        case duis.DCCAlert():
            row = {"kind": DCC_ALERT, "device": message.device, "moment": message.at}
    row["octets"] = getattr(message, "payload", None) or xml
    return row


def _at_and_message(octets: bytes) -> tuple[datetime, bytes]:
    if len(octets) > MOST_LINE_BYTES:
        raise Malformed("line_is_not_too_long")
    try:
        found = json.loads(octets.decode("utf-8"), object_pairs_hook=_without_twins)
    except UnicodeDecodeError as error:
        raise Malformed("line_is_utf_8") from error
    except (ValueError, RecursionError) as error:
        raise Malformed("line_is_json") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ("at", "message")):
        raise Malformed("line_has_at_and_message")
    try:
        xml = found["message"].encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed("line_is_utf_8") from error
    return duis.utc(found["at"], "at_is_a_time"), xml


def _without_twins(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("line_is_json", "a name stands twice")
    return found


def _request(request: duis.Request, at: datetime) -> dict:
    row = _of_request_id(request.request_id) | {
        "kind": REQUEST,
        "moment": at,
        "srv": request.srv,
        "variant": request.command_variant,
        "credential_type": request.credential_type,
        "remote_party_role": request.remote_party_role,
        "same": _hash(request.command_variant, request.srv, request.credential_type, request.roles, request.payload),
    }
    if request.payload is not None:
        row |= _of_command(request, gbcs.decode(request.payload))
    return row


def _of_command(request: duis.Request, command: Message) -> dict:
    """What a Signed Pre-Command's own bytes say of the Request."""
    asked = request.request_id
    _check(command.kind == gbcs.COMMAND, "payload_is_a_command")
    _check((command.originator, command.target) == (asked.originator, asked.target), "payload_is_of_the_request_id")
    if request.srv in status.CODES:
        _check(command.message_code in status.CODES[request.srv], "message_code_is_of_the_service")
    said = {"party": command.originator, "gbcs_counter": command.counter}
    match command.content:
        case gbcs.UpdateCells(cells=cells):
            roles = {cell.role for cell in cells}
            said["remote_party_role"] = status.role_name(roles.pop()) if len(roles) == 1 else None
        case gbcs.AskForKey(usage) if usage in duis.CREDENTIAL_TYPES:
            said["credential_type"] = duis.CREDENTIAL_TYPES[usage]
        case gbcs.UpdateDeviceKey(certificate):
            said["credential_type"] = duis.CREDENTIAL_TYPES.get(certificate.key_usage)
    return said


def _response(response: duis.Response) -> dict:
    row = _of_request_id(response.request_id) | {
        "kind": RESPONSE,
        "moment": response.at,
        "srv": response.srv,
        "code": response.code,
        "is_precommand": response.body == "PreCommand",
        "same": _hash(response.code, response.body, response.payload),
    }
    if response.payload is not None:
        message = gbcs.decode(response.payload)
        if response.body in OF_COMMANDS:
            _check(message.kind == gbcs.COMMAND, "payload_is_a_command")
        else:
            row |= _of_reply(response, message)
    return row


def _of_reply(response: duis.Response, reply: Message) -> dict:
    _check(reply.kind == gbcs.RESPONSE, "payload_is_a_response")
    _check(_answers(response, reply), "payload_is_of_the_request_id")
    return {
        "party": reply.target,
        "gbcs_counter": reply.counter,
        "status": status.execution_status(response.srv, reply),
        "cells": [dict(zip(CELL.names, cell, strict=True)) for cell in status.cells(reply)],
        "is_at_odds": status.is_at_odds(reply),
    }


def _answers(response: duis.Response, reply: Message) -> bool:
    """Whether the Device's reply can be to the RequestID: the DCC sends some Commands with a counter of its own."""
    asked = response.request_id
    if reply.originator != asked.target:
        return False
    if reply.supplementary_party is not None and reply.supplementary_party != asked.originator:
        return False
    if reply.supplementary_counter is not None and reply.supplementary_counter != asked.counter:
        return False
    if reply.target == asked.originator:
        return reply.counter == asked.counter
    return response.srv not in status.CRITICAL


def _alert(alert: duis.DeviceAlert) -> dict:
    message = gbcs.decode(alert.payload)
    _check(message.kind == gbcs.ALERT, "payload_is_an_alert")
    _check(alert.device in (None, message.originator), "payload_is_of_the_response_id")
    asked = alert.request_id
    _check(asked is None or asked.target == message.originator, "payload_is_of_the_request_id")
    if not isinstance(message.content, gbcs.Alert):
        return {"kind": OTHER_ALERT, "device": message.originator, "moment": alert.at}
    _check(alert.code in (None, message.content.code), "alert_code_is_of_the_payload")
    return {
        "kind": ALERT,
        "device": message.originator,
        "originator": message.target,
        "counter": message.content.authorising_counter,
        "asked_originator": asked and asked.originator,
        "asked_counter": asked and asked.counter,
        "moment": alert.at,
        "code": alert.response_code,
        "status": status.execution_status(None, message),
        "same": _hash(message.raw_content),
    }


def _of_request_id(request_id: duis.RequestID) -> dict:
    return {
        "device": request_id.target,
        "originator": request_id.originator,
        "counter": request_id.counter,
    }


_digest = partial(blake2b, digest_size=8)


def _hash(*parts: object) -> int:
    return int.from_bytes(_digest(repr(parts).encode()).digest())


def place_of(device: int) -> int:
    return int.from_bytes(blake2b(device.to_bytes(8), digest_size=4).digest())


def _check(kept: bool, rule: str) -> None:
    if not kept:
        raise Malformed(rule)

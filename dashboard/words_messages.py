"""A message in words: who sent it to whom, what it is, and what it says of each cell."""

from dataclasses import dataclass
from datetime import datetime

from analysis.messages import octets_in_role, octets_of_cells, spaced, take_apart
from data import reference
from data.messages import duis, gbcs, status

KINDS = {gbcs.COMMAND: "Command", gbcs.RESPONSE: "Response", gbcs.ALERT: "Alert"}
USE_CASES = {
    0x0008: "CS02a: read the Trust Anchor Cells (SRV 6.24.1)",
    0x011B: "CS02f: read the Trust Anchor Cells (SRV 6.24.1)",
    0x000A: "CS02c: make a new key pair and ask for its certificate (SRV 6.17)",
    0x000B: "CS02d: store the certificate of the Device's own key (SRV 6.15.2)",
    0x000C: "CS02e: read the certificate of the Device's own key (SRV 6.24.2)",
    0x00CB: "CS02b Alert: what became of a future-dated replacement",
}
REPLACE = "CS02b: replace certificates in Trust Anchor Cells (SRV 6.15.1, 6.21 or 6.23)"
PARTIES = {
    "NetworkOperator": "Network Operator",
    "ACB": "Access Control Broker (the DCC)",
    "Recovery": "Recovery (the DCC)",
    "TransCoS": "Transitional CoS (the DCC)",
    "LoadController": "Load Controller",
    "WANProvider": "WAN Provider",
    "IssuingAuthority": "Issuing Authority",
}
USAGES = {"DigitalSigning": "digital signing", "KeyAgreement": "key agreement", "KeyCertSign": "certificate signing"}
UPDATE_KEY = {
    1: "invalidCertificate",
    2: "wrongDeviceIdentity",
    3: "invalidKeyUsage",
    4: "noCorrespondingKeyPairGenerated",
    5: "wrongPublicKey",
    6: "certificateStorageFailed",
    7: "privateKeyChangeFailed",
}
ISSUE_KEY = {1: "invalidKeyUsage", 2: "keyPairGenerationFailed", 3: "cRProductionFailed"}
ALERTS = {
    gbcs.SUCCEEDED: "8F66: a future-dated Command was executed",
    gbcs.FAILED: "8F67: a future-dated Command failed",
}
ACCEPTED = (
    "The Device accepted the Command and says nothing of its result: an empty status. The same octets come before a "
    "later success, a later failure and a cancellation; only an Alert 8F66 or 8F67 tells which."
)
NO_PAYLOAD = "A header with nothing in it: an empty status."
NOT_VERIFIED = "not verified here"


@dataclass(frozen=True)
class Line:
    """One row of the table: which part, what it says, and its octets as hex, or the value as it stands in XML."""

    part: str
    says: str
    raw: str = ""


def told(message: str) -> list[Line]:
    """A GBCS message as hex, or a DUIS message as XML, in words; what cannot be read says why. Never raises."""
    taken = take_apart(message)
    lines = _outer(taken.duis) + (_inner(taken.gbcs) if taken.gbcs else [])
    if taken.broken:
        lines.append(Line("Not readable", f"It breaks the rule {taken.broken}.", spaced(taken.octets[:64])))
    return lines


def gist(message: str) -> str:
    """The message in half a sentence, for the heading of its row; empty where its kind says it all."""
    taken = take_apart(message)
    if taken.broken:
        return "not readable"
    if taken.gbcs:
        return _gist(taken.gbcs)
    code = getattr(taken.duis, "code", None)
    if isinstance(taken.duis, duis.Response):
        return f"{code}, {_meaning(code)}"
    if isinstance(taken.duis, duis.Request):
        return "asks for a Pre-Command" if taken.duis.command_variant == 4 else ""
    return f"{code}" if isinstance(taken.duis, duis.DCCAlert) and code else ""


def raw(message: str) -> str:
    """The octets of the GBCS message as hex; empty when there is none."""
    return spaced(take_apart(message).octets)


def _gist(message: gbcs.Message) -> str:
    found = status.execution_status(None, message)
    match message.content:
        case gbcs.CommandAccepted():
            return "accepted, no result in it"
        case gbcs.Empty():
            return "empty"
        case gbcs.Alert(code, outcome=outcome) if outcome is not None:
            return f"{code:04X}, {found}"
        case gbcs.Other():
            return KINDS[message.kind]
    return found or KINDS[message.kind]


# --- the DUIS message -----------------------------------------------------------------------------------------


def _outer(message: duis.Request | duis.Response | duis.DeviceAlert | duis.DCCAlert | None) -> list[Line]:
    match message:
        case duis.Request():
            asked = [("Credential", message.credential_type), ("Role", ", ".join(map(party, message.roles)))]
            return [
                Line("Message", "Service Request: a User asks the DCC"),
                *_identity(message.request_id),
                Line("Service", service(message.srv), message.srv),
                Line("Command variant", variant(message.command_variant), str(message.command_variant)),
                *(Line(part, text) for part, text in asked if text),
            ]
        case duis.Response():
            return [
                Line("Message", "Service Response: what the DCC gives back"),
                *_identity(message.request_id),
                *([Line("Service", service(message.srv), message.srv)] if message.srv else []),
                Line("Response code", _meaning(message.code), message.code),
                Line("Response time", instant(message.at)),
            ]
        case duis.DeviceAlert():
            code = "" if message.code is None else f"{message.code:04X}"
            return [
                Line("Message", "Device Alert: sent on by the DCC"),
                Line("Alert code", ALERTS.get(message.code, "its meaning is not known here"), code),
                Line("Sent on", instant(message.at)),
            ]
        case duis.DCCAlert():
            return [
                Line("Message", "DCC Alert: the DCC tells a User of something"),
                Line("Alert code", "its meaning is not known here", message.code or ""),
                Line("Sent", instant(message.at)),
            ]
    return []


def _identity(identifier: duis.RequestID) -> list[Line]:
    return [
        Line("Asked by", "the User that sent the Request", eui(identifier.originator)),
        Line("Asked of", "the Device", eui(identifier.target)),
        Line("Request number", f"{identifier.counter:,}: with the two above, the RequestID", str(identifier.counter)),
    ]


def service(srv: str) -> str:
    names = {row["value"]: row["meaning"] for row in reference.table("vocabulary") if row["column"] == "srv"}
    return names.get(srv, "another service")


def variant(number: int) -> str:
    if number == 4:
        return "asks only for a Pre-Command: nothing goes to the Device"
    return "the signed Pre-Command, which goes to the Device" if number in (5, 7) else "as the schema numbers them"


def _meaning(code: str) -> str:
    meanings = {row["response_code"]: row["meaning"] for row in reference.table("response_codes")}
    return meanings.get(code, "its text is not known here")


# --- the GBCS message -----------------------------------------------------------------------------------------


def _inner(message: gbcs.Message) -> list[Line]:
    sender, receiver = ("the Device", "a party") if message.kind != gbcs.COMMAND else ("a party", "the Device")
    counter = {
        gbcs.COMMAND: "of the party that sends it",
        gbcs.RESPONSE: "that of the Command which it answers",
        gbcs.ALERT: "the Device's own",
    }[message.kind]
    lines = [
        Line("GBCS message", KINDS[message.kind], f"{message.kind:02X}"),
        Line("From", sender, eui(message.originator)),
        Line("To", receiver, eui(message.target)),
        Line("Originator counter", f"{message.counter:,}: {counter}", f"{message.counter:016X}"),
        Line("Use case", use_case(message.message_code), f"{message.message_code:04X}"),
    ]
    if message.supplementary_party is not None:
        lines.append(Line("On behalf of", "another party", eui(message.supplementary_party)))
    if message.date_time:
        lines.append(Line("Device's time", "date and time as the Device gives them", spaced(message.date_time)))
    lines += _content(message)
    for name, octets in (("Signature", message.signature), ("MAC", message.mac)):
        if octets:
            lines.append(Line(name, f"{len(octets)} octets, {NOT_VERIFIED}", spaced(octets)))
    return lines


def use_case(code: int) -> str:
    return REPLACE if code in gbcs.UPDATE_CELLS else USE_CASES.get(code, "another use case, not looked into here")


def _content(message: gbcs.Message) -> list[Line]:
    content = message.content
    whole = spaced(message.raw_content)
    match content:
        case gbcs.CommandAccepted():
            return [Line("Result", ACCEPTED, whole)]
        case gbcs.Empty():
            return [Line("Result", NO_PAYLOAD)]
        case gbcs.CredentialsUpdated(outcome):
            return _outcome(message, outcome)
        case gbcs.Alert(code, at, outcome=outcome) if outcome is not None:
            return [
                Line("Alert", ALERTS[code], f"{code:04X}"),
                Line("Executed", _generalized(at), at or ""),
                *_outcome(message, outcome),
            ]
        case gbcs.DeviceKeyUpdated(number):
            name = UPDATE_KEY.get(number, "a code that is not known here")
            done = "success: the Device stored its certificate" if number == 0 else f"failure: {name} ({number})"
            return [Line("Result", done, whole)]
        case gbcs.CertificateSigningRequest():
            return [Line("Result", "success: a certificate signing request, which carries no status of its own", whole)]
        case gbcs.Failure(number):
            names = ISSUE_KEY if message.message_code == gbcs.ISSUE_KEY else status.READ_KEY_NAMES
            return [Line("Result", f"failure: {names.get(number, 'a code that is not known here')} ({number})", whole)]
        case gbcs.TrustAnchorCells(roles):
            raws = octets_of_cells(message)
            return [line for role, octets in zip(roles, raws, strict=True) for line in _role(role, octets)]
        case gbcs.DeviceCertificates(certificates):
            return [
                Line(
                    f"The Device's key for {USAGES[one.key_usage]}",
                    f"certificate {key(one.subject_key_identifier)}{_of(one.subject_unique_id)}",
                    spaced(one.der),
                )
                for one in certificates
            ]
        case gbcs.UpdateCells(cells=cells, execute_at=at):
            when = f", at {_generalized(at)}" if at else ", at once"
            return [Line("Asks for", f"{len(cells)} cells to be replaced{when}: {'; '.join(map(cell, cells))}", whole)]
        case gbcs.AskForCells(roles):
            return [Line("Asks for", "the cells of " + ", ".join(party(status.role_name(r)) for r in roles), whole)]
        case gbcs.AskForKey(usage):
            return [Line("Asks for", f"the Device's key for {USAGES[usage]}", whole)]
        case gbcs.UpdateDeviceKey(certificate):
            stored = f"to be stored for {USAGES[certificate.key_usage]}"
            says = f"certificate {key(certificate.subject_key_identifier)} {stored}"
            return [Line("Asks for", says, whole)]
    return [Line("Content", "not looked into here", whole)]


def _outcome(message: gbcs.Message, outcome: gbcs.Outcome) -> list[Line]:
    done = sum(one.status == 0 for one in outcome.cells)
    total = len(outcome.cells)
    lines = [
        Line("Result", f"{status.execution_status(None, message)}: {done} of {total} cells replaced"),
        Line(
            "Command's counter",
            f"{outcome.authorising_counter:,}: ties the result to its Command",
            f"{outcome.authorising_counter:016X}",
        ),
    ]
    for one, octets in zip(outcome.cells, octets_of_cells(message), strict=True):
        lines.append(Line(f"Cell: {cell(one.cell)}", _replaced(one), spaced(octets)))
    return lines


def _replaced(one: gbcs.CellOutcome) -> str:
    before = f"certificate {key(one.existing_key)}{_of(one.existing_subject)}"
    after = f"certificate {key(one.replacing_key)}{_of(one.replacing_subject)}"
    if one.status == 0:
        return f"success. Before: {before}. Now: {after}."
    name = status.STATUS_NAMES.get(one.status, "a status that is not known here")
    return f"failure: {name} ({one.status}). Not replaced by {after}; there was: {before}."


def _role(role: gbcs.RoleCells, octets: bytes) -> list[Line]:
    name = party(status.role_name(role.role))
    if role.is_at_odds:
        says = "a success without cells, or a failure with some: which is right cannot be told, so neither is taken"
        return [Line(f"Cells of {name}", says, spaced(octets))]
    if role.status:
        code = status.STATUS_NAMES.get(role.status, "a status that is not known here")
        return [Line(f"Cells of {name}", f"not read: {code} ({role.status})", spaced(octets))]
    says = f"read: {len(role.cells)} cells; its last counter is {role.counter:,}"
    cells = [
        Line(
            f"Cell: {cell(gbcs.Cell(role.role, one.key_usage, one.cell_usage))}",
            f"certificate {key(one.subject_key_identifier)}{_of(one.subject_unique_id)}",
            spaced(raw),
        )
        for one, raw in zip(role.cells, octets_in_role(octets), strict=True)
    ]
    return [Line(f"Cells of {name}", says, spaced(octets[:8]) + " …"), *cells]


def cell(one: gbcs.Cell) -> str:
    top_up = ", for prepayment top-up" if one.cell_usage else ""
    return f"{party(status.role_name(one.role))}, {USAGES[one.key_usage]}{top_up}"


def party(role: str) -> str:
    return PARTIES.get(role, role)


def _of(subject: int | None) -> str:
    return "" if subject is None else f" of {eui(subject)}"


def key(identifier: int | None) -> str:
    return "not given" if identifier is None else eui(identifier)


def eui(number: int) -> str:
    return number.to_bytes(8).hex("-").upper()


def instant(at: datetime) -> str:
    return f"{at:%-d %B %Y, %H:%M:%S} UTC"


def _generalized(text: str | None) -> str:
    try:
        return instant(datetime.strptime(text or "", "%Y%m%d%H%M%SZ"))
    except ValueError:
        return "a time that is none"

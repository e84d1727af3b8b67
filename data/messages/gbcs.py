"""GBCS messages: the envelope (MAC header, grouping header, content, signature, MAC) and the content of CS02a to CS02g.

Signatures and MACs are kept as bytes and are NOT verified. The facts are from the schema in DOMAIN.md and the messages
of DCC's Reference Test Data Set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from asn1crypto.parser import parse as parse_tlv
from cryptography import x509

COMMAND, RESPONSE, ALERT = 1, 2, 3


class Malformed(ValueError):
    """Bytes that break a rule; `rule` is the truth broken, in snake_case."""

    def __init__(self, rule: str, says: str = ""):
        super().__init__(f"{rule}: {says}" if says else rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Cell:
    """A Trust Anchor Cell: role's number, DigitalSigning, KeyAgreement or KeyCertSign, and the cell usage."""

    role: int
    key_usage: str
    cell_usage: int  # 0 management, 1 prepaymentTopUp


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What became of one cell; identifiers are 64-bit integers."""

    cell: Cell
    status: int
    existing_subject: int | None  # None: zero octets, a cell that held nothing
    existing_key: int | None
    replacing_subject: int | None
    replacing_key: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """executionOutcome of CS02b."""

    authorising_counter: int
    replacement_mode: int
    counter_changes: tuple[tuple[int, int, int | None], ...]  # (role, floor, floor of prepayment top-ups)
    cells: tuple[CellOutcome, ...]


@dataclass(frozen=True, slots=True)
class CredentialsUpdated:
    """CS02b Response with executionOutcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CommandAccepted:
    """CS02b Response without executionOutcome: 30 02 05 00 of a future-dated or cancelled Command."""


@dataclass(frozen=True, slots=True)
class DeviceKeyUpdated:
    """CS02d Response (6.15.2)."""

    status: int  # 0 success


@dataclass(frozen=True, slots=True)
class CertificateSigningRequest:
    """CS02c Response (6.17) that succeeded."""

    der: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """An INTEGER in place of what was asked for (6.17, 6.24.2)."""

    status: int


@dataclass(frozen=True, slots=True)
class CellContent:
    key_usage: str
    cell_usage: int
    subject_unique_id: int
    subject_key_identifier: int


@dataclass(frozen=True, slots=True)
class RoleCells:
    """One role of CS02a / CS02f Response (6.24.1); a failed role has counter None and no cells.

    A role and a status that have no name yet are kept as their numbers.
    """

    role: int
    status: int
    counter: int | None
    cells: tuple[CellContent, ...]

    @property
    def is_at_odds(self) -> bool:
        """A success that shows no cell, or a failure that shows some: which of the two is right nobody can tell."""
        return (self.status == 0) != bool(self.cells)


@dataclass(frozen=True, slots=True)
class TrustAnchorCells:
    roles: tuple[RoleCells, ...]


@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    key_usage: str | None  # DigitalSigning or KeyAgreement; None: no use that a Device's key has, and Devices refuse it
    subject_unique_id: int | None  # the Device's EUI, from subjectAltName (or the subject's unique identifier)
    subject_key_identifier: int
    der: bytes


@dataclass(frozen=True, slots=True)
class DeviceCertificates:
    """CS02e Response (6.24.2)."""

    certificates: tuple[DeviceCertificate, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of a Device; `authorising_counter` and `outcome` only for message code 00CB (8F66, 8F67)."""

    code: int  # 0x8F66
    at: str | None  # GeneralizedTime as it stands, `20300115000000Z`
    authorising_counter: int | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Empty:
    """A header with no payload."""


@dataclass(frozen=True, slots=True)
class UpdateCells:
    """CS02b Command: the cells to be replaced, and when."""

    authorising: Cell | None
    authorising_counter: int | None
    cells: tuple[Cell, ...]
    execute_at: str | None


@dataclass(frozen=True, slots=True)
class UpdateDeviceKey:
    """CS02d Command: the certificate to be stored."""

    certificate: DeviceCertificate


@dataclass(frozen=True, slots=True)
class AskForKey:
    """CS02c and CS02e Command: the key usage asked for."""

    key_usage: str


@dataclass(frozen=True, slots=True)
class AskForCells:
    """CS02a and CS02f Command: the roles asked for."""

    roles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """Content of a use case that this project has no need of; the bytes are in `Message.raw_content`."""


Content = (
    CredentialsUpdated
    | CommandAccepted
    | DeviceKeyUpdated
    | CertificateSigningRequest
    | Failure
    | TrustAnchorCells
    | DeviceCertificates
    | Alert
    | Empty
    | UpdateCells
    | UpdateDeviceKey
    | AskForKey
    | AskForCells
    | Other
)


@dataclass(frozen=True, slots=True)
class Message:
    """One GBCS message. EUIs and counters are unsigned 64-bit integers."""

    kind: int  # COMMAND, RESPONSE or ALERT
    counter: int  # originator counter: in a Response that of the Command
    originator: int  # who sent it: in a Response or Alert the Device
    target: int
    date_time: bytes  # 0 or 12 octets
    message_code: int
    supplementary_party: int | None  # in other information of 10 or more octets
    supplementary_counter: int | None  # 18 or more
    supplementary_originator_counter: int | None  # 26
    content: Content
    raw_content: bytes
    signature: bytes  # 0 or 64 octets
    mac: bytes  # 0 or 12 octets


# GBCS message codes by use case. CS02g is CS02b for a load controller.
READ_CELLS, ISSUE_KEY, UPDATE_KEY, READ_KEY = {0x0008, 0x011B}, 0x000A, 0x000B, 0x000C
UPDATE_CELLS = {*range(0x0100, 0x010A), 0x0126}
UPDATE_CELLS_ALERTS = {0x00CB, 0x0124}
SUCCEEDED, FAILED = 0x8F66, 0x8F67
# First and last of each run of codes that GBCS gives to a use case.
KNOWN_CODES = [
    (0x01, 0x03), (0x07, 0x08), (0x0A, 0x10), (0x12, 0x15), (0x18, 0x30), (0x33, 0x40), (0x42, 0x55), (0x58, 0x5A),
    (0x5E, 0x62), (0x67, 0x69), (0x6B, 0x79), (0x7B, 0x89), (0x8B, 0x8D), (0x90, 0x90), (0x92, 0x94), (0x96, 0x97),
    (0x9B, 0x9B), (0x9D, 0xA3), (0xAB, 0xB0), (0xB2, 0xC7), (0xC9, 0xCF), (0xD1, 0xD5), (0xD7, 0xDB), (0xDE, 0xDE),
    (0xEA, 0xF2), (0xF9, 0xFE), (0x100, 0x129), (0x1000, 0x1001),
]  # fmt: skip
KEY_USAGES = {0x80: "DigitalSigning", 0x08: "KeyAgreement", 0x04: "KeyCertSign", 0x06: "KeyCertSign"}

# Transaction id, originator, recipient, date-time, other information and key of the MAC header: all of length nought.
MAC_HEADER = b"\xdd\0\0\0\0\0\0"
SECURITY_HEADER = b"\x11\0\0\0\0"
MAC_OCTETS, SIGNATURE_OCTETS = 12, 64
DEEPEST = 32
SEQUENCE, INTEGER, BITS, OCTETS, NULL, ENUMERATED, TIME = 0x30, 0x02, 0x03, 0x04, 0x05, 0x0A, 0x18
HARDWARE_MODULE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")


def decode(payload: bytes) -> Message:
    """The message in `payload`; raises `Malformed` naming the rule that it breaks."""
    whole = _Octets(payload)
    mac = b""
    if payload[:1] == b"\xdd":
        _check(whole.take(7) == MAC_HEADER, "mac_header_is_empty", "identifiers in it, or block transfer")
        whole = _Octets(whole.rest(whole.length()))
        _check(whole.take(5) == SECURITY_HEADER, "security_header_is_known", "")
        mac = whole.last(MAC_OCTETS)
    _check(whole.take(2) == b"\xdf\x09", "starts_as_gbcs", "neither a MAC header nor a grouping header")
    kind = whole.number(1)
    _check(kind in (COMMAND, RESPONSE, ALERT), "kind_is_known", f"{kind}")
    counter = whole.number(8)
    originator, target = whole.eui(), whole.eui()
    date_time = whole.take(whole.length())
    _check(len(date_time) in (0, 12), "date_time_is_of_its_length", f"{len(date_time)} octets")
    other = _Octets(whole.take(whole.length()))
    code, party, supplementary, original = _other_information(other)
    content = whole.take(whole.length())
    signature = b""
    if whole.left() or mac or kind != COMMAND:
        # Only a Pre-Command, which is not yet signed, ends with its content.
        signature = whole.take(whole.length())
        _check(len(signature) in (0, SIGNATURE_OCTETS), "signature_is_of_its_length", f"{len(signature)} octets")
    _check(not whole.left(), "nothing_follows_the_message", f"{whole.left()} octets do")
    return Message(
        kind=kind,
        counter=counter,
        originator=originator,
        target=target,
        date_time=date_time,
        message_code=code,
        supplementary_party=party,
        supplementary_counter=supplementary,
        supplementary_originator_counter=original,
        content=_content(kind, code, content),
        raw_content=content,
        signature=signature,
        mac=mac,
    )


def _other_information(other: "_Octets") -> tuple[int, int | None, int | None, int | None]:
    """Message code; then a party, its counter, and the counter of the Command that it was sent on for."""
    code = other.number(2)
    party = other.number(8) if other.left() else None
    supplementary = other.number(8) if other.left() else None
    # What is longer than a third counter is a key agreement certificate.
    original = other.number(8) if other.left() == 8 else None
    if other.left():
        certificate = other.take(other.left())
        _check(certificate[:1] == b"\x30", "other_information_is_known", "")
        _whole(certificate)
    return code, party, supplementary, original


def _content(kind: int, code: int, content: bytes) -> Content:
    _check(_is_known(code), "message_code_is_known", f"{code:04X}")
    if not content:
        return Empty()
    reader = _reader(kind, code)
    if reader is None:
        return Other()
    return _to_its_end(_Der(content), reader)


@cache
def _is_known(code: int) -> bool:
    return any(first <= code <= last for first, last in KNOWN_CODES)


@cache
def _reader(kind: int, code: int) -> Callable[["_Der"], Content] | None:
    """What reads the content of such a message; None where this project has no need of it."""
    if kind == ALERT or code in UPDATE_CELLS_ALERTS:
        _check((kind == ALERT) or code not in UPDATE_CELLS_ALERTS, "kind_is_of_the_message_code", f"{code:04X}")
        return _alert if code in UPDATE_CELLS_ALERTS else None
    if code in UPDATE_CELLS:
        return _update_cells if kind == COMMAND else _cells_updated
    if code in READ_CELLS:
        return _ask_for_cells if kind == COMMAND else _cells_read
    if code == ISSUE_KEY:
        return _ask_for_key if kind == COMMAND else _key_issued
    if code == UPDATE_KEY:
        return _update_key if kind == COMMAND else _key_updated
    if code == READ_KEY:
        return _ask_for_key if kind == COMMAND else _key_read
    return None


def _cells_updated(der: "_Der") -> Content:
    with_outcome = der.enter(SEQUENCE)
    _check(not with_outcome.take(NULL), "command_accepted_is_null", "")
    content = CredentialsUpdated(_outcome(with_outcome)) if with_outcome.left() else CommandAccepted()
    with_outcome.end()
    return content


def _alert(der: "_Der") -> Content:
    alert = der.enter(SEQUENCE)
    code, at = alert.integer(), alert.time()
    _check(code in (SUCCEEDED, FAILED), "alert_code_is_of_its_message_code", f"{code:04X}")
    outcome = _outcome(alert)
    alert.end()
    return Alert(code, at, outcome.authorising_counter, outcome)


def _outcome(der: "_Der") -> Outcome:
    outcome = der.enter(SEQUENCE)
    counter, mode = outcome.integer(), outcome.integer()
    changes = tuple(_counter_change(change) for change in outcome.each_in(SEQUENCE))
    cells = tuple(_cell_outcome(cell) for cell in outcome.each_in(SEQUENCE))
    outcome.end()
    _check(bool(cells), "an_outcome_has_cells", "")
    return Outcome(counter, mode, changes, cells)


def _counter_change(change: "_Der") -> tuple[int, int, int | None]:
    role, floor, top_up = change.integer(), change.integer(), None
    if change.left():
        for special in change.each_in(SEQUENCE):
            _check(special.integer() == 0 and top_up is None, "special_counter_is_of_top_ups", "")
            top_up = special.integer()
            special.end()
    change.end()
    return role, floor, top_up


def _cell_outcome(der: "_Der") -> CellOutcome:
    cell = _cell(der.enter(SEQUENCE))
    outcome = CellOutcome(cell, der.integer(ENUMERATED), *(der.identifier(may_be_empty=True) for _ in range(4)))
    der.end()
    return outcome


def _cell(der: "_Der") -> Cell:
    cell = Cell(der.integer(), der.key_usage(), der.cell_usage())
    der.end()
    return cell


def _cells_read(der: "_Der") -> Content:
    return TrustAnchorCells(tuple(_role_cells(role) for role in der.each_in(SEQUENCE)))


def _role_cells(der: "_Der") -> RoleCells:
    role, status, counter, cells = der.integer(), der.integer(ENUMERATED), None, ()
    if der.left():
        counter = der.integer()
        cells = tuple(_cell_content(cell) for cell in der.each_in(SEQUENCE))
    der.end()
    return RoleCells(role, status, counter, cells)


def _cell_content(der: "_Der") -> CellContent:
    content = CellContent(der.key_usage(), der.cell_usage(), der.identifier(), der.identifier())
    der.end()
    return content


def _key_issued(der: "_Der") -> Content:
    if der.is_next(INTEGER):
        return Failure(_failure(der))
    request = der.take_whole(SEQUENCE)
    parts = _Der(request).enter(SEQUENCE)
    parts.take(SEQUENCE), parts.take(SEQUENCE), parts.take(BITS)
    parts.end()
    _whole(request)
    return CertificateSigningRequest(request)


def _key_updated(der: "_Der") -> Content:
    return DeviceKeyUpdated(der.integer())


def _key_read(der: "_Der") -> Content:
    if der.is_next(INTEGER):
        return Failure(_failure(der))
    return DeviceCertificates((device_certificate(der.take_whole(SEQUENCE)),))


def _failure(der: "_Der") -> int:
    """The INTEGER in place of what was asked for; one without a name yet is a failure too, and nought is none."""
    code = der.integer()
    _check(code > 0, "failure_is_not_nought", "")
    return code


def _update_cells(der: "_Der") -> Content:
    command = der.enter(SEQUENCE)
    control = command.enter(SEQUENCE)
    control.integer()
    control.skip(0x80, 0x81)
    authorising = _cell(control.enter(0xA2)) if control.is_next(0xA2) else None
    counter = control.integer(0x83) if control.is_next(0x83) else None
    control.skip(0x84, 0xA5, 0xA6)
    control.end()
    cells = tuple(_replaced(replacement) for replacement in command.each_in(SEQUENCE))
    command.take(SEQUENCE)
    at = command.time() if command.left() else None
    command.end()
    return UpdateCells(authorising, counter, cells, at)


def _replaced(der: "_Der") -> Cell:
    der.take(SEQUENCE)
    cell = _cell(der.enter(SEQUENCE))
    der.end()
    return cell


def _update_key(der: "_Der") -> Content:
    return UpdateDeviceKey(device_certificate(der.take_whole(SEQUENCE)))


def _ask_for_key(der: "_Der") -> Content:
    asked = der.enter(SEQUENCE)
    usage = asked.key_usage()
    asked.end()
    return AskForKey(usage)


def _ask_for_cells(der: "_Der") -> Content:
    asked = der.enter(SEQUENCE)
    _cell(asked.enter(SEQUENCE))
    roles, found = asked.enter(SEQUENCE), []
    while roles.left():
        found.append(roles.integer())
    asked.end()
    return AskForCells(tuple(found))


def device_certificate(der: bytes) -> DeviceCertificate:
    """The certificate of a Device's own key."""
    try:
        # Names and extensions are read when asked for: all of it may raise.
        extensions = x509.load_der_x509_certificate(der).extensions
        identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        names = _hardware_names(extensions)
    except x509.ExtensionNotFound as error:
        raise Malformed("certificate_has_usage_and_identifier", str(error)) from error
    except Exception as error:
        # Of what is no certificate, and of times and names beyond what it holds, the library raises of many kinds.
        raise Malformed("certificate_is_der", str(error)) from error
    _check(len(identifier) == 8, "key_identifier_has_8_octets", f"{len(identifier)}")
    uses = {"DigitalSigning": usage.digital_signature, "KeyAgreement": usage.key_agreement}
    return DeviceCertificate(
        key_usage=next((name for name, is_for in uses.items() if is_for), None) if sum(uses.values()) == 1 else None,
        subject_unique_id=_hardware_serial(names[0]) if names else None,
        subject_key_identifier=int.from_bytes(identifier),
        der=der,
    )


def _hardware_names(extensions: x509.Extensions) -> list[bytes]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [n.value for n in names.get_values_for_type(x509.OtherName) if n.type_id == HARDWARE_MODULE_NAME]


def _hardware_serial(name: bytes) -> int:
    """The EUI-64 in a hardware module name."""
    parts = _Der(name).enter(SEQUENCE)
    parts.take(0x06)
    return parts.identifier()


class _Octets:
    """Octets of the envelope, from first to last."""

    def __init__(self, octets: bytes):
        self._octets = octets
        self._at = 0
        self._end = len(octets)

    def left(self) -> int:
        return self._end - self._at

    def take(self, count: int) -> bytes:
        _check(count <= self.left(), "message_is_whole", f"{count} octets wanted, {self.left()} left")
        self._at += count
        return self._octets[self._at - count : self._at]

    def rest(self, count: int) -> bytes:
        found = self.take(count)
        _check(not self.left(), "nothing_follows_the_message", f"{self.left()} octets do")
        return found

    def last(self, count: int) -> bytes:
        _check(count <= self.left(), "message_is_whole", f"{count} octets wanted, {self.left()} left")
        self._end -= count
        return self._octets[self._end : self._end + count]

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets))

    def length(self) -> int:
        first = self.number(1)
        if first < 0x80:
            return first
        _check(first in (0x81, 0x82, 0x83), "length_is_known", f"{first:02X}")
        return self.number(first & 0x7F)

    def eui(self) -> int:
        length = self.number(1)
        _check(length == 8, "system_title_has_8_octets", f"{length}")
        return self.number(8)


class _Der:
    """The elements of one constructed value, from first to last."""

    def __init__(self, octets: bytes):
        self._octets = octets

    def left(self) -> int:
        return len(self._octets)

    def end(self) -> None:
        _check(not self._octets, "nothing_follows_in_the_payload", f"{len(self._octets)} octets do")

    def is_next(self, tag: int) -> bool:
        return bool(self._octets) and self._octets[0] == tag

    def take(self, tag: int) -> bytes:
        """The value of the next element, which has this tag."""
        return self._next(tag)[1]

    def take_whole(self, tag: int) -> bytes:
        header, value = self._next(tag)
        return header + value

    def _next(self, tag: int) -> tuple[bytes, bytes]:
        if not self.is_next(tag):
            found = f"{self._octets[0]:02X}" if self._octets else "nothing"
            raise Malformed("payload_has_its_elements", f"{found} where {tag:02X} belongs")
        header, value, self._octets = _tlv(self._octets)
        return header, value

    def enter(self, tag: int) -> "_Der":
        return _Der(self.take(tag))

    def each_in(self, tag: int) -> "Iterator[_Der]":
        """The sequences in the next element, which is a sequence of them."""
        inner = self.enter(tag)
        while inner.left():
            yield inner.enter(SEQUENCE)

    def skip(self, *tags: int) -> None:
        for tag in tags:
            if self.is_next(tag):
                self.take(tag)

    def integer(self, tag: int = INTEGER) -> int:
        value = self.take(tag)
        _check(0 < len(value) <= 9, "integer_is_of_64_bits", f"{len(value)} octets")
        _check(value[0] < 0x80, "integer_is_not_negative", "")
        _check(len(value) == 1 or value[0] or value[1] >= 0x80, "payload_is_der", "an integer has octets to spare")
        _check(len(value) < 9 or not value[0], "integer_is_of_64_bits", "")
        return int.from_bytes(value)

    def identifier(self, may_be_empty: bool = False) -> int | None:
        value = self.take(OCTETS)
        if not value and may_be_empty:
            return None
        _check(len(value) == 8, "identifier_has_8_octets", f"{len(value)}")
        return int.from_bytes(value)

    def key_usage(self) -> str:
        value = self.take(BITS)
        _check(len(value) == 2 and value[0] < 8, "key_usage_is_known", value.hex())
        _check(value[1] in KEY_USAGES and not value[1] & ((1 << value[0]) - 1), "key_usage_is_known", value.hex())
        return KEY_USAGES[value[1]]

    def cell_usage(self) -> int:
        """Nought, management, is the default: some encode it, some leave it out."""
        usage = self.integer() if self.is_next(INTEGER) else 0
        _check(usage in (0, 1), "cell_usage_is_known", f"{usage}")
        return usage

    def time(self) -> str:
        value = self.take(TIME)
        _check(len(value) == 15 and value[:14].isdigit() and value[14:] == b"Z", "time_is_generalized_time", "")
        return value.decode("ascii")


def _tlv(octets: bytes) -> tuple[bytes, bytes, bytes]:
    """Header and value of the first element, and what follows it."""
    # Nearly all have a tag and a length of one octet each: to read those here takes half the time.
    if len(octets) > 1 and octets[1] < 0x80 and octets[0] & 0x1F != 0x1F:
        end = 2 + octets[1]
        if end <= len(octets):
            return octets[:2], octets[2:end], octets[end:]
    try:
        _, _, _, header, value, trailer = parse_tlv(octets)
    except ValueError as error:
        raise Malformed("payload_is_der", str(error)) from error
    # Lengths of more octets than needed are no DER, but real Devices and DCC's own test data have them.
    _check(not trailer and header[1:2] != b"\x80", "payload_is_der", "an element of no definite length")
    return header, value, octets[len(header) + len(value) :]


def _whole(octets: bytes) -> None:
    """Checks that every element is whole, down to the last."""
    todo = [(octets, 0)]
    while todo:
        octets, depth = todo.pop()
        _check(depth <= DEEPEST, "payload_is_not_too_deep", "")
        while octets:
            header, value, octets = _tlv(octets)
            if header[0] & 0x20:
                todo.append((value, depth + 1))


def _to_its_end(der: "_Der", reader: Callable[["_Der"], Content]) -> Content:
    content = reader(der)
    der.end()
    return content


def _check(kept: bool, rule: str, says: str) -> None:
    if not kept:
        raise Malformed(rule, says)

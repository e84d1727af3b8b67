"""A kept message (DUIS XML, or GBCS as hex) taken apart: what it says, and which octets say it."""

from dataclasses import dataclass

from data.messages import duis, gbcs
from data.messages.gbcs import Malformed

# A message that is longer is not shown: the longest kept one has some thousands of octets.
MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Taken:
    """The DUIS message, the GBCS message (in it or by itself) and its octets; `broken` names a rule that it breaks."""

    duis: duis.Request | duis.Response | duis.DeviceAlert | duis.DCCAlert | None
    gbcs: gbcs.Message | None
    octets: bytes
    broken: str | None


def take_apart(text: str) -> Taken:
    """Never raises: what cannot be read says which rule it breaks, with as much of it as could be read."""
    text = text.strip()
    outer, octets = None, b""
    try:
        if len(text) > MOST_CHARACTERS:
            raise Malformed("message_is_not_too_long")
        if text.startswith("<"):
            outer = duis.parse(text.encode("utf-8", "replace"))
            octets = getattr(outer, "payload", None) or b""
        else:
            octets = _from_hex(text)
        return Taken(outer, gbcs.decode(octets) if octets or outer is None else None, octets, None)
    except Malformed as error:
        return Taken(outer, None, octets, str(error))


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Malformed("message_is_hex") from error


def spaced(octets: bytes) -> str:
    """Hex in groups of 8 octets, so that a line can break between them."""
    return octets.hex(" ", -8).upper()


def octets_of_cells(message: gbcs.Message) -> list[bytes]:
    """The octets of each cell of an outcome, or of each role of a read, in the order of the decoded ones."""
    match message.content:
        case gbcs.CredentialsUpdated() | gbcs.Alert(outcome=gbcs.Outcome()):
            return _elements(_value(_last_of(_last_of(message.raw_content))))
        case gbcs.TrustAnchorCells():
            return _elements(_value(message.raw_content))
    return []


def octets_in_role(role: bytes) -> list[bytes]:
    """The octets of each cell in those of a role that was read."""
    return _elements(_value(_last_of(role)))


def _last_of(element: bytes) -> bytes:
    """The last element of a sequence."""
    return _elements(_value(element))[-1]


def _elements(octets: bytes) -> list[bytes]:
    """The DER elements that stand one after another in `octets`, which `gbcs.decode` has already found to be right."""
    found, place = [], 0
    while place < len(octets):
        start, size = _header(octets, place)
        found.append(octets[place : start + size])
        place = start + size
    return found


def _value(element: bytes) -> bytes:
    return element[_header(element, 0)[0] :]


def _header(octets: bytes, place: int) -> tuple[int, int]:
    """(where the value starts, its size) of the element at `place`."""
    first = octets[place + 1]
    if first < 0x80:
        return place + 2, first
    start = place + 2 + (first & 0x7F)
    return start, int.from_bytes(octets[place + 2 : start])

"""Broken bytes of every kind, by hand and at random: told by rule, never a crash, a hang or a flood of memory.

`PCO_THOROUGH=1` runs the random part for ten minutes; run with `-s` it prints how many cases there were.
"""

import base64
import random
import resource
import signal
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from messages import encoder
from messages.encoder import ALERT, COMMAND, RESPONSE
from thorough import times

from data.messages import certificates, duis, gbcs, ingest, status
from data.messages.gbcs import Malformed

RTDS = Path(__file__).resolve().parents[3] / "shared" / "rtds"
SECONDS = times(quick=4, thorough=600)
# A call takes a tenth of a millisecond; on a busy machine a thousand times that is still no hang.
MOST_SECONDS_A_CALL = 5
MOST_GROWTH = 400 * 1024 * 1024
METER, SUPPLIER = 0x00DB1234567890A0, 0x90B3D51F30010000
AT = datetime(2021, 8, 3, 10, 15)
SRVS = ["6.15.1", "6.15.2", "6.17", "6.21", "6.23", "6.24.1", "6.24.2", "8.1.1"]
IDENTIFIER = encoder.request_id(SUPPLIER, METER, 1000)


class Hung(BaseException):
    """No `except Exception` hides it."""


def messages():
    """A valid GBCS message of each kind."""
    outcome = encoder.outcome(
        1000,
        2,
        [encoder.counter_change(2, 0, 0)],
        [
            encoder.replaced((2, "DigitalSigning", None), 0, (SUPPLIER, 1), (SUPPLIER, 2)),
            encoder.replaced((2, "KeyAgreement", 1), 10, (SUPPLIER, 3), (SUPPLIER, 4)),
        ],
    )
    device = encoder.certificate("DigitalSigning", 5, device=METER)
    party = encoder.certificate("DigitalSigning", 6, party=SUPPLIER)
    command = encoder.cells_command(
        2, (2, "DigitalSigning", None), 1000, 0, [(party, (2, "DigitalSigning", None))], [party], 0, AT
    )
    read = encoder.cells_read(
        [
            encoder.role_cells(2, 0, 7, [encoder.held("DigitalSigning", None, SUPPLIER, 8)]),
            encoder.role_cells(3, 25),
        ]
    )
    back, there = (METER, SUPPLIER), (SUPPLIER, METER)
    made = [
        encoder.message(RESPONSE, 1000, *back, 0x0102, encoder.cells_response(outcome), date_time=encoder.DATE_TIME),
        encoder.message(RESPONSE, 1000, *back, 0x0102, encoder.cells_response()),
        encoder.message(ALERT, 9, *back, 0x00CB, encoder.cells_alert(0x8F66, AT, outcome)),
        encoder.message(COMMAND, 1000, *there, 0x0102, command, mac=encoder.MAC),
        encoder.message(RESPONSE, 1000, *back, 0x000B, encoder.integer(0)),
        encoder.message(RESPONSE, 1000, *back, 0x000A, encoder.signing_request()),
        encoder.message(RESPONSE, 1000, *back, 0x000A, encoder.integer(2)),
        encoder.message(RESPONSE, 1000, *back, 0x000C, device),
        encoder.message(COMMAND, 1000, *there, 0x000B, device, mac=encoder.MAC),
        encoder.message(RESPONSE, 1000, *back, 0x0008, read, signature=b"", mac=encoder.MAC, supplementary=(1, 2, 3)),
        encoder.message(RESPONSE, 1000, *back, 0x0008, b""),
    ]
    if RTDS.is_dir():
        made += [bytes.fromhex(path.read_text()) for path in sorted((RTDS / "gbcs").iterdir())]
    return made


MESSAGES = messages()
DEVICE_DER = encoder.certificate("KeyAgreement", 5, device=METER)
PARTY_DER = encoder.certificate("KeyAgreement", 6, party=SUPPLIER)
LIST_DER = encoder.revocation_list([1, 2**150, 7], AT)


def documents():
    body = encoder.update_cells_body("Supplier", encoder.replacement(PARTY_DER, PARTY_DER), AT)
    return [
        text.encode()
        for text in (
            encoder.request(IDENTIFIER, "6.15.1", 4, body),
            encoder.request(IDENTIFIER, "6.15.1", 5, encoder.signed_body(MESSAGES[3])),
            encoder.request(IDENTIFIER, "6.15.2", 4, encoder.update_key_body(DEVICE_DER)),
            encoder.request(IDENTIFIER, "6.24.1", 1, encoder.read_cells_body(["Supplier", "Recovery"])),
            encoder.response(IDENTIFIER, "I0", AT, "6.15.1", MESSAGES[0]),
            encoder.response(IDENTIFIER, "I99", AT, "6.15.1"),
            encoder.pre_command(IDENTIFIER, AT, "6.15.1", MESSAGES[3]),
            encoder.future_dated_alert(IDENTIFIER, 0x8F66, AT, "6.15.1", MESSAGES[2]),
            encoder.device_alert(0x8F66, AT, MESSAGES[2]),
            encoder.dcc_alert("N44", AT, METER),
        )
    ]


DOCUMENTS = documents()
LINES = [encoder.line(AT, text.decode()) for text in DOCUMENTS]


# --- what is done to bytes ------------------------------------------------------------------------------------


def flip(content, dice):
    place = dice.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << dice.randrange(8)]) + content[place + 1 :]


def truncate(content, dice):
    return content[: dice.randrange(len(content))]


def insert(content, dice):
    place = dice.randrange(len(content) + 1)
    return content[:place] + dice.randbytes(dice.choice([1, 1, 2, 8, 300])) + content[place:]


def delete(content, dice):
    place = dice.randrange(len(content))
    return content[:place] + content[place + dice.choice([1, 2, 8]) :]


def lie(content, dice):
    """Another octet, or several, where a length, a tag or a number may be."""
    place = dice.randrange(len(content))
    odd = [
        b"\x00",
        b"\x7f",
        b"\x80",
        b"\x81\xff",
        b"\x82\xff\xff",
        b"\x83\xff\xff\xff",
        b"\x84\xff\xff\xff\xff",
        b"\xff",
    ]
    odd += [b"\x88" + b"\xff" * 8, b"\x30\x80", b"\x02\x82\x10\x00", b"\x05\x00"]
    new = dice.choice(odd)
    return content[:place] + new + content[place + dice.choice([0, 1, len(new)]) :]


def repeat(content, dice):
    start = dice.randrange(len(content))
    chunk = content[start : start + dice.choice([1, 2, 10, 100])]
    return content[:start] + chunk * dice.choice([2, 3, 50]) + content[start:]


def nest(content, dice):
    """Deeply nested, as DER or XML."""
    deep = dice.choice([10, 100, 3000])
    opened, closed = dice.choice([(b"\x30\x80", b""), (b"\x30\x82\x7f\xff", b""), (b"<a>", b"</a>"), (b"[", b"]")])
    place = dice.randrange(len(content))
    return content[:place] + opened * deep + content[place:] + closed * deep


def splice(content, dice):
    other = dice.choice(dice.choice([MESSAGES, DOCUMENTS, LINES]))
    place = dice.randrange(len(content))
    return content[:place] + other[dice.randrange(len(other)) :]


WAYS = [flip, flip, flip, truncate, insert, delete, lie, lie, repeat, nest, splice]


def broken(content, dice):
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        content = dice.choice(WAYS)(content or b"\0", dice)
    return content


# --- what is tried: each returns whether the bytes were taken -------------------------------------------------


def decode(content):
    try:
        found = gbcs.decode(content)
    except Malformed:
        return False
    for srv in SRVS:
        try:
            assert status.execution_status(srv, found) in (None, "", "success", "failure", "partial")
        except Malformed:
            continue
    for _, usage, code, subject, key in status.cells(found):
        assert code
        assert usage is None or usage.isalpha()
        assert all(number is None or 0 <= number < 2**64 for number in (subject, key))
    return True


def parse(content):
    try:
        found = duis.parse(content)
    except Malformed:
        return False
    payload = getattr(found, "payload", None)
    if payload:
        decode(payload)
    return True


def wrapped(content):
    """A payload inside XML that is right."""
    taken = parse(encoder.response(IDENTIFIER, "I0", AT, "6.15.1", content).encode())
    assert taken
    return decode(content)


def as_certificate(content):
    try:
        certificates.parse(content)
    except certificates.Unusable:
        return False
    return True


def as_list(content):
    try:
        certificates.revoked(content, AT)
    except certificates.Unusable:
        return False
    return True


def in_base64(dice):
    text = broken(base64.b64encode(dice.choice(MESSAGES)), dice).decode("latin-1").replace("<", "").replace("&", "")
    xml = encoder.response(IDENTIFIER, "I0", AT, "6.15.1", b"@").replace(base64.b64encode(b"@").decode(), text)
    return parse(xml.encode())


TARGETS = {
    "GBCS": lambda dice: decode(broken(dice.choice(MESSAGES), dice)),
    "GBCS in XML": lambda dice: wrapped(broken(dice.choice(MESSAGES), dice)),
    "base64 in XML": in_base64,
    "DUIS": lambda dice: parse(broken(dice.choice(DOCUMENTS), dice)),
    "certificate": lambda dice: as_certificate(broken(dice.choice([DEVICE_DER, PARTY_DER]), dice)),
    "revocation list": lambda dice: as_list(broken(LIST_DER, dice)),
}


def hung(*_):
    raise Hung


@pytest.fixture(autouse=True)
def bounded():
    """No call hangs, and none allocates wildly."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, hung)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_GROWTH, f"{grown:,} octets more"


def within_bounds(call, *arguments):
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS_A_CALL)
    try:
        return call(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_everything_is_taken_as_long_as_it_is_whole():
    assert all(decode(content) for content in MESSAGES)
    assert all(parse(content) for content in DOCUMENTS)
    assert as_certificate(DEVICE_DER)
    assert as_certificate(PARTY_DER)
    assert as_list(LIST_DER)


def test_broken_bytes_are_told_by_rule_and_nothing_else_happens():
    """Each case is made from its number, which a failure prints."""
    tried, taken = Counter(), Counter()
    give_up, number = time.monotonic() + SECONDS, 0
    names = list(TARGETS)
    while time.monotonic() < give_up:
        name = names[number % len(names)]
        dice = random.Random(number)
        try:
            taken[name] += within_bounds(TARGETS[name], dice)
        except BaseException as error:
            pytest.fail(f"case {number} of {name}: {type(error).__name__}: {error}")
        tried[name] += 1
        number += 1
    print(f"\n{number:,} cases in {SECONDS} s:", {name: (tried[name], taken[name]) for name in names})
    # The fuzzer is of use only if most of it is refused, and some of it is not.
    assert 0 < sum(taken.values()) < number / 2


@pytest.mark.parametrize("content", MESSAGES, ids=range(len(MESSAGES)))
def test_a_message_cut_anywhere_is_not_taken(content):
    for size in range(len(content)):
        # A Command without signature is a Pre-Command: cut there it is whole.
        if decode(content[:size]):
            assert gbcs.decode(content[:size]).signature == b""
            assert gbcs.decode(content[:size]).kind == COMMAND


# --- what attackers of XML have done before -------------------------------------------------------------------

GATEWAY = encoder.NAMESPACE
BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha" * 100}">' for n in range(10))
INNER = DOCUMENTS[5].decode().split("\n", 1)[1]


@pytest.mark.parametrize(
    "xml",
    [
        f"<!DOCTYPE r [{BOMB}]>" + INNER.replace(IDENTIFIER, "&a9;"),
        f'<!DOCTYPE r [<!ENTITY x "{"A" * 1_000_000}">]>' + INNER.replace(IDENTIFIER, "&x;" * 1000),
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + INNER.replace(IDENTIFIER, "&x;"),
        '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">' + INNER,
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "file:///dev/zero">%p;]>' + INNER,
        "<!DOCTYPE sr:Response>" + INNER,
        INNER.replace(IDENTIFIER, "&undefined;"),
        INNER.replace(IDENTIFIER, f"<![CDATA[{IDENTIFIER}]]>x"),
        "<a>" * 200_000,
        "<a>" * 100_000 + "</a>" * 100_000,
        "<a " + " ".join(f'b{n}="1"' for n in range(100_000)) + "/>",
        f'<sr:Response xmlns:sr="{GATEWAY}">' + "<sr:Header>" * 250 + "</sr:Header>" * 250 + "</sr:Response>",
        INNER + INNER,
        INNER + "\0",
        INNER.replace(GATEWAY, GATEWAY.upper()),
        "",
        "\ufeff",
        "null",
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>',
        "A" * 20_000_000,
    ],
    ids=lambda xml: xml[:40],
)
def test_hostile_xml_is_not_taken(xml):
    with pytest.raises(Malformed):
        within_bounds(duis.parse, xml.encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"])
def test_a_dtd_does_not_hide_in_another_encoding(encoding):
    xml = f"<?xml version='1.0' encoding='{encoding}'?><!DOCTYPE r [{BOMB}]>" + INNER.replace(IDENTIFIER, "&a9;")
    with pytest.raises(Malformed):
        within_bounds(duis.parse, xml.encode(encoding))


@pytest.mark.parametrize("deep", [1, 10, 1000, 60_000])
@pytest.mark.parametrize("opened", [b"\x30\x80", b"\x30\x82\xff\xff", b"\xa0\x80", b"\x30\x84\x7f\xff\xff\xff"])
def test_deeply_nested_payloads_are_not_taken(opened, deep):
    content = (opened * deep)[:65_000]
    for code in (0x0102, 0x000A, 0x000C, 0x0008):
        assert not within_bounds(decode, encoder.message(RESPONSE, 1, METER, SUPPLIER, code, content))


# --- log lines ------------------------------------------------------------------------------------------------


def test_broken_lines_of_a_log_stop_no_line_of_another(tmp_path):
    """Each log is broken lines and whole ones: it is read to its end, and the whole ones are there."""
    rounds = times(quick=2, thorough=100)
    for number in range(rounds):
        dice = random.Random(number)
        good = encoder.request(
            encoder.request_id(SUPPLIER, METER, 10_000 + number), "6.17", 5, encoder.issue_body("Key Agreement")
        )
        lines = [broken(dice.choice(LINES), dice).replace(b"\n", b" ") + b"\n" for _ in range(150)]
        lines.insert(dice.randrange(len(lines)), encoder.line(AT, good))
        home = tmp_path / str(number)
        encoder.write_log(home / "in" / dice.choice(["a.ndjson", "a.ndjson.gz", "a.ndjson.zst"]), lines)
        told = ingest.ingest(home / "in", home / "out")
        assert told.lines == sum(bool(line.strip()) for line in lines)
        assert sum(told.quarantined.values()) > 0
        rows = pl.read_parquet(home / "out" / "service_responses", hive_partitioning=False)
        assert rows.filter(pl.col("originator_counter") == 10_000 + number)["srv"].to_list() == ["6.17"]

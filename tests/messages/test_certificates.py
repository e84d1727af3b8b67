"""`pco certificates`: certificates and revocation lists made here in code, whole and broken, to the extract."""

import base64
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from asn1crypto import x509 as asn1
from builds import CELLS, folders, pco
from builds import KEY as HELD
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from data.export import outcomes_frame
from data.extracts import InputRefused
from data.marts import current
from data.messages import certificates

RTDS = Path(__file__).resolve().parents[3] / "shared" / "rtds"
KEY = ec.derive_private_key(7, ec.SECP256R1())
Z1, Z2 = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Z1", "Z2"))
ISSUED, ENDS = datetime(2020, 1, 1), datetime(2030, 1, 1)
NOW = datetime(2021, 9, 17)
EUI = "90-B3-D5-1F-30-01-00-00"
IDENTIFIER = "43-04-6B-4F-B7-C4-F1-1B"
GOOD = {
    "subject_unique_id": EUI,
    "remote_party_role": "Supplier",
    "certificate_usage": "DigitalSigning",
    "subject_key_identifier": IDENTIFIER,
    "status": "InUse",
}
PURPOSE = {"DigitalSigning": "digital_signature", "KeyAgreement": "key_agreement"}
PURPOSES = ("digital_signature", "key_agreement", "key_cert_sign")


def octets(text):
    return bytes.fromhex(text.replace("-", ""))


def party(eui=EUI, ous=("02",), unused=0):
    unique = bytes([unused]) + octets(eui)
    names = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, ou) for ou in ous]
    return [
        *names,
        x509.NameAttribute(
            NameOID.X500_UNIQUE_IDENTIFIER, unique, _type=x509.name._ASN1Type.BitString, _validate=False
        ),
    ]


def made(
    subject=None,
    purposes=("digital_signature",),
    identifier=IDENTIFIER,
    serial=1000,
    issuer=Z1,
    ends=ENDS,
    hardware=None,
):
    """DER of a certificate; `hardware` is the Device's EUI in subjectAltName."""
    subject = party() if subject is None else subject
    builder = x509.CertificateBuilder(issuer, x509.Name(subject), KEY.public_key(), serial, ISSUED, ends)
    if purposes is not None:
        usage = dict.fromkeys(
            (*PURPOSES, "content_commitment", "key_encipherment", "data_encipherment", "crl_sign"), False
        ) | {"encipher_only": False, "decipher_only": False}
        usage |= dict.fromkeys(purposes, True)
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    if identifier is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(octets(identifier)), critical=False)
    if hardware is not None:
        module = bytes.fromhex("060D2A863A0001848FB90F01020201") + bytes([4, len(octets(hardware))]) + octets(hardware)
        module = bytes([0x30, len(module)]) + module
        name = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4"), module)
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def crl(serials, issuer=Z1, at=datetime(2021, 1, 1), reason=None):
    builder = x509.CertificateRevocationListBuilder(issuer, at, at + timedelta(days=30))
    for serial in serials:
        entry = x509.RevokedCertificateBuilder(serial, at)
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem(der, label="CERTIFICATE"):
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()


def put(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def rows(out):
    return pl.read_parquet(out / "certificates").sort(pl.all()).to_dicts()


def read(tmp_path, files, as_at=NOW):
    """(rows of the extract, lines of what was left out)."""
    told = certificates.write(put(tmp_path / "in", files), tmp_path / "out", as_at)
    found = rows(tmp_path / "out")
    assert told.rows == len(found) == sum(told.by_status.values())
    return found, told.problems


def test_a_certificate_is_read_from_der_and_from_pem_of_any_name(tmp_path):
    other = made(party(ous=("03",)))
    files = {
        "a.bin": made(),
        "deep/b": pem(other) + b"\r\n",
        "c.txt": b"Subject: someone\n" + pem(made(party(ous=("04",)))),
    }
    found, problems = read(tmp_path, files)
    assert problems == []
    assert found == [GOOD | {"remote_party_role": role} for role in ("ACB", "NetworkOperator", "Supplier")]


@pytest.mark.parametrize(
    ("ou", "role"),
    [
        ("00", "Root"),
        ("01", "Recovery"),
        ("02", "Supplier"),
        ("03", "NetworkOperator"),
        ("04", "ACB"),
        ("05", "TransCoS"),
        ("08", "LoadController"),
        # Kept, as the contract keeps an unknown code; a build counts it as unrecognised.
        ("7F", "Other"),
        ("8a", "8A"),
    ],
)
def test_the_ou_is_a_role_code_in_hex(tmp_path, ou, role):
    found, _ = read(tmp_path, {"a": made(party(ous=(ou,)))})
    assert [row["remote_party_role"] for row in found] == [role]


@pytest.mark.parametrize(
    ("purposes", "usage"),
    [
        (["digital_signature"], "DigitalSigning"),
        (["key_agreement"], "KeyAgreement"),
        (["key_cert_sign", "crl_sign"], "KeyCertSign"),
    ],
)
def test_usage_is_the_key_usage(tmp_path, purposes, usage):
    found, _ = read(tmp_path, {"a": made(purposes=purposes)})
    assert found == [GOOD | {"certificate_usage": usage}]


def test_a_devices_certificate_names_its_eui_in_the_alternative_name(tmp_path):
    device = "00-DB-12-34-56-78-90-A0"
    found, problems = read(tmp_path, {"a": made([], hardware=device)})
    assert (found, problems) == ([GOOD | {"subject_unique_id": device, "remote_party_role": "Device"}], [])


BAD = {
    "truncated": (made()[:-40], "is no certificate"),
    "cut at a length": (made()[:2], "is no certificate"),
    "a length that lies": (b"\x30\x84\x7f\xff\xff\xff" + made(), "is no certificate"),
    "trailing bytes": (made() + b"\0", "is no certificate"),
    "not der": (b"hello", "is no certificate"),
    "nothing": (b" \n", "is empty"),
    "deep nesting": (b"\x30\x80" * 100_000, "is no certificate"),
    "eui of 7 octets": (made(party(EUI[:-3])), "7 octets, not 8"),
    "eui of 9 octets": (made(party(EUI + "-00")), "9 octets, not 8"),
    "eui of 61 bits": (made(party(unused=3)), "no whole number of octets"),
    "two euis": (made(party() + party(ous=())), "two x500UniqueIdentifiers"),
    "no eui": (made(party()[:1]), "no x500UniqueIdentifier"),
    "two ous": (made(party(ous=("02", "03"))), "2 OUs"),
    "no ou": (made(party(ous=())), "no OU"),
    "ou in words": (made(party(ous=("Supplier",))), "no remote party role code"),
    "ou of one digit": (made(party(ous=("2",))), "no remote party role code"),
    "no key identifier": (made(identifier=None), "no SubjectKeyIdentifier"),
    "long key identifier": (made(identifier="-".join(["AB"] * 20)), "20 octets, not 8"),
    "no key usage": (made(purposes=None), "no keyUsage"),
    "two usages": (made(purposes=["digital_signature", "key_agreement"]), "where it is one"),
    "no usage of the three": (made(purposes=["crl_sign"]), "where it is one"),
    "device eui of 7 octets": (made([], hardware=EUI[:-3]), "7 octets, not 8"),
    "device and party": (made(hardware=EUI), "both a Device and a party"),
    "a key": (pem(b"\x30\x03\x02\x01\x05", "EC PRIVATE KEY"), "is no certificate, but EC PRIVATE KEY"),
    "base64 broken": (pem(made()).replace(b"M", b"!", 1), "is no base64"),
    "pem without end": (pem(made())[:-40], "has no end"),
    "pem without label": (b"-----BEGIN " + b"A" * 500, "has no label"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_a_row_is_named_with_file_and_reason_and_the_rest_goes_on(tmp_path, name):
    content, reason = BAD[name]
    found, problems = read(tmp_path, {"bad file": content, "good": made()})
    assert found == [GOOD]
    assert len(problems) == 1
    assert problems[0].startswith("bad file: ")
    assert reason in problems[0]


def test_a_serial_number_of_300_octets_is_read_and_a_negative_one_is_not(tmp_path):
    longest = asn1.Certificate.load(made())
    longest["tbs_certificate"]["serial_number"] = 2**2400
    negative = bytearray(made(serial=2**150))
    negative[negative.index((2**150).to_bytes(19, "big"))] = 0x80
    found, problems = read(tmp_path, {"longest": longest.dump(force=True), "negative": bytes(negative)})
    assert found == [GOOD]
    assert [line.split(":")[0] for line in problems] == ["negative"]


def test_a_serial_number_of_20_octets_can_be_revoked(tmp_path):
    found, _ = read(tmp_path, {"a": made(serial=2**158 - 1), "crl": crl([2**158 - 1])})
    assert found == [GOOD | {"status": "Revoked"}]


def test_a_part_of_a_file_is_left_out_alone(tmp_path):
    content = pem(made()) + pem(made()[:-9]) + pem(made(party(ous=("03",))))
    found, problems = read(tmp_path, {"bundle.pem": content})
    assert [row["remote_party_role"] for row in found] == ["NetworkOperator", "Supplier"]
    assert [line.split(": ")[0] for line in problems] == ["bundle.pem (part 2 of 3)"]


def test_a_certificate_that_stands_twice_is_one_row(tmp_path):
    found, _ = read(tmp_path, {"a": made(), "b": pem(made()) * 2})
    assert found == [GOOD]


@pytest.mark.parametrize("wrap", [lambda der: der, lambda der: pem(der, "X509 CRL")])
def test_a_list_revokes_by_issuer_and_serial_number(tmp_path, wrap):
    files = {
        "0-crl": wrap(crl([1000, 2000])),
        "mine": made(),
        "others": made(party(ous=("03",)), issuer=Z2),
        "not listed": made(party(ous=("04",)), serial=1001),
    }
    found, problems = read(tmp_path, files)
    assert {row["remote_party_role"]: row["status"] for row in found} == {
        "Supplier": "Revoked",
        "NetworkOperator": "InUse",
        "ACB": "InUse",
    }
    assert problems == []


@pytest.mark.parametrize(
    ("listed", "status"),
    [
        (crl([1000], issuer=Z2), "InUse"),
        (crl([1000], at=NOW + timedelta(seconds=1)), "InUse"),
        (crl([1000], at=NOW), "Revoked"),
        (crl([1000], reason=x509.ReasonFlags.certificate_hold), "Revoked"),
        (crl([1000], reason=x509.ReasonFlags.remove_from_crl), "InUse"),
        (crl([]), "InUse"),
    ],
    ids=["of another issuer", "later", "at that time", "on hold", "taken back", "empty"],
)
def test_what_a_list_does_not_say_revokes_nothing(tmp_path, listed, status):
    found, _ = read(tmp_path, {"crl": listed, "a": made()})
    assert [row["status"] for row in found] == [status]


def test_a_list_of_other_issuers_certificates_and_a_broken_one_are_left_out(tmp_path):
    builder = x509.CertificateRevocationListBuilder(Z1, ISSUED, ENDS)
    point = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)
    indirect = builder.add_extension(point, critical=True).sign(KEY, hashes.SHA256())
    files = {"a": made(), "b": indirect.public_bytes(serialization.Encoding.DER), "c": crl([1000])[:-3]}
    found, problems = read(tmp_path, files)
    assert found == [GOOD]
    assert [line.split(":")[0] for line in problems] == ["b", "c"]


@pytest.mark.parametrize(
    ("as_at", "status"),
    [(ENDS - timedelta(seconds=1), "InUse"), (ENDS, "InUse"), (ENDS + timedelta(seconds=1), "Expired")],
)
def test_expired_is_after_not_after(tmp_path, as_at, status):
    assert read(tmp_path, {"a": made()}, as_at)[0] == [GOOD | {"status": status}]


def test_revoked_says_more_than_expired(tmp_path):
    found, _ = read(tmp_path, {"a": made(), "crl": crl([1000])}, ENDS + timedelta(days=1))
    assert found == [GOOD | {"status": "Revoked"}]


def test_now_is_the_default(tmp_path):
    today = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    files = {"a": made(ends=today - timedelta(hours=1)), "b": made(party(ous=("03",)), ends=today + timedelta(hours=1))}
    found, _ = read(tmp_path, files, None)
    assert [(row["remote_party_role"], row["status"]) for row in found] == [
        ("NetworkOperator", "InUse"),
        ("Supplier", "Expired"),
    ]


def test_links_and_pipes_are_not_opened(tmp_path):
    folder = put(tmp_path / "in", {"good": made()})
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/dev/zero")
    (folder / "folder").symlink_to("/")
    told = certificates.write(folder, tmp_path / "out", NOW)
    assert sorted(told.problems) == ["folder: is a link", "link: is a link", "pipe: is no regular file"]


def test_many_unfinished_blocks_take_no_longer_than_few(tmp_path):
    _, problems = read(tmp_path, {"a": b"-----BEGIN CERTIFICATE-----\n" * 50_000, "b": made()})
    assert len(problems) == 50_000


@pytest.mark.parametrize("files", [{}, {"a": b"hello"}, {"crl": crl([1])}])
def test_with_no_certificate_nothing_is_changed(tmp_path, files):
    before = certificates.write(put(tmp_path / "old", {"a": made()}), tmp_path / "out", NOW)
    with pytest.raises(InputRefused):
        certificates.write(put(tmp_path / "in", files), tmp_path / "out", NOW)
    assert len(rows(tmp_path / "out")) == before.rows


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_told_as_unusable(content):
    with pytest.raises(certificates.Unusable):
        certificates.parse(content)
    with pytest.raises(certificates.Unusable):
        certificates.revoked(content, NOW)


def test_the_command_tells_what_it_left_out(tmp_path):
    folder = put(tmp_path / "in", {"a": made(), "b\n[red]": b"x", "crl": crl([5])})
    done = pco("certificates", "--from", folder, "--out", tmp_path / "out", "--as-at", "2021-09-17T00:00:00+00:00")
    assert done.status == 0
    assert "1 certificates (1 InUse)" in done.out
    assert done.err.count("pco: left out:") == 1
    assert "b\\n[red]" in done.err
    assert rows(tmp_path / "out") == [GOOD]


def test_the_command_refuses_a_folder_without_certificates(tmp_path):
    folder = put(tmp_path / "in", {"a": b"x"})
    done = pco("certificates", "--from", folder, "--out", tmp_path / "out")
    assert done.status == 3
    assert "a: is no certificate" in done.err
    assert not (tmp_path / "out").exists()
    assert pco("certificates", "--from", tmp_path / "gone", "--out", tmp_path / "out").status == 3
    assert pco("certificates", "--from", folder, "--out", tmp_path / "out", "--as-at", "x").status == 2


@pytest.mark.parametrize(("listed", "actual"), [([9], "secure"), ([1], "not_secure")])
def test_the_extract_is_built_from_as_it_is(tmp_path, listed, actual):
    """The certificates that the Devices hold, from files: all in use, then one of them revoked."""
    estate = folders(tmp_path)
    shutil.rmtree(estate.extracts / "certificates")
    codes = {"Supplier": "02", "NetworkOperator": "03", "Recovery": "01"}
    files = {
        f"{number}.pem": pem(made(party(subject, (codes[role],)), [PURPOSE[usage]], HELD, serial=number))
        for number, (role, usage, subject) in enumerate(CELLS, 1)
    }
    files["authority.crl"] = crl(listed)
    folder = put(tmp_path / "smki", files)
    assert pco("certificates", "--from", folder, "--out", estate.extracts, "--as-at", "2021-09-17").status == 0
    assert pco("build", "--extracts", estate.extracts, "--marts", estate.marts).status == 0
    snapshot = current(estate.marts)
    assert set(outcomes_frame(snapshot)["actual"]) == {actual}
    assert snapshot.manifest["extracts"]["certificates"]["rows"] == len(CELLS)
    assert snapshot.manifest["extracts"]["certificates"]["quarantined"] == 0


@pytest.mark.skipif(not RTDS.is_dir(), reason="the Reference Test Data Set is not in ../shared/rtds")
def test_certificates_of_the_reference_test_data_set(tmp_path):
    """The certificates inside a Command and a Response, cut out by what DER says of their length."""
    command = bytes.fromhex(
        (RTDS / "gbcs/CS02bSupplierBySupplier_6.15.1_FUTURE_DATED_SUCCESS_COMMAND_GBCS.HEX").read_text()
    )
    reply = bytes.fromhex((RTDS / "gbcs/CS02e_6.24.2_SUCCESS_RESPONSE_GBCS.HEX").read_text())
    files = {}
    for name, content in (("command", command), ("reply", reply)):
        start = -1
        # SEQUENCE of two-octet length, version 3 in [0]: certificates and nothing else here.
        while (start := content.find(b"\xa0\x03\x02\x01\x02\x02", start + 1)) > 0:
            outer = start - 8
            size = int.from_bytes(content[outer + 2 : outer + 4], "big") + 4
            files[f"{name}{start}"] = content[outer : outer + size]
    found, problems = read(tmp_path, files)
    assert [(row["subject_unique_id"], *list(row.values())[1:4]) for row in found] == [
        ("00-DB-12-34-56-78-90-A0", "Device", "DigitalSigning", "41-97-8B-A9-0C-06-6F-FA"),
        (EUI, "Supplier", "DigitalSigning", "43-04-6B-4F-B7-C4-F1-1B"),
        (EUI, "Supplier", "KeyAgreement", "42-96-67-C1-B8-BB-1E-34"),
        (EUI, "Supplier", "KeyAgreement", "4E-B0-7A-1B-CA-0D-D5-8C"),
    ]
    # The issuing authority's own certificate names no party.
    assert len(problems) == 1
    assert "no x500UniqueIdentifier" in problems[0]

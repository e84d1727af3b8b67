"""SMKI certificates and revocation lists to the extract `certificates`; signatures and chains are NOT verified.

Each file holds one certificate or revocation list as DER, or any number of them as PEM. What cannot be a row of the
extract is left out with its file and reason, and the rest goes on.
"""

import base64
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from asn1crypto.core import ObjectIdentifier, OctetString, Sequence
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from data.extracts import InputRefused, printable
from data.messages.status import DEVICE, ROLE_NAMES

Progress = Callable[[str, int, int], None]

HARDWARE_MODULE_NAME = "1.3.6.1.5.5.7.8.4"
IN_USE, EXPIRED, REVOKED = "InUse", "Expired", "Revoked"
FILE_NAME = "certificates.parquet"
# The largest list of a whole market is some tens of megabytes.
MOST_BYTES = 256 * 1024 * 1024
PEM_BEGIN = b"-----BEGIN "
PEM_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE", b"X509 CRL")
MOST_LABEL = 64
SCHEMA = {
    "subject_unique_id": pl.String,
    "remote_party_role": pl.String,
    "certificate_usage": pl.String,
    "subject_key_identifier": pl.String,
}
# What tells whether it is still in use; issuer and serial number as bytes, not_after a naive UTC time.
WITH_STATE = SCHEMA | {"not_after": pl.Datetime("us"), "issuer": pl.Binary, "serial": pl.Binary}
REVOCATIONS = {"issuer": pl.Binary, "serial": pl.Binary}
ROWS_A_FRAME = 50_000


class Unusable(ValueError):
    """A certificate or list that gives no row, and why."""


@dataclass(frozen=True)
class Certificates:
    """What was read; rows by status, and a line for each file or part of one that was left out."""

    rows: int
    files: int
    lists: int
    by_status: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def write(folder: Path, out: Path, as_at: datetime | None = None, progress: Progress = lambda *_: None) -> Certificates:
    """Writes the extract from the files below `folder`, at naive UTC `as_at` (default now); one row a certificate.

    Raises `InputRefused`, with nothing changed, when no certificate can be read. A certificate that is not valid yet
    is `InUse`: the contract has no word for it.
    """
    found = _Found(as_at or datetime.now(UTC).replace(tzinfo=None))
    paths = _files_below(folder, found)
    for place, path in enumerate(paths):
        found.read(path, path.relative_to(folder).as_posix())
        progress("Reading certificates", place + 1, len(paths))
    table = found.table()
    if table.is_empty():
        raise InputRefused([*found.problems, f"{folder}: no certificate that can be read"])
    _publish(table, out / "certificates" / FILE_NAME)
    by_status = dict(table["status"].value_counts().sort("status").iter_rows())
    return Certificates(table.height, len(paths), found.lists, by_status, found.problems)


@dataclass(frozen=True)
class Certificate:
    """One row to be, and what its status hangs on."""

    subject_unique_id: str
    remote_party_role: str
    certificate_usage: str
    subject_key_identifier: str
    not_after: datetime
    issuer: bytes
    serial: bytes


def parse(der: bytes) -> Certificate:
    """An organisation's or a Device's certificate; raises `Unusable`."""
    with _told_as_no("certificate"):
        certificate = x509.load_der_x509_certificate(der)
        extensions = _extensions(certificate)
        role, eui = _owner(certificate.subject, extensions)
        return Certificate(
            eui,
            role,
            _usage(extensions),
            _key_identifier(extensions),
            certificate.not_valid_after_utc.replace(tzinfo=None),
            certificate.issuer.public_bytes(),
            _serial(certificate.serial_number),
        )


def revoked(der: bytes, as_at: datetime) -> list[tuple[bytes, bytes]]:
    """(issuer, serial number) of each certificate that a revocation list revokes by `as_at`; raises `Unusable`."""
    with _told_as_no("revocation list"):
        listed = x509.load_der_x509_crl(der)
        for extension in listed.extensions:
            if isinstance(extension.value, x509.IssuingDistributionPoint) and extension.value.indirect_crl:
                raise Unusable("is a revocation list of other issuers' certificates, which is not read")
        issuer = listed.issuer.public_bytes()
        return [(issuer, _serial(entry.serial_number)) for entry in listed if _stands(entry, as_at)]


@contextmanager
def _told_as_no(what: str) -> Iterator[None]:
    """Whatever the bytes make a library raise or warn of becomes `Unusable`."""
    try:
        with warnings.catch_warnings(action="error"):
            yield
    except Unusable:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise Unusable(f"is no {what} ({type(error).__name__}: {said})") from None


class _Found:
    """What the files hold, file by file, and what is wrong with them."""

    def __init__(self, as_at: datetime):
        self.as_at, self.problems, self.lists = as_at, [], 0
        self._rows: list[tuple] = []
        self._frames: list[pl.DataFrame] = []
        self._revoked: list[tuple[bytes, bytes]] = []

    def read(self, path: Path, name: str) -> None:
        try:
            for place, of, der in _parts(_content(path)):
                self._take(der, f"{printable(name)}{f' (part {place} of {of})' if of > 1 else ''}")
        except (Unusable, OSError) as reason:
            self.problems.append(f"{printable(name)}: {getattr(reason, 'strerror', None) or reason}")

    def _take(self, part: bytes | Unusable, name: str) -> None:
        try:
            if isinstance(part, Unusable):
                raise part
            one = parse(part)
        except Unusable as reason:
            if isinstance(part, Unusable) or not self._took_list(part, name):
                self.problems.append(f"{name}: {reason}")
            return
        self._rows.append(tuple(getattr(one, column) for column in WITH_STATE))
        if len(self._rows) >= ROWS_A_FRAME:
            self._flush()

    def _took_list(self, part: bytes, name: str) -> bool:
        """Whether the part is a revocation list, which then is taken or told of."""
        if not _is_list(part):
            return False
        try:
            self._revoked += revoked(part, self.as_at)
            self.lists += 1
        except Unusable as reason:
            self.problems.append(f"{name}: {reason}")
        return True

    def _flush(self) -> None:
        self._frames.append(pl.DataFrame(self._rows, schema=WITH_STATE, orient="row"))
        self._rows = []

    def table(self) -> pl.DataFrame:
        """The extract; a certificate that stands in several files is one row."""
        self._flush()
        listed = pl.DataFrame(self._revoked, schema=REVOCATIONS, orient="row").unique()
        status = (
            pl.when(pl.col("is_revoked").is_not_null())
            .then(pl.lit(REVOKED))
            .when(pl.col("not_after") < self.as_at)
            .then(pl.lit(EXPIRED))
            .otherwise(pl.lit(IN_USE))
        )
        return (
            pl.concat(self._frames)
            .join(listed.with_columns(is_revoked=True), on=["issuer", "serial"], how="left")
            .select(*SCHEMA, status=status)
            .unique()
            .sort(pl.all())
        )


def _files_below(folder: Path, found: _Found) -> list[Path]:
    if not folder.is_dir():
        raise InputRefused([f"{folder}: no such folder"])

    def tell(error: OSError) -> None:
        found.problems.append(f"{printable(str(error.filename))}: the folder cannot be read ({error.strerror})")

    below = []
    for parent, folders, names in os.walk(folder, onerror=tell):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        below += [Path(parent) / name for name in names + links]
    return sorted(below)


def _content(path: Path) -> bytes:
    """A link may lead out of the folder, and a pipe never ends: neither is opened."""
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode):
        raise Unusable("is a link" if stat.S_ISLNK(about.st_mode) else "is no regular file")
    if about.st_size > MOST_BYTES:
        raise Unusable(f"has {about.st_size:,} bytes; at most {MOST_BYTES:,} are read")
    return path.read_bytes()


def _parts(content: bytes) -> Iterator[tuple[int, int, bytes | Unusable]]:
    """(place, of how many, DER or why there is none) of what a file holds."""
    if not content.strip():
        raise Unusable("is empty")
    blocks = content.split(PEM_BEGIN)[1:]
    if not blocks:
        yield 1, 1, content
    for place, block in enumerate(blocks):
        yield place + 1, len(blocks), _unwrapped(block)


def _unwrapped(block: bytes) -> bytes | Unusable:
    """The DER in what follows a PEM `BEGIN`; each block is searched by itself, so that no file takes long."""
    label, closed, _ = block[:MOST_LABEL].partition(b"-----")
    if not closed:
        return Unusable("a PEM block has no label")
    text, end, _ = block[len(label) + 5 :].partition(b"-----END " + label + b"-----")
    if not end:
        return Unusable("a PEM block has no end")
    if label not in PEM_LABELS:
        return Unusable(f"is no certificate, but {printable(label.decode('latin-1'))}")
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError as error:
        return Unusable(f"is no base64 ({error})")


def _is_list(der: bytes) -> bool:
    """What is neither certificate nor list is told of as a bad certificate."""
    try:
        x509.load_der_x509_crl(der)
    except Exception:
        return False
    return True


def _extensions(certificate: x509.Certificate) -> dict[x509.ObjectIdentifier, object]:
    return {extension.oid: extension.value for extension in certificate.extensions}


def _owner(subject: x509.Name, extensions: dict) -> tuple[str, str]:
    """(role, EUI): of a party from the subject, of a Device from the subject's alternative name."""
    identifiers = subject.get_attributes_for_oid(NameOID.X500_UNIQUE_IDENTIFIER)
    device = _hardware_serial(extensions)
    if device is not None:
        if identifiers:
            raise Unusable("names both a Device and a party")
        return DEVICE, _eui(device, "the Device's hwSerialNum")
    if not identifiers:
        raise Unusable("its subject has no x500UniqueIdentifier (an issuing authority has none)")
    if len(identifiers) > 1:
        raise Unusable("its subject has two x500UniqueIdentifiers")
    # The first octet of a BIT STRING counts the bits that the last one does not use.
    bits = identifiers[0].value
    if not isinstance(bits, bytes) or bits[:1] != b"\0":
        raise Unusable("its x500UniqueIdentifier is no whole number of octets")
    return _role(subject), _eui(bits[1:], "its x500UniqueIdentifier")


def _role(subject: x509.Name) -> str:
    units = [unit.value for unit in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    if len(units) != 1:
        raise Unusable(f"its subject has {len(units) or 'no'} OU{'s' if units else ''}, where one gives the role")
    if not re.fullmatch("[0-9A-Fa-f]{2}", str(units[0])):
        raise Unusable("its OU is no remote party role code of two hex digits")
    # A code without a name is kept as found: a build counts it as unrecognised, and it satisfies nothing.
    return ROLE_NAMES.get(int(units[0], 16), units[0].upper())


def _hardware_serial(extensions: dict) -> bytes | None:
    """The serial number in a hardwareModuleName: SEQUENCE of an OBJECT IDENTIFIER and an OCTET STRING."""
    names = extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ())
    found = [name.value for name in names if getattr(name, "type_id", None) == _OTHER_NAME]
    if len(found) > 1:
        raise Unusable("its subject has two hardwareModuleNames")
    if not found:
        return None
    module = _HardwareModuleName.load(found[0], strict=True)
    _ = module["hwType"].native
    return module["hwSerialNum"].native


class _HardwareModuleName(Sequence):
    _fields = [("hwType", ObjectIdentifier), ("hwSerialNum", OctetString)]  # noqa: RUF012


_OTHER_NAME = x509.ObjectIdentifier(HARDWARE_MODULE_NAME)


def _usage(extensions: dict) -> str:
    usage = extensions.get(ExtensionOID.KEY_USAGE)
    if usage is None:
        raise Unusable("has no keyUsage")
    held = {
        "DigitalSigning": usage.digital_signature,
        "KeyAgreement": usage.key_agreement,
        "KeyCertSign": usage.key_cert_sign,
    }
    names = [name for name, is_set in held.items() if is_set]
    if len(names) != 1:
        raise Unusable(f"its keyUsage allows {' and '.join(names) or 'none'} of {', '.join(held)}, where it is one")
    return names[0]


def _key_identifier(extensions: dict) -> str:
    identifier = extensions.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    if identifier is None:
        raise Unusable("has no SubjectKeyIdentifier")
    return _eui(identifier.digest, "its SubjectKeyIdentifier")


def _eui(octets: bytes, what: str) -> str:
    """Eight octets in the DUIS form."""
    if len(octets) != 8:
        raise Unusable(f"{what} has {len(octets)} octets, not 8")
    return octets.hex("-").upper()


def _serial(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _stands(entry: x509.RevokedCertificate, as_at: datetime) -> bool:
    if entry.revocation_date_utc.replace(tzinfo=None) > as_at:
        return False
    reasons = [e.value.reason for e in entry.extensions if isinstance(e.value, x509.CRLReason)]
    return x509.ReasonFlags.remove_from_crl not in reasons


def _publish(table: pl.DataFrame, file: Path) -> None:
    """Whole or not at all: a build may read the folder at this moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    table.write_parquet(unfinished, compression="zstd")
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())
    unfinished.replace(file)

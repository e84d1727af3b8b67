"""What a GBCS message says in the words of the contract: execution status, and cells as rows of `credential_reads`."""

from functools import cache

from data import reference
from data.messages import gbcs
from data.messages.gbcs import Malformed, Message

SUCCESS, FAILURE, PARTIAL = "success", "failure", "partial"
ROLE_NAMES = {
    0: "Root",
    1: "Recovery",
    2: "Supplier",
    3: "NetworkOperator",
    4: "ACB",
    5: "TransCoS",
    6: "WANProvider",
    7: "IssuingAuthority",
    8: "LoadController",
    127: "Other",
}
STATUS_NAMES = {
    0: SUCCESS,
    5: "badCertificate",
    10: "noTrustAnchor",
    17: "insufficientMemory",
    25: "trustAnchorNotFound",
    30: "resourcesBusy",
    127: "other",
}
READ_KEY_NAMES = {1: "invalidKeyUsage", 2: "noCertificateHeld", 3: "certificateRetrievalFailure"}
# Where GBCS gives these a name; of any other number see `name_of`.
DEVICE, TOP_UP = "Device", "KeyAgreementTopUp"
# Service Reference Variant -> the GBCS message codes of its use case. A Response to another service is not looked into.
CODES = {
    "6.15.1": gbcs.UPDATE_CELLS,
    "6.21": gbcs.UPDATE_CELLS,
    "6.23": gbcs.UPDATE_CELLS,
    "6.15.2": {gbcs.UPDATE_KEY},
    "6.17": {gbcs.ISSUE_KEY},
    "6.24.1": gbcs.READ_CELLS,
    "6.24.2": {gbcs.READ_KEY},
}
# Those whose Command carries the User's own originator counter, which is the RequestID's.
CRITICAL = {"6.15.1", "6.15.2", "6.17", "6.24.2"}
CredentialRead = tuple[str, str | None, str, int | None, int | None]


def execution_status(srv: str | None, message: Message | None) -> str | None:
    """success, failure, partial or None (empty) of a Response to `srv`, before any alert.

    An alert's own status is that of its outcome, whatever `srv`. Raises `Malformed` where the message is of another
    use case than the service asked for.
    """
    if message is None:
        return None
    if message.kind == gbcs.RESPONSE and srv in CODES and message.message_code not in CODES[srv]:
        raise Malformed("message_code_is_of_the_service", f"{message.message_code:04X} to {srv}")
    match message.content:
        case gbcs.CredentialsUpdated(outcome):
            return _of_all([cell.status == 0 for cell in outcome.cells])
        case gbcs.Alert(outcome=outcome) if outcome is not None:
            return _of_all([cell.status == 0 for cell in outcome.cells])
        case gbcs.DeviceKeyUpdated(status):
            return FAILURE if status else SUCCESS
        case gbcs.CertificateSigningRequest() | gbcs.DeviceCertificates():
            return SUCCESS
        case gbcs.Failure():
            return FAILURE
        case gbcs.TrustAnchorCells(roles):
            return _of_all([role.status == 0 for role in roles])
    return None


def name_of(number: int, names: dict[int, str], what: str) -> str:
    """The name of a role or a status; `status 42` where it has none: kept, and it satisfies nothing."""
    return names.get(number, f"{what} {number}")


def role_name(number: int) -> str:
    return name_of(number, ROLE_NAMES, "role")


def status_name(number: int) -> str:
    return name_of(number, STATUS_NAMES, "status")


def _of_all(succeeded: list[bool]) -> str | None:
    if not succeeded:
        return None
    return SUCCESS if all(succeeded) else PARTIAL if any(succeeded) else FAILURE


def cells(message: Message) -> list[CredentialRead]:
    """(remote_party_role, certificate_usage, status_code, subject_unique_id, subject_key_identifier) a cell.

    The usage of a Device certificate that did not come is None: it is the one that the Request asked for.
    """
    match message.content:
        case gbcs.TrustAnchorCells(roles):
            return [read for role in roles for read in _reads_of_role(role)]
        case gbcs.DeviceCertificates(certificates):
            return [(DEVICE, c.key_usage, SUCCESS, c.subject_unique_id, c.subject_key_identifier) for c in certificates]
        case gbcs.Failure(status) if message.message_code == gbcs.READ_KEY:
            return [(DEVICE, None, name_of(status, READ_KEY_NAMES, "status"), None, None)]
    return []


def is_at_odds(message: Message) -> bool:
    """Whether the message says two things of a role; of that role alone there are no cells then."""
    return isinstance(message.content, gbcs.TrustAnchorCells) and any(r.is_at_odds for r in message.content.roles)


def _reads_of_role(role: gbcs.RoleCells) -> list[CredentialRead]:
    name = role_name(role.role)
    if role.is_at_odds:
        return []
    if role.status:
        return [(name, usage, status_name(role.status), None, None) for usage in _required().get(name, ())]
    return [(name, _usage(cell), SUCCESS, cell.subject_unique_id, cell.subject_key_identifier) for cell in role.cells]


def _usage(cell: gbcs.CellContent) -> str:
    return TOP_UP if cell.key_usage == "KeyAgreement" and cell.cell_usage else cell.key_usage


@cache
def _required() -> dict[str, tuple[str, ...]]:
    """Role -> the usages of its cells that must be right on some type of Device."""
    found: dict[str, tuple[str, ...]] = {}
    for cell in reference.table("cells"):
        role = cell["remote_party_role"]
        if role != DEVICE:
            found[role] = (*found.get(role, ()), cell["certificate_usage"])
    return found

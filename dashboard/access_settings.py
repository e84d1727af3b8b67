"""The configuration of who may see what: a TOML file, read again whenever it changes."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROLES = ("ssc", "secas", "party", "operator")
NOT_CLASSIFIED = "SEC: classification not set"
CLASSIFICATION = "PCO_CLASSIFICATION"


class WrongAccess(Exception):
    """The configuration cannot be used; the message names what is wrong with it."""


@dataclass(frozen=True)
class Settings:
    """roles: name that the provider gives -> role here, the first that a reader has counts. audit, scopes, ended:
    folders and a file; None is the usual place."""

    file: Path
    roles: dict[str, str]
    role_claim: str = "roles"
    party_claim: str = "party_id"
    who_claim: str = "sub"
    longest_hours: float = 8
    clock_skew_seconds: float = 60
    recheck: bool = True
    recheck_seconds: float = 0
    denied_subjects: tuple[str, ...] = ()
    classification: str = NOT_CLASSIFIED
    audit: Path | None = None
    scopes: Path | None = None
    ended: Path | None = None

    def ended_file(self) -> Path:
        return self.ended or self.file.with_suffix(".ended")


# Table of the file -> key -> kind of its value.
SECTIONS = {
    "": {"classification": str},
    "login": {
        "role_claim": str,
        "party_claim": str,
        "who_claim": str,
        "longest_hours": (int, float),
        "clock_skew_seconds": (int, float),
        "recheck": bool,
        "recheck_seconds": (int, float),
        "denied_subjects": list,
    },
    "folders": {"audit": str, "scopes": str, "ended": str},
}


def read_settings(file: Path) -> Settings:
    """The settings of a file; raises `WrongAccess` for anything that it does not know."""
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongAccess(f"{file}: {error}") from error
    roles = given.pop("roles", {})
    values = _section(file, "", {name: given.pop(name) for name in list(given) if not isinstance(given[name], dict)})
    for section, found in given.items():
        if section not in SECTIONS:
            raise WrongAccess(f"{file}: there is no table [{section}]")
        values |= _section(file, section, found)
    if not isinstance(roles, dict) or not roles:
        raise WrongAccess(f"{file}: [roles] gives nobody a role")
    for name, role in roles.items():
        if role not in ROLES:
            raise WrongAccess(f"{file}: [roles] {name}: no role {role!r}; there are {', '.join(ROLES)}")
    for name in SECTIONS["folders"]:
        if name in values:
            values[name] = file.parent / values[name]
    values["denied_subjects"] = tuple(values.get("denied_subjects", ()))
    found = Settings(file=file, roles=roles, **values)
    if not found.longest_hours > 0 or found.clock_skew_seconds < 0 or found.recheck_seconds < 0:
        raise WrongAccess(f"{file}: hours and seconds must not be negative, and a login must be able to last")
    return found


def _section(file: Path, section: str, found: dict) -> dict:
    known = SECTIONS[section]
    for name, value in found.items():
        if name not in known:
            raise WrongAccess(f"{file}: [{section}] knows no {name!r}; it knows {', '.join(known)}")
        if not isinstance(value, known[name]) or (isinstance(value, bool) and known[name] is not bool):
            raise WrongAccess(f"{file}: [{section}] {name} = {value!r}: not of the kind that is meant")
    return dict(found)


def classification(known: Settings | None) -> str:
    """What every file is labelled with."""
    return os.environ.get(CLASSIFICATION) or (known.classification if known else NOT_CLASSIFIED)

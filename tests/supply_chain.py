"""What the project is made of, for `make sbom`, `make licences` and `make audit`: only what requirements.txt pins.

It lies with the tests because it runs what only requirements-dev.txt installs; nothing of it is shipped.
"""

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
RUNTIME, DEVELOPMENT = PROJECT / "requirements.txt", PROJECT / "requirements-dev.txt"
SBOM, LICENCES = PROJECT / "docs" / "sbom.cdx.json", PROJECT / "docs" / "licences.csv"
BIN = Path(sys.executable).parent
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)

# Licences under which a package can be shipped beside MIT code without more than its own text.
PERMISSIVE = re.compile(
    r"\b(MIT(-0|-CMU)?|BSD(-[23]-Clause)?|0BSD|Apache|ISC|PSF-2\.0|Python Software Foundation|Zlib|CC0-1\.0|Unlicense"
    r"|HPND)\b"
)
# Those that ask for more, and what keeps their terms; any other licence is refused until somebody has read it.
WITH_NOTE = {
    re.compile(
        r"\b(MPL[- ]2\.0|Mozilla Public License 2\.0)\b"
    ): "weak copyleft by file: shipped unchanged, as a package "
    "of its own with its licence; a changed file of it would have to be published",
}
# Families that a project under MIT cannot ship without taking their terms over.
REFUSED = re.compile(
    r"\b(A?GPL|GNU (Affero )?General Public|SSPL|BUSL|Business Source|Commons Clause|EUPL|CC-BY-NC)", re.I
)


class Refused(Exception):
    """What was found must not pass."""


def pinned(requirements: Path) -> dict[str, str]:
    """Package, by its normal name, -> the version pinned."""
    return {normal(name): version for name, version in PIN.findall(requirements.read_text(encoding="utf-8"))}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- bill of materials --------------------------------------------------------------------------------------


def sbom() -> str:
    """A CycloneDX bill of what is installed to run the dashboard: the same bytes for the same requirements.txt.

    Its digests are those of the distributions that the pins accept. The tool's own addresses, line numbers and comments
    are left out: they say nothing of the package.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "sbom.json"
        options = ["--pyproject", PROJECT / "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", found]
        # What is kept of it is held against the schema by a test.
        command = [BIN / "cyclonedx-py", "requirements", "--no-validate", *options, RUNTIME]
        subprocess.run(command, check=True, capture_output=True)
        bill = json.loads(found.read_text(encoding="utf-8"))
    component = bill["metadata"]["component"]
    component["bom-ref"] = f"pkg:pypi/{component['name']}@{component['version']}"
    bill["metadata"]["tools"] = {
        "components": [
            {name: tool[name] for name in ("type", "group", "name", "version")}
            for tool in bill["metadata"]["tools"]["components"]
        ]
    }
    bill["components"] = sorted((_packaged(one) for one in bill["components"]), key=lambda one: one["purl"])
    wanted = {normal(re.split(r"[<>=!~\[; ]", one)[0]) for one in direct()}
    of_name = {normal(one["name"]): one["purl"] for one in bill["components"]}
    bill["dependencies"] = [
        {"ref": component["bom-ref"], "dependsOn": sorted(of_name[name] for name in wanted)},
        *({"ref": purl} for purl in sorted(of_name.values())),
    ]
    return json.dumps(bill, indent=1) + "\n"


def direct() -> list[str]:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]


def _packaged(found: dict) -> dict:
    digests = [digest for one in found["externalReferences"] for digest in one.get("hashes", [])]
    return {
        "bom-ref": found["purl"],
        "type": "library",
        "name": found["name"],
        "version": found["version"],
        "purl": found["purl"],
        "externalReferences": [{"type": "distribution", "url": found["purl"], "hashes": digests}],
    }


# --- licences -----------------------------------------------------------------------------------------------


def licences() -> str:
    """A CSV of package, version, licence and note, one row for each package that is installed to run the dashboard."""
    packages = pinned(RUNTIME)
    command = [BIN / "pip-licenses", "--format=json", "--from=mixed", "--with-system", "-p", *packages]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = {normal(one["Name"]): (one["Version"], in_a_line(one["License"])) for one in found}
    absent = sorted(set(packages) - set(rows))
    if absent:
        raise Refused(f"not installed here, so its licence is not known: {', '.join(absent)}")
    target = io.StringIO()
    table = csv.writer(target, lineterminator="\n")
    table.writerow(["package", "version", "licence", "note"])
    for name in sorted(packages):
        version, licence = rows[name]
        if version != packages[name]:
            raise Refused(f"{name}: {version} is installed, {packages[name]} is pinned")
        table.writerow([name, version, licence, note_on(name, licence)])
    return target.getvalue()


def in_a_line(licence: str) -> str:
    """Some packages give the whole text in place of a name: its first line is the name."""
    return next((line.strip() for line in licence.splitlines() if line.strip()), "UNKNOWN")


def note_on(name: str, licence: str) -> str:
    """What has to be kept in mind of a licence, empty for a permissive one; raises `Refused` for any other.

    Of `A OR B` the friendlier may be chosen; of `A AND B` both hold.
    """
    notes = []
    for every in re.split(r"\bAND\b|;", licence):
        choices = [_note_on_one(one) for one in re.split(r"\bOR\b", every)]
        allowed = [note for note in choices if note is not None]
        if not allowed:
            raise Refused(f"{name}: {licence}: a licence that this project does not ship without somebody's reading it")
        notes.append(min(allowed, key=len))
    return "; ".join(filter(None, notes))


def _note_on_one(licence: str) -> str | None:
    for pattern, note in WITH_NOTE.items():
        if pattern.search(licence):
            return note
    return "" if PERMISSIVE.search(licence) and not REFUSED.search(licence) else None


# --- audit --------------------------------------------------------------------------------------------------


def audit(requirements: Path, command: list | None = None) -> str:
    """`audited N of M` when every pinned package was looked up and none is known to be vulnerable; raises `Refused`.

    Without its database pip-audit says that there are no known vulnerabilities and exits 0: what it skipped is counted.
    """
    packages = pinned(requirements)
    command = command or [BIN / "pip-audit", "--disable-pip", "--no-deps", "--progress-spinner=off", "--format=json"]
    done = subprocess.run([*command, "-r", requirements], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        reason = next(reversed(done.stderr.strip().splitlines()), f"exit status {done.returncode}")
        raise Refused(f"audited 0 of {len(packages)} packages of {requirements.name}: {reason}") from error
    looked_up = {normal(one["name"]) for one in found if "skip_reason" not in one and "vulns" in one} & set(packages)
    told = f"audited {len(looked_up)} of {len(packages)} packages of {requirements.name}"
    vulnerable = [
        f"{one['name']} {one['version']}: {', '.join(flaw['id'] for flaw in one['vulns'])}"
        for one in found
        if one.get("vulns")
    ]
    if vulnerable:
        raise Refused("\n".join([f"{told}; known to be vulnerable:", *vulnerable]))
    if not packages or len(looked_up) < len(packages):
        skipped = [f"{one['name']}: {one['skip_reason']}" for one in found if "skip_reason" in one]
        first = f"; the first of those skipped: {skipped[0]}" if skipped else ""
        raise Refused(f"{told}{first}")
    if done.returncode != 0:
        raise Refused(f"{told}, but pip-audit ended with status {done.returncode}")
    return told


def main() -> None:
    try:
        if sys.argv[1:] == ["sbom"]:
            SBOM.write_text(sbom(), encoding="utf-8")
        elif sys.argv[1:] == ["licences"]:
            LICENCES.write_text(licences(), encoding="utf-8")
        elif sys.argv[1:] == ["audit"]:
            for requirements in (RUNTIME, DEVELOPMENT):
                print(audit(requirements))
        else:
            sys.exit("sbom, licences or audit")
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

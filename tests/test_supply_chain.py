"""What the project is made of is pinned, listed and licensed, and an audit cannot pass having audited nothing."""

import csv
import json
import re
import sys

import pytest
import supply_chain
from supply_chain import DEVELOPMENT, LICENCES, PROJECT, RUNTIME, SBOM, Refused, audit, note_on, pinned

# A name for a machine, a place on it, or a moment.
PLACES = re.compile(
    r"https?://(?!cyclonedx\.org/schema/)|file:|/(home|root|work|tmp|usr|opt|var)/|\d{4}-\d\d-\d\dT\d\d:"
)


def blocks(requirements):
    """A requirement a line, with all that belongs to it."""
    text = requirements.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("requirements", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
def test_every_requirement_is_pinned_by_version_and_digest(requirements):
    lines = blocks(requirements)
    assert len(lines) > 50
    for line in lines:
        assert re.match(r"^[A-Za-z0-9._-]+==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+ *$", line), line


@pytest.mark.parametrize("requirements", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
def test_requirements_name_no_index(requirements):
    text = requirements.read_text(encoding="utf-8")
    assert re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ |^-e ", text, re.MULTILINE) is None


def test_every_dependency_of_the_project_is_pinned():
    names = {supply_chain.normal(re.split(r"[<>=!~\[; ]", one)[0]) for one in supply_chain.direct()}
    assert len(names) > 10
    assert names <= set(pinned(RUNTIME))


def test_what_is_pinned_twice_is_pinned_alike():
    runtime, development = pinned(RUNTIME), pinned(DEVELOPMENT)
    assert {name: development[name] for name in runtime if name in development} == {
        name: version for name, version in runtime.items() if name in development
    }


# --- bill of materials --------------------------------------------------------------------------------------


def test_the_bill_lists_every_package_with_its_digests():
    bill = json.loads(SBOM.read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "post-commissioning-outcomes")
    listed = {supply_chain.normal(one["name"]): one["version"] for one in bill["components"]}
    assert listed == pinned(RUNTIME), "run make sbom"
    of_file = {line.split("==")[0]: set(re.findall(r"sha256:([0-9a-f]{64})", line)) for line in blocks(RUNTIME)}
    for one in bill["components"]:
        [reference] = one["externalReferences"]
        assert {digest["content"] for digest in reference["hashes"]} == of_file[one["name"]], "run make sbom"


def test_the_bill_is_made_again_to_the_same_bytes_and_says_nothing_of_the_machine():
    made = supply_chain.sbom()
    assert SBOM.read_text(encoding="utf-8") == made, "run make sbom"
    assert PLACES.findall(made) == []
    assert str(PROJECT) not in made
    assert "timestamp" not in made
    assert "serialNumber" not in made


def test_the_bill_keeps_the_schema():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(SBOM.read_text(encoding="utf-8")) is None


# --- licences -----------------------------------------------------------------------------------------------


def licence_rows():
    with LICENCES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_licence_of_every_package_shipped_is_listed():
    assert {row["package"]: row["version"] for row in licence_rows()} == pinned(RUNTIME), "run make licences"


def test_every_licence_is_one_that_the_project_can_ship():
    for row in licence_rows():
        assert note_on(row["package"], row["licence"]) == row["note"]
    assert [row["package"] for row in licence_rows() if row["note"]] == ["certifi"]


def test_the_list_is_what_the_installed_packages_say():
    assert LICENCES.read_text(encoding="utf-8") == supply_chain.licences(), "run make licences"


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-only",
        "GNU General Public License v3 (GPLv3)",
        "AGPL-3.0",
        "GNU Affero General Public License v3",
        "SSPL-1.0",
        "BUSL-1.1",
        "UNKNOWN",
        "",
        "Proprietary",
        "MIT AND GPL-3.0-only",
        "Apache License with Commons Clause",
        "LGPL-3.0-or-later",
        "LIMITED use only",
    ],
)
def test_other_licences_are_refused(licence):
    with pytest.raises(Refused, match="a package: "):
        note_on("a package", licence)


@pytest.mark.parametrize(
    "licence", ["MIT", "MIT OR GPL-3.0-only", "BSD License", "3-Clause BSD License", "Apache-2.0 AND MIT"]
)
def test_permissive_licences_need_no_note(licence):
    assert note_on("a package", licence) == ""


@pytest.mark.parametrize("licence", ["MPL-2.0", "MIT AND MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"])
def test_a_weak_copyleft_is_noted(licence):
    assert note_on("a package", licence).startswith("weak copyleft")


# --- audit --------------------------------------------------------------------------------------------------


@pytest.fixture
def requirements(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("one==1.0 \\\n    --hash=sha256:00\ntwo-b==2.0 \\\n    --hash=sha256:00\nThree==3 ; x\n")
    return file


def auditor(answer, status=0, complaint=""):
    """A command that answers as pip-audit would."""
    text = answer if isinstance(answer, str) else json.dumps({"dependencies": answer, "fixes": []})
    code = f"import sys; sys.stdout.write({text!r}); sys.stderr.write({complaint!r}); sys.exit({status})"
    return [sys.executable, "-c", code]


def sound(name, version="1"):
    return {"name": name, "version": version, "vulns": []}


def skipped(name):
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name}"}


def test_an_audit_of_all_passes(requirements):
    assert audit(requirements, auditor([sound("one"), sound("two_b"), sound("three")])) == (
        "audited 3 of 3 packages of requirements.txt"
    )


NOTHING = {
    "all skipped": ([skipped("one"), skipped("two-b"), skipped("three")], 0, "audited 0 of 3 .*one: Dependency not"),
    "no package": ([], 0, "audited 0 of 3 "),
    "others only": ([sound("four"), sound("five"), sound("six")], 0, "audited 0 of 3 "),
    "no answer": ("", 1, "audited 0 of 3 .*no route"),
    "no JSON": ("No known vulnerabilities found", 0, "audited 0 of 3 "),
    "another JSON": ("[]", 0, "audited 0 of 3 "),
    "one skipped": ([sound("one"), sound("two-b"), skipped("three")], 0, "audited 2 of 3 .*three"),
    "one forgotten": ([sound("one"), sound("two-b")], 0, "audited 2 of 3 "),
    "a status": ([sound("one"), sound("two-b"), sound("three")], 2, "audited 3 of 3 .*status 2"),
}


@pytest.mark.parametrize("answer", NOTHING)
def test_an_audit_that_did_not_look_every_package_up_fails(requirements, answer):
    told, status, pattern = NOTHING[answer]
    with pytest.raises(Refused, match=pattern):
        audit(requirements, auditor(told, status, "a line\nno route to the database\n"))


def test_an_audit_of_no_package_fails(tmp_path):
    (tmp_path / "requirements.txt").write_text("# none\n")
    with pytest.raises(Refused, match="audited 0 of 0 "):
        audit(tmp_path / "requirements.txt", auditor([]))


def test_a_vulnerability_fails_and_is_named(requirements):
    found = {"name": "one", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
    with pytest.raises(Refused, match=r"audited 2 of 3 [\s\S]*one 1.0: PYSEC-1"):
        audit(requirements, auditor([found, sound("two-b"), skipped("three")], 1))


def test_make_audit_looks_at_both_files_and_ends_with_an_error(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(supply_chain, "audit", lambda requirements: asked.append(requirements) or "audited")
    monkeypatch.setattr(sys, "argv", ["supply_chain.py", "audit"])
    supply_chain.main()
    assert asked == [RUNTIME, DEVELOPMENT]
    assert capsys.readouterr().out == "audited\naudited\n"

    def refuse(_):
        raise Refused("audited 0 of 3")

    monkeypatch.setattr(supply_chain, "audit", refuse)
    with pytest.raises(SystemExit, match="audited 0 of 3"):
        supply_chain.main()

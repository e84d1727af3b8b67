"""Extracts that break the contract: bad rows are left out and named, bad files refuse the build by name."""

import json
import os
import shutil
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from unittest.mock import Mock, patch

import builds
import estates
import oracle
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from builds import ROW, here, march, pco, pco_build

from data import reduction, sandbox
from data.contracts import contracts
from data.export import outcomes_frame
from data.extracts import _described, survey
from data.marts import current

NO_EUI = "90-b3-d5-1f-30-01-00-01"
TOO_EARLY, TOO_LATE = datetime(2011, 12, 31, 23, 59, 59, 999999), datetime(2999, 1, 1)


def quarantine_of(folders):
    """(extract, file, rule) -> rows, as `pco status --json` tells it."""
    rows = json.loads(pco("status", "--json", "--marts", folders.marts).out)["quarantine"]
    return {(row["extract"], row["file"], row["rule"]): row["rows"] for row in rows}


def status_of(folders):
    return json.loads(pco("status", "--json", "--marts", folders.marts).out)


def outcomes(folders):
    rows = outcomes_frame(current(folders.marts)).to_dicts()
    return {row["device_id"]: row for row in rows}


def expected_outcomes(extracts):
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    return {row["device_id"]: row for row in oracle.outcomes(clean)}


def add_file(folders, extract, name, rows, **types):
    return builds.write(builds.table_of(extract, rows, **types), folders.extracts / extract / name)


# --- each rule, and a row that breaks that rule alone -------------------------------------------------------

BREAKS = {
    "devices": {
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "device_type_is_present": {"device_type": None},
        "device_status_is_present": {"device_status": None},
        "csp_region_is_present": {"csp_region": None},
        "commissioned_at_is_within_era": {"commissioned_at": TOO_EARLY},
    },
    "service_responses": {
        "originator_id_is_present": {"originator_id": None},
        "originator_id_is_well_formed": {"originator_id": NO_EUI},
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "originator_counter_is_present": {"originator_counter": None},
        "srv_is_present": {"srv": None},
        "sent_at_is_present": {"sent_at": None},
        "sent_at_is_within_era": {"sent_at": TOO_EARLY},
        "responded_at_is_within_era": {"responded_at": TOO_LATE},
        "response_follows_request": {"sent_at": march(2, 1), "responded_at": march(2, 0, 59)},
        "success_has_a_response_time": {"responded_at": None},
    },
    "dsp_checks": {
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "check_is_present": {"check": None},
        "checked_at_is_present": {"checked_at": None},
        "checked_at_is_within_era": {"checked_at": TOO_LATE},
        "passed_is_present": {"passed": None},
    },
    "registrations": {
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "supplier_id_is_present": {"supplier_id": None},
        "effective_from_is_present": {"effective_from": None},
        "spell_ends_after_it_starts": {"effective_from": date(2021, 3, 1), "effective_to": date(2021, 3, 1)},
    },
    "credential_reads": {
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "read_at_is_present": {"read_at": None},
        "read_at_is_within_era": {"read_at": TOO_EARLY},
        "remote_party_role_is_present": {"remote_party_role": None},
        "certificate_usage_is_present": {"certificate_usage": None},
        "status_code_is_present": {"status_code": None},
        "subject_unique_id_is_well_formed": {"subject_unique_id": NO_EUI},
        "subject_key_identifier_is_well_formed": {"subject_key_identifier": "00"},
    },
    "certificates": {
        "subject_unique_id_is_present": {"subject_unique_id": None},
        "subject_unique_id_is_well_formed": {"subject_unique_id": NO_EUI},
        "remote_party_role_is_present": {"remote_party_role": None},
        "certificate_usage_is_present": {"certificate_usage": None},
        "subject_key_identifier_is_present": {"subject_key_identifier": None},
        "subject_key_identifier_is_well_formed": {"subject_key_identifier": ""},
        "status_is_present": {"status": None},
    },
    "parties": {
        "eui_is_present": {"eui": None},
        "eui_is_well_formed": {"eui": NO_EUI},
        "party_id_is_present": {"party_id": None},
        "party_name_is_present": {"party_name": None},
        "category_is_present": {"category": None},
        "role_is_present": {"role": None},
        "is_dcc_user_is_present": {"is_dcc_user": None},
    },
    "incidents": {
        "incident_id_is_present": {"incident_id": None},
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "raised_at_is_present": {"raised_at": None},
    },
    "messages": {
        "device_id_is_present": {"device_id": None},
        "device_id_is_well_formed": {"device_id": NO_EUI},
        "at_is_present": {"at": None},
        "kind_is_present": {"kind": None},
        "message_is_present": {"message": None},
        "message_is_not_too_long": {"message": "<" + "\N{POUND SIGN}" * 32_768},
    },
}
EACH_RULE = [(extract, rule) for extract, rules in BREAKS.items() for rule in rules]


def bad_row(extract, rule, number):
    """The row, of a Device of its own where its extract is the inventory."""
    row = ROW[extract](number) if extract == "devices" else ROW[extract]()
    return row | BREAKS[extract][rule]


@pytest.fixture(scope="module")
def every_rule_broken(tmp_path_factory):
    """A build of the secure Devices beside one file a rule, of a row that breaks it."""
    folders = builds.folders(tmp_path_factory.mktemp("rules"))
    for number, (extract, rule) in enumerate(EACH_RULE):
        add_file(folders, extract, f"{rule}.parquet", [bad_row(extract, rule, 100 + number)])
    assert pco_build(folders).status == 0
    return folders


@pytest.fixture(scope="module")
def found(every_rule_broken):
    return quarantine_of(every_rule_broken)


@pytest.mark.parametrize(("extract", "rule"), EACH_RULE)
def test_a_row_that_breaks_one_rule_is_quarantined_under_its_name(found, extract, rule):
    file = f"{extract}/{rule}.parquet"
    assert {key: rows for key, rows in found.items() if key[1] == file} == {(extract, file, rule): 1}


def test_every_rule_of_the_contracts_has_its_row():
    assert {(name, rule.name) for name, contract in contracts().items() for rule in contract.rules()} == set(EACH_RULE)


def test_nothing_else_is_quarantined_and_the_counts_add_up(every_rule_broken, found):
    assert len(found) == len(EACH_RULE)
    quarantined = {name: extract["quarantined"] for name, extract in status_of(every_rule_broken)["extracts"].items()}
    assert quarantined == {extract: len(rules) for extract, rules in BREAKS.items()}


def test_the_build_goes_on_without_the_bad_rows(every_rule_broken):
    assert outcomes(every_rule_broken) == expected_outcomes(builds.secure_devices())


def test_status_in_words_names_each_rule(every_rule_broken):
    told = pco("status", "--marts", every_rule_broken.marts).out.splitlines()
    for extract, rule in EACH_RULE:
        assert f"quarantined: 1 rows of {extract} break {rule}" in told


def test_a_row_that_breaks_two_rules_is_one_row_under_two_names(tmp_path):
    folders = builds.folders(tmp_path)
    add_file(folders, "dsp_checks", "two.parquet", [builds.dsp_check(device_id=NO_EUI, passed=None)])
    pco_build(folders)
    rules = {"device_id_is_well_formed", "passed_is_present"}
    assert quarantine_of(folders) == {("dsp_checks", "dsp_checks/two.parquet", rule): 1 for rule in rules}
    assert status_of(folders)["extracts"]["dsp_checks"]["quarantined"] == 1


MALFORMED = [
    "90-b3-d5-1f-30-01-00-01",
    "90-B3-D5-1F-30-01-00",
    "90-B3-D5-1F-30-01-00-01-02",
    "90B3D51F30010001",
    "90:B3:D5:1F:30:01:00:01",
    "90-B3-D5-1F-30-01-00-01\n",
    " 90-B3-D5-1F-30-01-00-01",
    "G0-B3-D5-1F-30-01-00-01",
    "90-B3-D5-1F-30-01-00-0\N{ARABIC-INDIC DIGIT ONE}",
    "90-B3-D5-1F-30-01-00-0\N{FULLWIDTH DIGIT ONE}",
    "90-B3-D5-1F-30-01-0001-",
    "9-0B3-D5-1F-30-01-00-01",
    "",
]


def test_no_other_form_of_an_eui_is_taken(tmp_path):
    extracts = builds.secure_devices()
    folders = builds.folders(tmp_path, extracts)
    for extract in ("service_responses", "dsp_checks", "credential_reads", "registrations", "devices"):
        add_file(folders, extract, "bad.parquet", [ROW[extract](device_id=text) for text in MALFORMED])
    pco_build(folders)
    assert {(extract, rows) for (extract, _, _), rows in quarantine_of(folders).items()} == {
        (extract, len(MALFORMED))
        for extract in ("service_responses", "dsp_checks", "credential_reads", "registrations", "devices")
    }
    assert outcomes(folders) == expected_outcomes(extracts)


@pytest.mark.parametrize(
    ("moment", "bad"),
    [(datetime(2012, 1, 1), 0), (TOO_EARLY, 1), (datetime(1970, 1, 1), 1), (TOO_LATE, 1), (None, 0)],
)
def test_the_era_begins_with_2012_and_ends_with_the_build(tmp_path, moment, bad):
    folders = builds.folders(tmp_path)
    add_file(folders, "devices", "moment.parquet", [builds.device(9, commissioned_at=moment)])
    pco_build(folders)
    assert status_of(folders)["extracts"]["devices"]["quarantined"] == bad


EXTREMES = {
    "the earliest that 64 bits hold, which some writers mean as null": -(2**63),
    "minus infinity": -(2**63) + 1,
    "infinity": 2**63 - 1,
    "the year 291,000": 2**63 - 10**14,
    "the year 5138": 10**17,
}


@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_instant_is_a_bad_time_and_breaks_nothing(tmp_path, name):
    folders = builds.folders(tmp_path)
    moment = pa.array([EXTREMES[name]], pa.timestamp("us"))
    columns = {"service_responses": "sent_at", "dsp_checks": "checked_at", "credential_reads": "read_at"}
    for extract, column in columns.items():
        row = ROW[extract]() | ({"responded_at": None, "response_code": "E4"} if column == "sent_at" else {})
        table = builds.table_of(extract, [row])
        table = table.set_column(table.column_names.index(column), column, moment)
        builds.write(table, folders.extracts / extract / "extreme.parquet")
    assert pco_build(folders).status == 0
    assert quarantine_of(folders) == {
        (extract, f"{extract}/extreme.parquet", f"{column}_is_within_era"): 1 for extract, column in columns.items()
    }
    assert outcomes(folders) == expected_outcomes(builds.secure_devices())


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({"responded_at": None}, 1),
        ({"responded_at": None, "command_variant": None}, 1),
        ({"responded_at": None, "command_variant": 4}, 0),
        ({"responded_at": None, "execution_status": ""}, 0),
        ({"responded_at": None, "execution_status": None}, 0),
        ({"responded_at": None, "response_code": "I99"}, 0),
        ({"responded_at": None, "response_code": None}, 0),
    ],
)
def test_only_a_success_must_have_a_response_time(tmp_path, changes, bad):
    folders = builds.folders(tmp_path)
    add_file(folders, "service_responses", "one.parquet", [builds.response(**changes)])
    pco_build(folders)
    assert status_of(folders)["extracts"]["service_responses"]["quarantined"] == bad


# --- two rows of one Device ---------------------------------------------------------------------------------

CONFLICTS = {
    "in one column": ([{}, {"model": "M2"}], 2),
    "null beside a value": ([{}, {"firmware_version": None}], 2),
    "null beside empty": ([{"manufacturer": ""}, {"manufacturer": None}], 2),
    "three rows of which two agree": ([{}, {}, {"csp_region": "South"}], 3),
    "one of them bad for itself": ([{}, {"commissioned_at": TOO_EARLY}], 2),
    "the same row twice": ([{}, {}], 0),
}


@pytest.mark.parametrize("name", CONFLICTS)
@pytest.mark.parametrize("apart", [False, True], ids=["in one file", "in several files"])
def test_different_rows_of_one_device_are_all_quarantined(tmp_path, name, apart):
    changes, bad = CONFLICTS[name]
    folders = builds.folders(tmp_path)
    rows = [builds.device(9, **change) for change in changes]
    if apart:
        for number, row in enumerate(rows):
            add_file(folders, "devices", f"x-{number}.parquet", [row])
    else:
        add_file(folders, "devices", "x.parquet", rows)
    pco_build(folders)
    found = Counter()
    for (_, _, rule), count in quarantine_of(folders).items():
        found[rule] += count
    assert found["one_row_a_device"] == status_of(folders)["extracts"]["devices"]["quarantined"] == bad
    assert (builds.eui(9) in outcomes(folders)) == (bad == 0)
    assert builds.eui(1) in outcomes(folders)


# --- values of the wrong kind -------------------------------------------------------------------------------

SECOND = "2021-03-02T00:00:00"
COUNTER, VARIANT = ("service_responses", "originator_counter"), ("service_responses", "command_variant")
# extract, column, the type in the file, a value that is good, one that is not, the rule
WRONG_KINDS = [
    (*COUNTER, pa.int64(), 1, -1, "originator_counter_is_a_counter"),
    (*COUNTER, pa.float64(), 2.0, 2.5, "originator_counter_is_a_counter"),
    (*COUNTER, pa.string(), "18446744073709551615", "18446744073709551616", "originator_counter_is_a_counter"),
    (*COUNTER, pa.string(), "7", "seven", "originator_counter_is_a_counter"),
    (*VARIANT, pa.float64(), 4.0, 4.5, "command_variant_is_a_number"),
    (*VARIANT, pa.string(), "5", "five", "command_variant_is_a_number"),
    (*VARIANT, pa.decimal128(9, 1), Decimal("4"), Decimal("4.5"), "command_variant_is_a_number"),
    ("service_responses", "sent_at", pa.string(), f"{SECOND}+00:00", "2 March", "sent_at_is_a_timestamp"),
    ("devices", "commissioned_at", pa.string(), SECOND, "2021-02-30T00:00:00", "commissioned_at_is_a_timestamp"),
    ("dsp_checks", "checked_at", pa.string(), "2021-03-02", "", "checked_at_is_a_timestamp"),
    ("dsp_checks", "passed", pa.string(), "true", "perhaps", "passed_is_a_flag"),
    ("registrations", "effective_from", pa.string(), "2021-03-01", "2021-02-30", "effective_from_is_a_date"),
    ("registrations", "effective_to", pa.string(), "2021-03-09", "infinity", "effective_to_is_a_date"),
    ("registrations", "effective_to", pa.timestamp("us"), march(9), march(9, 12), "effective_to_is_a_date"),
    ("devices", "manufacturer", pa.int64(), None, 3, "manufacturer_is_a_text"),
    ("devices", "device_type", pa.binary(), b"ESME", b"\xff\xfe", "device_type_is_a_code"),
    ("credential_reads", "read_at", pa.int64(), None, 3, "read_at_is_a_timestamp"),
]


def one_value_wrong(folders, extract, column, kind, good, bad):
    rows = [ROW[extract](number + 20, **{column: value}) for number, value in enumerate((good, bad))]
    add_file(folders, extract, "kind.parquet", rows[1:] if good is None else rows, **{column: kind})


@pytest.mark.parametrize(("extract", "column", "kind", "good", "bad", "rule"), WRONG_KINDS)
def test_a_value_of_the_wrong_kind_quarantines_its_row(tmp_path, extract, column, kind, good, bad, rule):
    folders = builds.folders(tmp_path)
    one_value_wrong(folders, extract, column, kind, good, bad)
    assert pco_build(folders).status == 0
    assert quarantine_of(folders) == {(extract, f"{extract}/kind.parquet", rule): 1}


@pytest.mark.parametrize(
    ("column", "kind", "bad", "shown"),
    [("command_variant", pa.string(), "five", "five"), ("originator_counter", pa.int64(), -1, -1)],
)
def test_a_sample_shows_the_value_as_the_file_has_it(tmp_path, column, kind, bad, shown):
    folders = builds.folders(tmp_path)
    add_file(folders, "service_responses", "kind.parquet", [builds.response(**{column: bad})], **{column: kind})
    pco_build(folders)
    [[sample]] = current(folders.marts).frame("quarantine")["samples"].to_list()
    assert json.loads(sample)[column] == shown
    assert json.loads(sample)["device_id"] == builds.eui(1)


def test_text_in_a_binary_column_is_text(tmp_path):
    extracts = builds.secure_devices([1])
    extracts["devices"][0] |= {"manufacturer": "Bölt & Ŝonoj", "model": '\\x41 "M"'}
    folders = builds.folders(tmp_path, extracts)
    binary = {"manufacturer": pa.binary(), "model": pa.large_binary()}
    text = builds.table_of("devices", extracts["devices"])
    fields = [pa.field(field.name, binary.get(field.name, field.type)) for field in text.schema]
    builds.write(text.cast(pa.schema(fields)), folders.extracts / "devices" / "part-0.parquet")
    pco_build(folders)
    assert outcomes(folders) == expected_outcomes(extracts)


def test_samples_are_at_most_a_hundred_a_rule(tmp_path):
    folders = builds.folders(tmp_path)
    add_file(folders, "dsp_checks", "a.parquet", [builds.dsp_check(n, passed=None) for n in range(80)])
    add_file(folders, "dsp_checks", "b.parquet", [builds.dsp_check(n, passed=None) for n in range(80)])
    pco_build(folders)
    frame = current(folders.marts).frame("quarantine")
    assert sorted(frame["rows"]) == [80, 80]
    assert sum(frame["samples"].list.len()) == 100


# --- codes that nobody knows --------------------------------------------------------------------------------

UNKNOWN = {
    "devices": ["device_type", "device_status", "csp_region"],
    "service_responses": ["srv", "credential_type", "remote_party_role", "response_code", "execution_status"],
    "dsp_checks": ["check"],
    "credential_reads": ["remote_party_role", "certificate_usage", "status_code"],
    "certificates": ["remote_party_role", "certificate_usage", "status"],
    "parties": ["role"],
}


def test_unknown_codes_are_kept_and_counted_as_unrecognised(tmp_path):
    folders = builds.folders(tmp_path)
    expected = []
    for extract, columns in UNKNOWN.items():
        usual = ROW[extract](9) if extract == "devices" else ROW[extract]()
        add_file(folders, extract, "new.parquet", 2 * [usual | {column: f"new {column}" for column in columns}])
        expected += [{"extract": extract, "column": c, "value": f"new {c}", "rows": 2} for c in columns]
    assert pco_build(folders).status == 0
    status = status_of(folders)
    assert status["quarantine"] == []
    assert sorted(map(str, status["unrecognised"])) == sorted(map(str, expected))
    assert outcomes(folders) == expected_outcomes(builds.secure_devices())


@pytest.mark.parametrize("code", ["new", 'a "new" one', "back\\slash", "Ŝtato\n2"])
def test_an_unknown_code_of_a_bad_row_is_not_counted(tmp_path, code):
    folders = builds.folders(tmp_path)
    kept = builds.response(response_code=code)
    add_file(folders, "service_responses", "new.parquet", [kept, kept | {"device_id": NO_EUI}])
    assert pco_build(folders, "--max-quarantined", 1).status == 0
    assert [(row["value"], row["rows"]) for row in status_of(folders)["unrecognised"]] == [(code, 1)]


def test_an_unknown_code_of_devices_of_which_two_things_are_said_is_not_counted(tmp_path):
    """Their rows are quarantined; those of a Device that stands twice in the very same words are kept."""
    folders = builds.folders(tmp_path)
    one, other = (ROW["devices"](number) | {"device_status": "new"} for number in (9, 10))
    differing = [one, one | {"model": "another"}, one | {"device_id": NO_EUI}]
    add_file(folders, "devices", "new.parquet", [*differing, other, other])
    assert pco_build(folders, "--max-quarantined", 1).status == 0
    counted = [{"extract": "devices", "column": "device_status", "value": "new", "rows": 2}]
    assert status_of(folders)["unrecognised"] == counted
    # The conflict is known now, and not looked for again.
    assert pco_build(folders, "--max-quarantined", 1).status == 0
    assert status_of(folders)["unrecognised"] == counted


def test_a_devices_own_key_is_no_role_of_a_service_request(tmp_path):
    folders = builds.folders(tmp_path)
    add_file(folders, "service_responses", "new.parquet", [builds.response(remote_party_role="Device")])
    assert pco_build(folders).status == 0
    told = {"extract": "service_responses", "column": "remote_party_role", "value": "Device", "rows": 1}
    assert status_of(folders)["unrecognised"] == [told]


def test_an_unknown_code_beside_a_number_that_is_none_is_not_counted(tmp_path):
    """JSON has no word for it, and a sample that is no JSON tells nothing of the row."""
    folders = builds.folders(tmp_path)
    bad = builds.response(originator_counter=float("nan"), response_code="new")
    add_file(folders, "service_responses", "kind.parquet", [bad], originator_counter=pa.float64())
    assert pco_build(folders, "--max-quarantined", 1).status == 0
    assert status_of(folders)["unrecognised"] == []
    [[sample]] = current(folders.marts).frame("quarantine")["samples"].to_list()
    assert json.loads(sample, parse_constant=pytest.fail)["originator_counter"].lower() == "nan"


def test_an_unknown_region_or_status_is_kept_in_outcomes(tmp_path):
    extracts = builds.secure_devices()
    extracts["devices"][0] |= {"csp_region": "Atlantis", "device_status": "Sleeping"}
    folders = builds.folders(tmp_path, extracts)
    pco_build(folders)
    assert outcomes(folders)[builds.eui(1)]["csp_region"] == "Atlantis"


def test_values_that_look_like_markup_are_told_as_they_are(tmp_path):
    extracts = builds.secure_devices()
    values = ["[/x]", "[red]Atlantis", ":boom:"]
    for row, value in zip(extracts["devices"], values, strict=True):
        row["csp_region"] = value
    folders = builds.folders(tmp_path, extracts)
    pco_build(folders)
    told = pco("status", "--marts", folders.marts)
    assert told.status == 0
    assert [value in told.out for value in values] == [True, True, True]


# --- files that refuse the build ----------------------------------------------------------------------------


def zero_bytes(file):
    file.write_bytes(b"")


def truncated(file):
    file.write_bytes(file.read_bytes()[:-100])


def without_its_beginning(file):
    file.write_bytes(file.read_bytes()[100:])


def text_of_the_same_name(file):
    file.write_text("device_id,device_type\n")


def without_a_column(file):
    builds.write(pq.ParquetFile(file).read().drop_columns(["device_id"]), file)


def with_a_column_in_another_case(file):
    table = pq.ParquetFile(file).read()
    builds.write(table.rename_columns([name.replace("device_id", "Device_ID") for name in table.column_names]), file)


def with_a_column_twice(file):
    table = pq.ParquetFile(file).read()
    builds.write(table.append_column("device_id", pc.ascii_lower(table["device_id"])), file)


def with_a_column_in_two_cases(file):
    table = pq.ParquetFile(file).read()
    builds.write(table.append_column("DEVICE_ID", pc.ascii_lower(table["device_id"])), file)


def with_a_broken_page(file):
    """The footer is whole, so that only reading the rows tells."""
    builds.write(pq.ParquetFile(file).read(), file, use_dictionary=False, compression="zstd")
    content = bytearray(file.read_bytes())
    start = pq.ParquetFile(file).metadata.row_group(0).column(0).data_page_offset
    content[start + 8 : start + 60] = bytes(52)
    file.write_bytes(content)


def a_dangling_link(file):
    file.unlink()
    file.symlink_to(file.parent / "nowhere.parquet")


def a_link_to_a_good_file(file):
    moved = file.rename(file.parent.parent / "moved")
    file.symlink_to(moved)


def a_link_to_a_folder(file):
    file.unlink()
    file.symlink_to(file.parent.parent / "devices", target_is_directory=True)


def a_link_to_endless_zeros(file):
    file.unlink()
    file.symlink_to("/dev/zero")


BAD_FILES = {
    zero_bytes: "cannot be read as Parquet",
    truncated: "cannot be read as Parquet",
    without_its_beginning: "cannot be read as Parquet",
    text_of_the_same_name: "cannot be read as Parquet",
    without_a_column: "lacks the required column device_id",
    with_a_column_in_another_case: "lacks the required column device_id",
    with_a_column_twice: "twice",
    with_a_column_in_two_cases: "differ by case",
    with_a_broken_page: "cannot be read as Parquet",
    a_dangling_link: "is a link",
    a_link_to_a_good_file: "is a link",
    a_link_to_a_folder: "is a link",
    a_link_to_endless_zeros: "is a link",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Extracts, each in two files, and the snapshot made from them."""
    folders = builds.folders(tmp_path_factory.mktemp("published"), files=2)
    assert pco_build(folders).status == 0
    return folders


@pytest.fixture
def spoilt(published, tmp_path):
    """The same extracts, to be spoilt, beside the published snapshot."""
    shutil.copytree(published.extracts, tmp_path / "extracts")
    return builds.Folders(tmp_path / "extracts", published.marts)


def content_of(marts):
    return {path.relative_to(marts): path.read_bytes() for path in sorted(marts.rglob("*")) if path.is_file()}


def refused(folders, problems, run=pco, options=()):
    """Refused with a line for each (beginning, reason), and nothing changed."""
    before = content_of(folders.marts)
    done = run("build", "--extracts", folders.extracts, "--marts", folders.marts, *options)
    assert done.status == 3
    assert len(done.problems) == len(problems)
    for (beginning, reason), line in zip(problems, done.problems, strict=True):
        assert line.startswith(f"pco: {beginning}: ")
        assert reason in line
    assert "Traceback" not in done.err + done.out
    assert content_of(folders.marts) == before


@pytest.mark.parametrize("spoil", BAD_FILES)
def test_a_bad_file_refuses_the_build_by_name(spoilt, spoil):
    spoil(spoilt.extracts / "dsp_checks" / "part-1.parquet")
    refused(spoilt, [("dsp_checks/part-1.parquet", BAD_FILES[spoil])])


def test_every_bad_file_is_named(spoilt):
    zero_bytes(spoilt.extracts / "devices" / "part-1.parquet")
    text_of_the_same_name(spoilt.extracts / "parties" / "part-0.parquet")
    without_a_column(spoilt.extracts / "registrations" / "part-0.parquet")
    a_dangling_link(spoilt.extracts / "registrations" / "part-1.parquet")
    refused(
        spoilt,
        [
            ("devices/part-1.parquet", "cannot be read"),
            ("registrations/part-0.parquet", "lacks"),
            ("registrations/part-1.parquet", "is a link"),
            ("parties/part-0.parquet", "cannot be read"),
        ],
    )


def test_files_that_are_bad_in_different_ways_are_all_named_at_once(spoilt):
    without_a_column(spoilt.extracts / "dsp_checks" / "part-0.parquet")
    with_a_broken_page(spoilt.extracts / "credential_reads" / "part-1.parquet")
    refused(
        spoilt,
        [("dsp_checks/part-0.parquet", "lacks"), ("credential_reads/part-1.parquet", "cannot be read as Parquet")],
    )


def test_many_bad_rows_are_counted_without_being_spelled_out(tmp_path, monkeypatch):
    monkeypatch.setattr(reduction, "SPELLED_OUT", 2)
    monkeypatch.setattr(sandbox, "run", here)
    extracts = builds.secure_devices(range(1, 9))
    extracts["dsp_checks"] = [row | {"device_id": row["device_id"].lower()} for row in extracts["dsp_checks"]]
    extracts["devices"] += [row | {"model": "another"} for row in extracts["devices"][:5]]
    folders = builds.folders(tmp_path, extracts)
    assert pco_build(folders).status == 0
    counts = status_of(folders)["extracts"]
    assert {name: counts[name]["quarantined"] for name in ("dsp_checks", "devices")} == {
        "dsp_checks": 16,
        "devices": 10,
    }


def test_columns_are_described_once_a_schema(tmp_path, monkeypatch):
    folders = builds.folders(tmp_path)
    for number in range(5):
        add_file(folders, "dsp_checks", f"{number}.parquet", [builds.dsp_check(passed=True)])
    described = Mock(side_effect=_described)
    monkeypatch.setattr("data.extracts._described", described)
    survey(folders.extracts)
    folders_described = Counter(path.parent.name for _, path in (call.args for call in described.call_args_list))
    assert folders_described["dsp_checks"] == 1


def test_every_file_with_a_broken_page_is_named(spoilt):
    files = ["devices/part-0.parquet", "dsp_checks/part-1.parquet", "certificates/part-0.parquet"]
    for file in files:
        rows = pq.ParquetFile(spoilt.extracts / file).read()
        builds.write(rows, spoilt.extracts / file, use_dictionary=False, compression="zstd")
        with_a_broken_page(spoilt.extracts / file)
    refused(spoilt, [(file, "cannot be read as Parquet") for file in files])


def test_a_time_too_great_for_its_unit_refuses_by_the_name_of_that_file_only(spoilt):
    """DuckDB cannot read such a file at all."""
    file = spoilt.extracts / "dsp_checks" / "part-1.parquet"
    table = pq.ParquetFile(file).read()
    moments = pa.array([2**62] * table.num_rows, pa.timestamp("ms"))
    builds.write(table.set_column(2, "checked_at", moments), file)
    refused(spoilt, [("dsp_checks/part-1.parquet", "cannot be read")])


def test_a_pipe_refuses_the_build_and_does_not_hang(spoilt):
    os.mkfifo(spoilt.extracts / "devices" / "pipe.parquet")
    refused(spoilt, [("devices/pipe.parquet", "no regular file")], run=builds.pco_process)


def test_a_linked_folder_refuses_the_build(spoilt):
    link = spoilt.extracts / "devices" / "month=2021-03"
    link.symlink_to(spoilt.extracts, target_is_directory=True)
    refused(spoilt, [("devices/month=2021-03", "is a link")])


def test_a_name_of_two_lines_is_told_in_one(spoilt):
    (spoilt.extracts / "devices" / "a\nb\x1b[31m.parquet").write_bytes(b"")
    refused(spoilt, [(r"devices/a\nb\x1b[31m.parquet", "cannot be read as Parquet")])


def test_a_folder_that_cannot_be_listed_refuses_the_build(spoilt):
    """A month that is passed over in silence would look like a good month."""
    (spoilt.extracts / "devices" / "month=2021-03").mkdir()
    scandir = os.scandir

    def forbidding(path):
        if str(path).endswith("month=2021-03"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with patch.object(os, "scandir", forbidding):
        refused(spoilt, [("devices/month=2021-03", "Permission denied")])


def removed(folder):
    shutil.rmtree(folder)


def emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def left_with_a_readme(folder):
    emptied(folder)
    (folder / "README.md").write_text("No file this month.")


@pytest.mark.parametrize("spoil", [removed, emptied, left_with_a_readme])
def test_an_extract_without_files_refuses_the_build(spoilt, spoil):
    spoil(spoilt.extracts / "credential_reads")
    refused(spoilt, [("credential_reads", "no Parquet file")])


def test_no_extracts_folder_refuses_the_build(spoilt):
    shutil.rmtree(spoilt.extracts)
    refused(spoilt, [(str(spoilt.extracts), "no such folder")])


def test_a_bad_file_of_an_optional_extract_refuses_too(spoilt):
    (spoilt.extracts / "incidents").mkdir()
    zero_bytes(spoilt.extracts / "incidents" / "x.parquet")
    refused(spoilt, [("incidents/x.parquet", "cannot be read")])


@pytest.mark.parametrize(("good", "status"), [(99, 0), (98, 3)])
def test_more_than_a_hundredth_of_bad_rows_refuses_the_build(tmp_path, good, status):
    extracts = builds.secure_devices()
    extracts["dsp_checks"] = [*good * [builds.dsp_check()], builds.dsp_check(passed=None)]
    folders = builds.folders(tmp_path, extracts)
    assert pco("build", "--extracts", folders.extracts, "--marts", folders.marts).status == status


def test_too_many_bad_rows_are_told_by_extract_and_rule(spoilt):
    for extract in ("devices", "parties"):
        builds.write(
            builds.table_of(
                extract, [bad_row(extract, f"{'eui' if extract == 'parties' else 'device_id'}_is_present", 99)]
            ),
            spoilt.extracts / extract / "bad.parquet",
        )
    refused(spoilt, [("devices", "device_id_is_present"), ("parties", "eui_is_present")])
    refused(
        spoilt,
        [("devices", "1 of 4"), ("parties", "1 of 5")],
        options=["--max-quarantined", "0.19"],
    )


def test_conflicting_devices_count_towards_the_share(spoilt):
    builds.write(
        builds.table_of("devices", [builds.device(1, model="M2")]), spoilt.extracts / "devices" / "more.parquet"
    )
    refused(spoilt, [("devices", "2 of 4 rows")])


# --- files that are odd and good ----------------------------------------------------------------------------

ODD_NAMES = [
    "[1].parquet",
    "1.parquet",
    "*.parquet",
    "?.parquet",
    "**.parquet",
    "x (1).parquet",
    "two  spaces.parquet",
    "two\nlines.parquet",
    "ünïcödé 漢字 🔌.parquet",
    "{a,b}.parquet",
    "~.parquet",
    "%41.parquet",
    "quote'\".parquet",
    "$files.parquet",
    ".hidden.parquet",
    "LOUD.PARQUET",
    "no ending",
    "part.parquet.gz",
    "month=2021-03/part.parquet",
    "[a-z]/b*/c?/part.parquet",
    "device_type=CHF/csp_region=Nowhere/device_id=1/part.parquet",
    "file=x/keeps_contract=false/part.parquet",
]


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    """Each file holds a Device of its own and a bad row of its own."""
    root = tmp_path_factory.mktemp("odd") / "device_type=GSME [1]*?"
    folders = builds.folders(root)
    for number, name in enumerate(ODD_NAMES, 20):
        rows = [builds.device(number), builds.device(number, device_id=f"bad {number}")]
        add_file(folders, "devices", name, rows)
    assert pco_build(folders).status == 0
    return folders


def test_files_of_odd_names_are_read_once_each(oddly_named):
    assert quarantine_of(oddly_named) == {
        ("devices", f"devices/{name}", "device_id_is_well_formed"): 1 for name in ODD_NAMES
    }
    assert status_of(oddly_named)["extracts"]["devices"]["rows"] == 3 + 2 * len(ODD_NAMES)


def test_a_folders_name_never_overwrites_a_column(oddly_named):
    extracts = builds.secure_devices()
    extracts["devices"] += [builds.device(number) for number, _ in enumerate(ODD_NAMES, 20)]
    assert outcomes(oddly_named) == expected_outcomes(extracts)
    to = oddly_named.marts / "rates.csv"
    pco("export", "rates", "--by", "device_type", "--marts", oddly_named.marts, "--to", to)
    assert [line.split(",")[0] for line in to.read_text().splitlines()] == ["device_type", "ESME"]


def test_a_folders_name_is_no_column(oddly_named):
    assert status_of(oddly_named)["extracts"]["devices"]["extra_columns"] == []


def test_a_backslash_in_a_name_is_no_separator(tmp_path):
    folders = builds.folders(tmp_path)
    part = folders.extracts / "devices" / "part-0.parquet"
    part.rename(part.parent / "back\\slash.parquet")
    assert pco_build(folders).status == 0
    assert outcomes(folders) == expected_outcomes(builds.secure_devices())


def test_a_relative_folder_that_begins_with_a_tilde_is_a_folder(tmp_path, monkeypatch):
    builds.folders(tmp_path / "~")
    monkeypatch.chdir(tmp_path)
    assert pco_build(builds.Folders(Path("~/extracts"), Path("marts"))).status == 0
    assert outcomes(builds.Folders(None, Path("marts"))) == expected_outcomes(builds.secure_devices())


def test_what_is_no_parquet_file_is_ignored_and_listed(tmp_path):
    folders = builds.folders(tmp_path)
    beside = ["README.txt", "devices/README.md", "devices/_SUCCESS", "devices/.part.crc", "parties/two\nlines"]
    for name in beside:
        (folders.extracts / name).write_text("Not rows.")
    pq.write_metadata(estates.SCHEMAS["devices"], folders.extracts / "devices" / "_metadata")
    (folders.extracts / "truth").mkdir()
    assert pco_build(folders).status == 0
    assert status_of(folders)["ignored"] == [
        "README.txt",
        "truth",
        "devices/.part.crc",
        "devices/README.md",
        "devices/_SUCCESS",
        "devices/_metadata",
        r"parties/two\nlines",
    ]
    assert "ignored: devices/README.md" in pco("status", "--marts", folders.marts).out.splitlines()


def test_incidents_may_be_absent(tmp_path):
    folders = builds.folders(tmp_path)
    pco_build(folders)
    assert status_of(folders)["extracts"]["incidents"]["files"] == 0
    add_file(folders, "incidents", "x.parquet", [builds.incident(1), builds.incident(2)])
    pco_build(folders)
    assert status_of(folders)["extracts"]["incidents"]["rows"] == 2


def test_a_file_without_rows_is_a_good_file(tmp_path):
    folders = builds.folders(tmp_path)
    for extract in ROW:
        add_file(folders, extract, "empty.parquet", [])
    assert pco_build(folders).status == 0
    assert outcomes(folders) == expected_outcomes(builds.secure_devices())


def test_without_any_time_a_build_asks_for_as_at(tmp_path):
    nothing = {"service_responses": [], "dsp_checks": [], "credential_reads": []}
    folders = builds.folders(tmp_path, builds.secure_devices() | nothing)
    done = pco_build(folders)
    assert (done.status, len(done.problems), "--as-at" in done.err) == (3, 1, True)
    assert pco_build(folders, "--as-at", "2021-03-20").status == 0


def test_a_malformed_copy_leaves_the_good_row_as_it_was(tmp_path):
    extracts = builds.secure_devices([1])
    folders = builds.folders(tmp_path, extracts)
    add_file(folders, "credential_reads", "copy.parquet", [builds.read(subject_unique_id="nobody", read_at=march(21))])
    pco_build(folders)
    assert outcomes(folders) == expected_outcomes(extracts)


@pytest.mark.parametrize("name", ["back\\sl*ash", "a\\[b]", "q\\?x"])
def test_a_backslash_beside_a_wildcard_is_refused_in_a_line(tmp_path, name):
    folders = builds.folders(tmp_path / name)
    for command in (
        ["build", "--extracts", folders.extracts],
        ["status"],
        ["export", "rates", "--to", tmp_path / "x.csv"],
    ):
        done = pco(*command, "--marts", folders.marts)
        assert (done.status, len(done.problems)) == (2, 1)
        assert "has a backslash and one of [ * ? in its path" in done.err
    file = builds.folders(tmp_path).extracts / "devices" / f"{name}.parquet"
    shutil.copy(file.with_name("part-0.parquet"), file)
    done = pco_build(builds.Folders(tmp_path / "extracts", tmp_path / "marts"))
    assert (done.status, len(done.problems)) == (3, 1)
    assert done.problems[0].startswith(f"pco: devices/{name}.parquet: has a backslash")

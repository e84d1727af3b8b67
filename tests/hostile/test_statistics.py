"""Statistics in a footer that lie: no row is hidden by them, none escapes its rule, and no instant is forged."""

import shutil
import struct
from contextlib import closing
from datetime import UTC, date, datetime
from unittest.mock import patch

import builds
import duckdb
import estates
import polars as pl
import pyarrow.parquet as pq
import pytest
from builds import march
from hostile.footers import BINARY, I32, columns, lying, put, row_groups
from thorough import times

from data.contracts import contracts
from data.extracts import InputRefused, survey, surveyed
from data.reduction import Reader, Rows

BUILD_START, AS_AT = datetime(2026, 11, 1), march(25)
BOOLEAN, INT32, INT64, TEXT = 0, 1, 2, 6
GREATEST, LEAST = (1, 5), (2, 6)
FAR, EARLY = march(1).replace(year=2030), march(1).replace(year=2000)
# Rows that break a rule, or hold an unknown code; among good ones.
ODD = {
    "devices": [{"device_type": "NEW"}, {"device_id": "x"}, {"commissioned_at": FAR}, {"csp_region": "ZZZ"}],
    "service_responses": [
        {"sent_at": FAR},
        {"sent_at": EARLY},
        {"responded_at": None},
        {"originator_id": "aa"},
        {"srv": "9.99"},
        {"response_code": "Z9"},
        {"responded_at": march(1)},
    ],
    "dsp_checks": [{"check": "other"}, {"checked_at": FAR}, {"passed": None}, {"passed": False}],
    "registrations": [{"supplier_id": None}, {"effective_to": date(2020, 1, 1)}],
    "credential_reads": [{"read_at": FAR}, {"remote_party_role": "New"}, {"subject_unique_id": "bad"}],
    "certificates": [{"status": "Odd"}, {"subject_unique_id": "bad"}],
    "parties": [{"role": "Odd"}, {"eui": "x"}, {"is_dcc_user": None}],
    "incidents": [{"incident_id": None}],
}


def write(root, rows_a_group, **options):
    extracts = {**builds.secure_devices(range(1, 8)), "incidents": [builds.incident(1)]}
    for extract, changes in ODD.items():
        extracts[extract] = [*extracts[extract], *({**builds.ROW[extract](), **change} for change in changes)]
    estates.write_estate(extracts, root)
    for file in root.rglob("*.parquet"):
        pq.write_table(pq.read_table(file), file, row_group_size=rows_a_group, **options)
    return root


def micros(year):
    return struct.pack("<q", int(datetime(year, 3, 3, tzinfo=UTC).timestamp() * 1e6))


ONE_DEVICE, ANOTHER = b"90-B3-D5-1F-30-01-00-01", b"90-B3-D5-1F-30-01-00-00"

# Parquet type -> what is said to be the least and the greatest value.
RANGES = {
    "all alike": {TEXT: b"6.17", INT64: micros(2021), INT32: struct.pack("<i", 18_000), BOOLEAN: b"\1"},
    "all one Device": {TEXT: ONE_DEVICE},
    "all in a far year": {TEXT: b"zzzz", INT64: micros(2100), INT32: struct.pack("<i", 90_000), BOOLEAN: b"\0"},
    "all in an early year": {TEXT: b"   ", INT64: micros(1990), INT32: struct.pack("<i", 1)},
}


def said(column):
    return column[12][1] if 12 in column else {}


def in_range(values):
    def lie(column):
        value = values.get(column[1][1])
        for number in (*GREATEST, *LEAST):
            if value and number in said(column):
                put(said(column), number, value)

    return lie


def turned_round(column):
    for greatest, least in zip(GREATEST, LEAST, strict=True):
        if {greatest, least} <= said(column).keys():
            said(column)[greatest], said(column)[least] = said(column)[least], said(column)[greatest]


def two_values(column):
    for numbers, value in ((GREATEST, ONE_DEVICE), (LEAST, ANOTHER)):
        for number in numbers:
            if column[1][1] == TEXT and number in said(column):
                put(said(column), number, value)


def alike_in(*numbers, without=()):
    """One value in some of the four fields, the others as they are or left out: readers differ in which they ask."""

    def lie(column):
        if column[1][1] == TEXT and said(column):
            said(column).update(dict.fromkeys(numbers, (BINARY, ONE_DEVICE)))
            for number in without:
                said(column).pop(number, None)

    return lie


def only_in_dictionaries(column):
    """As if no page held values themselves."""
    put(column, 2, (I32, [8]))
    column.pop(13, None)


def no_nulls(column):
    if 3 in said(column):
        put(said(column), 3, 0)


def only_nulls(column):
    for number in (*GREATEST, *LEAST):
        said(column).pop(number, None)
    if 3 in said(column):
        put(said(column), 3, column[5][1])


LIES = {name: in_range(values) for name, values in RANGES.items()} | {
    "turned round": turned_round,
    "full": no_nulls,
    "two values": two_values,
    "alike in the old fields": alike_in(1, 2),
    "alike in the new fields": alike_in(5, 6),
    "alike in the old fields alone": alike_in(1, 2, without=(5, 6)),
    "only in dictionaries": only_in_dictionaries,
}


def with_lies(truth, folder, lie):
    shutil.copytree(truth, folder)
    for file in folder.rglob("*.parquet"):
        lying(file, lambda tree: [lie(column) for group in row_groups(tree) for column in columns(group)])
    return folder


def found(extracts, work):
    """All that reading makes of the extracts."""
    shutil.rmtree(work, ignore_errors=True)
    reader, seen, told = Reader(work / "reading", BUILD_START, AS_AT), survey(extracts), {}
    for name, contract in contracts().items():
        for batch in seen.batches(name, 1_000):
            folder = work / name
            folder.mkdir(parents=True)
            facts = reader.reduce(contract, batch, folder)
            tables = [pl.read_parquet(folder / file).to_dicts() for files in facts["tables"].values() for file in files]
            told[name] = in_order(facts), in_order(tables)
    reader.close()
    return told


def in_order(value):
    if isinstance(value, dict):
        return sorted(((str(name), in_order(one)) for name, one in value.items()), key=str)
    return sorted((in_order(one) for one in value), key=str) if isinstance(value, list | tuple) else value


# Values in dictionaries, and others beside them in the same column.
MIXED = {"dictionary_pagesize_limit": 64, "data_page_size": 1, "write_batch_size": 1}
LAYOUTS = [(3, {}), (1_000, MIXED), (1_000, {}), (1, {"use_dictionary": False})]


@pytest.mark.parametrize(("rows_a_group", "options"), LAYOUTS[: times(quick=2, thorough=4)])
def test_what_is_read_does_not_rest_on_statistics(tmp_path, rows_a_group, options):
    truth = write(tmp_path / "truth", rows_a_group, **options)
    expected = found(truth, tmp_path / "work")
    assert dict(expected["service_responses"][0])["quarantine"] != in_order({"rows": 0, "by_rule": [], "samples": {}})
    for name, lie in LIES.items():
        assert found(with_lies(truth, tmp_path / name, lie), tmp_path / "work") == expected, name


def test_values_that_are_said_to_be_null_are_a_bad_file(tmp_path):
    """DuckDB takes that for granted, and there is no setting."""
    truth = write(tmp_path / "truth", 1_000)
    surveyed(truth)
    with pytest.raises(InputRefused) as refused:
        surveyed(with_lies(truth, tmp_path / "lies", only_nulls))
    assert len(refused.value.problems) == len(ODD)
    assert all("its statistics say that" in line for line in refused.value.problems)


def test_where_statistics_cannot_be_told_any_column_may_be_said_to_be_alike(tmp_path):
    seen, contract = survey(write(tmp_path / "truth", 1_000)), contracts()["certificates"]
    [batch] = seen.batches("certificates", 1_000)
    rows = Rows(contract, batch, BUILD_START)
    with closing(Reader(tmp_path / "work", BUILD_START)) as reader:
        assert "subject_key_identifier" in reader._said_alike(rows)
        assert "subject_unique_id" not in reader._said_alike(rows)
        with patch.object(duckdb, "connect", side_effect=duckdb.InternalException("of its own")):
            assert reader._said_alike(rows) == set(contract.names)

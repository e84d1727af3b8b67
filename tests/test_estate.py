"""The demonstration estate: same arguments same bytes, the contract's types, verdicts that come from mechanisms."""

import hashlib
import importlib
import json
from collections import Counter
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from data.estate import MARKER, generate
from data.estate.growth import blocks_by_month, devices_by_month
from data.estate.mechanisms import PLANTED
from tests import oracle

TIMESTAMP, EUI = pa.timestamp("us"), pa.string()
COLUMNS = {
    "devices": {
        "device_id": EUI,
        "device_type": pa.string(),
        "device_status": pa.string(),
        "csp_region": pa.string(),
        "manufacturer": pa.string(),
        "model": pa.string(),
        "firmware_version": pa.string(),
        "commissioned_at": TIMESTAMP,
        "responsible_supplier_id": pa.string(),
        "network_operator_id": pa.string(),
    },
    "service_responses": {
        "originator_id": EUI,
        "device_id": EUI,
        "originator_counter": pa.uint64(),
        "srv": pa.string(),
        "command_variant": pa.int8(),
        "credential_type": pa.string(),
        "remote_party_role": pa.string(),
        "sent_at": TIMESTAMP,
        "responded_at": TIMESTAMP,
        "response_code": pa.string(),
        "execution_status": pa.string(),
    },
    "dsp_checks": {"device_id": EUI, "check": pa.string(), "checked_at": TIMESTAMP, "passed": pa.bool_()},
    "registrations": {
        "device_id": EUI,
        "supplier_id": pa.string(),
        "effective_from": pa.date32(),
        "effective_to": pa.date32(),
    },
    "credential_reads": {
        "device_id": EUI,
        "read_at": TIMESTAMP,
        "remote_party_role": pa.string(),
        "certificate_usage": pa.string(),
        "status_code": pa.string(),
        "subject_unique_id": EUI,
        "subject_key_identifier": pa.string(),
    },
    "certificates": {
        "subject_unique_id": EUI,
        "remote_party_role": pa.string(),
        "certificate_usage": pa.string(),
        "subject_key_identifier": pa.string(),
        "status": pa.string(),
    },
    "parties": {
        "eui": EUI,
        "party_id": pa.string(),
        "party_name": pa.string(),
        "category": pa.string(),
        "role": pa.string(),
        "is_dcc_user": pa.bool_(),
    },
    "incidents": {
        "incident_id": pa.string(),
        "device_id": EUI,
        "raised_at": TIMESTAMP,
        "closed_at": TIMESTAMP,
        "resolution": pa.string(),
    },
}
MONTHLY = {"service_responses": "sent_at", "dsp_checks": "checked_at", "credential_reads": "read_at"}
ERA = datetime(2012, 1, 1)


def rows_of(estate, extract):
    return pl.read_parquet(f"{estate.extracts}/{extract}/**/*.parquet", hive_partitioning=False)


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("estate") / "extracts", devices=40_000, seed=1)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A small estate by the contract in plain Python: rows, quarantine and outcomes."""
    small = generate(tmp_path_factory.mktemp("judged") / "extracts", devices=10_000, seed=3)
    rows = {name: ds.dataset(small.extracts / name, format="parquet").to_table().to_pylist() for name in COLUMNS}
    clean, quarantine = oracle.check(rows, datetime.now(UTC).replace(tzinfo=None))
    return rows, clean, quarantine, oracle.outcomes(clean)


@pytest.fixture(scope="module")
def truth(estate):
    return pl.read_parquet(f"{estate.truth}/*.parquet")


def test_same_arguments_give_the_same_bytes_however_many_workers(tmp_path, monkeypatch):
    first = generate(tmp_path / "first", devices=3_000, seed=7, months=14)
    monkeypatch.setattr(importlib.import_module("data.estate.generate"), "MOST_WORKERS", 1)
    second = generate(tmp_path / "second", devices=3_000, seed=7, months=14)
    assert digests(first.extracts) == digests(second.extracts)
    assert digests(first.truth) == digests(second.truth)
    assert first.rows == second.rows


def test_another_seed_gives_another_estate(tmp_path):
    drawn = [generate(tmp_path / str(seed), devices=500, seed=seed, months=14) for seed in (1, 2)]
    ids = [set(rows_of(each, "devices")["device_id"]) for each in drawn]
    assert ids[0].isdisjoint(ids[1])


@pytest.mark.parametrize("extract", COLUMNS)
def test_every_file_has_exactly_the_columns_and_types_of_the_contract(estate, extract):
    files = sorted((estate.extracts / extract).rglob("*.parquet"))
    assert files
    for file in files:
        schema = pq.read_schema(file)
        assert dict(zip(schema.names, schema.types, strict=True)) == COLUMNS[extract]


@pytest.mark.parametrize(("extract", "time"), MONTHLY.items())
def test_a_row_lies_in_the_folder_of_its_month(estate, extract, time):
    rows = pl.read_parquet(f"{estate.extracts}/{extract}/**/*.parquet", hive_partitioning=True)
    kept = rows.filter(pl.col(time) >= ERA)
    assert kept.filter(pl.col(time).dt.strftime("%Y-%m") != pl.col("month").cast(pl.String)).is_empty()
    assert kept["month"].cast(pl.String).max() == "2021-08"


def test_rows_are_counted_as_they_were_written(estate):
    found = {extract: rows_of(estate, extract).height for extract in COLUMNS}
    assert {name: count for name, count in estate.rows.items() if name != "planted_truth"} == found


@pytest.mark.parametrize("devices", [1, 2, 3, 997])
def test_the_number_of_devices_is_the_one_asked_for(tmp_path, devices):
    small = generate(tmp_path / "extracts", devices=devices, months=20)
    assert rows_of(small, "devices").height == devices
    assert all(list((small.extracts / extract).rglob("*.parquet")) for extract in COLUMNS if extract != "incidents")


def test_devices_stand_in_the_proportions_of_real_premises(estate):
    counted = Counter(rows_of(estate, "devices")["device_type"])
    assert counted["ESME"] - counted["CHF"] in range(-2, 45)
    assert counted["GPF"] - counted["GSME"] in range(-2, 45)
    assert 0.78 < counted["GSME"] / counted["ESME"] < 0.82
    assert set(counted) == {"ESME", "CHF", "GPF", "GSME"}


@pytest.mark.parametrize(
    ("month", "million_meters"),
    [(11, 0.18), (17, 1.0), (23, 3.0), (26, 4.0), (38, 6.0), (44, 8.9)],
)
def test_the_running_total_of_meters_follows_the_published_marks(month, million_meters):
    assert devices_by_month(8_900_000, 44)[:month].sum() == pytest.approx(million_meters * 1e6, abs=1)


def test_ten_million_devices_are_made_in_blocks_that_bound_the_memory():
    blocks = [block for blocks in blocks_by_month(10_000_000, 44) for block in blocks]
    assert sum(block.devices for block in blocks) == 10_000_000
    assert max(block.devices for block in blocks) <= 100_000


def test_parties_are_49_suppliers_and_22_networks_with_names_of_their_own(estate):
    parties = rows_of(estate, "parties").unique(["party_id", "party_name", "category"])
    counted = Counter(parties["category"])
    assert counted["Large Supplier"] + counted["Small Supplier"] == 49
    assert (counted["Electricity Network Party"], counted["Gas Network Party"]) == (14, 8)
    assert parties["party_name"].n_unique() == parties["party_id"].n_unique() == parties.height


def test_every_party_named_in_an_extract_is_known(estate):
    parties, devices = rows_of(estate, "parties"), rows_of(estate, "devices")
    known = set(parties["party_id"]) | {None}
    assert set(devices["responsible_supplier_id"]) | set(devices["network_operator_id"]) <= known
    assert set(rows_of(estate, "registrations")["supplier_id"]) <= known
    sent_by = rows_of(estate, "service_responses")["originator_id"].unique()
    suppliers = parties.filter(role="Supplier")["eui"]
    assert sent_by.filter(sent_by.str.len_chars() == 23).is_in(suppliers.to_list()).all()


def test_euis_are_distinct_locally_administered_and_in_no_order(estate):
    devices = rows_of(estate, "devices").unique("device_id", keep="first", maintain_order=True)
    assert devices.height == 40_000
    assert devices["device_id"].str.starts_with("0E-5D-1A-").all()
    ascending = (devices["device_id"] > devices["device_id"].shift(1)).mean()
    assert 0.45 < ascending < 0.55


def test_counters_need_all_64_bits(estate):
    assert rows_of(estate, "service_responses")["originator_counter"].max() >= 2**63


def test_fewer_months_give_a_shorter_history_of_as_many_devices(tmp_path):
    short = generate(tmp_path / "extracts", devices=2_000, months=15)
    responses = rows_of(short, "service_responses")
    assert rows_of(short, "devices").height == 2_000
    assert responses["sent_at"].max() < datetime(2019, 4, 1)
    assert responses["responded_at"].max() < datetime(2019, 4, 1)
    assert json.loads((short.extracts / MARKER).read_text())["last_month"] == "2019-03"


def test_nothing_is_later_than_the_last_month(estate):
    for extract, columns in COLUMNS.items():
        for column in (name for name, kind in columns.items() if kind in (TIMESTAMP, pa.date32())):
            latest = rows_of(estate, extract)[column].max()
            assert latest < (datetime(2021, 9, 1) if columns[column] == TIMESTAMP else date(2021, 9, 1))


def test_the_truth_lies_outside_the_extracts_one_row_a_device(estate, truth):
    assert estate.extracts not in estate.truth.parents
    assert sorted(truth["device_id"]) == sorted(rows_of(estate, "devices")["device_id"].unique())
    assert {path.name for path in estate.extracts.iterdir()} == {*COLUMNS, MARKER}


def test_every_mechanism_is_planted_somewhere(truth):
    assert set(truth["mechanisms"].explode().drop_nulls()) == set(PLANTED)


def test_a_device_that_met_nothing_is_right(estate, truth):
    commissioned = rows_of(estate, "devices").filter(pl.col("commissioned_at") < datetime(2021, 8, 24))
    met_nothing = truth.filter(pl.col("mechanisms").list.len() == 0).join(commissioned, on="device_id", how="semi")
    assert met_nothing.height > 25_000
    assert (met_nothing["cells_right"] & met_nothing["keys_replaced"]).all()


def test_one_firmware_returns_empty_statuses(estate):
    responses = rows_of(estate, "service_responses").filter(pl.col("command_variant") == 5, response_code="I0")
    empty = (
        responses.with_columns(empty=pl.col("execution_status").fill_null("") == "")
        .join(rows_of(estate, "devices"), on="device_id")
        .group_by(weak=(pl.col("model") == "OE3") & (pl.col("firmware_version") == "2.07"))
        .agg(pl.col("empty").mean())
    )
    share = dict(empty.iter_rows())
    assert share[True] > 10 * share[False]


def test_region_north_loses_more_responses_in_winter(estate):
    responses = rows_of(estate, "service_responses").filter(pl.col("command_variant") == 5, pl.col("sent_at") >= ERA)
    lost = pl.col("response_code").is_null() | pl.col("response_code").is_in(["I99", "E20", "E21", "E30"])
    by_season = (
        responses.join(rows_of(estate, "devices"), on="device_id")
        .group_by("csp_region", winter=pl.col("sent_at").dt.month().is_in([11, 12, 1, 2]))
        .agg(lost.mean().alias("share"))
    )
    share = {(region, winter): value for region, winter, value in by_season.iter_rows()}
    assert share["North", True] > 1.8 * share["North", False]
    assert share["South", True] < 1.3 * share["South", False]


def test_few_rows_break_the_contract_and_every_extract_is_accepted(judged):
    rows, _, quarantine, _ = judged
    broken = Counter(extract for extract, _, _ in quarantine)
    assert broken["service_responses"] > 0
    assert all(count < 0.001 * len(rows[extract]) for extract, count in broken.items())
    assert oracle.refused(rows, quarantine) == []


def test_responses_stand_for_six_to_seven_checks_and_some_stand_twice(judged):
    rows = judged[0]
    attempts = [tuple(row.values()) for row in rows["service_responses"] if row["command_variant"] != 4]
    twice = sum(count - 1 for count in Counter(attempts).values())
    assert 6 < (len(attempts) + len(rows["dsp_checks"])) / len(rows["devices"]) < 8
    assert 0.0005 < twice / len(attempts) < 0.002


def test_about_seven_per_cent_are_reported_and_one_per_cent_are_real(judged):
    (rates,) = oracle.rates(judged[3])
    assert 0.06 < rates["reported_failure_rate"] < 0.08
    assert 0.007 < rates["actual_failure_rate"] < 0.013
    assert 0.7 < rates["verified_share"] < 0.85
    assert 0 < rates["missed_failures"] < 0.003 * rates["due"]


def test_every_cause_every_finding_and_every_fault_of_the_contract_occurs(judged):
    outcomes = judged[3]
    assert {row["cause"] for row in outcomes} == {*oracle.CAUSES, None}
    assert {row["finding"] for row in outcomes} == {
        *("confirmed_failure", "confirmed_pass", "missed_failure", "not_due"),
        *("over_reported", "unverified_failure", "unverified_pass"),
    }
    faults = {fault.split(": ")[1] for row in outcomes for fault in row["faults"]}
    assert faults >= {"wrong_party", "dcc_credentials", "supplier_credentials", "missing", "unknown_certificate"}


def test_progress_ends_with_every_device(tmp_path):
    seen = []
    generate(tmp_path / "extracts", devices=600, months=16, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (600, 600)


def test_an_earlier_estate_is_replaced_and_nothing_else_ever_is(tmp_path):
    out = tmp_path / "extracts"
    generate(out, devices=300, months=14)
    small = generate(out, devices=40, months=13)
    assert rows_of(small, "devices").height == 40
    assert {path.name for path in tmp_path.iterdir()} == {"extracts", "extracts-truth"}
    (out / MARKER).unlink()
    with pytest.raises(FileExistsError, match="no demonstration estate"):
        generate(out, devices=40, months=13)
    (tmp_path / "other-truth").mkdir()
    (tmp_path / "other-truth" / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="no planted truth"):
        generate(tmp_path / "other", devices=40, months=13)


@pytest.mark.parametrize("wrong", [{"months": 0}, {"months": 45}, {"devices": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be"):
        generate(tmp_path / "extracts", **{"devices": 10, **wrong})

"""The build against the oracle: the contract in plain Python, which shares no code with the pipeline."""

import tempfile
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, date, timedelta, timezone
from pathlib import Path
from unittest.mock import Mock, patch

import builds
import duckdb
import estates
import oracle
import pyarrow as pa
import pytest
from builds import march
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from thorough import times

from analysis import counts, pipeline, tables
from analysis.causes import with_cause
from analysis.pipeline import Parameters, build
from data import duck, intake, reduction
from data.export import outcomes_frame

# Estates of a dozen Devices: one bad row in fifty is more than the share that a real build takes.
ANY_SHARE = 1.0
GROUPINGS = [
    (),
    ("device_type",),
    ("supplier_at_commissioning", "supplier"),
    ("network_operator",),
    ("csp_region", "commissioned_month"),
    ("manufacturer", "model"),
]


@contextmanager
def built(extracts, as_at=None, grace_days=7, write=estates.write_estate, **layout):
    with tempfile.TemporaryDirectory() as folder:
        write(extracts, Path(folder) / "extracts", **layout)
        parameters = Parameters(as_at, grace_days, ANY_SHARE)
        yield build(Path(folder) / "extracts", Path(folder) / "marts", parameters)


def by_device(rows):
    return sorted(rows, key=lambda row: row["device_id"])


def outcomes_of(snapshot):
    return by_device(outcomes_frame(snapshot).to_dicts())


def in_any_order(rows):
    """As sorted text, a share to twelve places: two ways to sum differ in the last bit."""
    return sorted(
        str({name: round(value, 12) + 0.0 if isinstance(value, float) else value for name, value in row.items()})
        for row in rows
    )


def quarantined(snapshot):
    counts = {name: extract["quarantined"] for name, extract in snapshot.manifest["extracts"].items()}
    return Counter({name: rows for name, rows in counts.items() if rows})


def few(examples):
    """A build takes half a second, so examples are few, others at each run, and many when thorough; the search is by
    seed, so there is little to shrink."""
    most = times(quick=-(-examples * 3 // 5), thorough=10 * examples)
    return settings(max_examples=most, deadline=None, phases=[Phase.reuse, Phase.generate])


def planned(bad_rows):
    """What an estate is made from: a failure report of the estate itself would fill pages."""
    return st.fixed_dictionaries(
        {
            "seed": estates.SEEDS,
            "devices": st.integers(1, 12),
            "instants": st.integers(1, 6),
            "density": st.integers(0, 4),
            "bad_rows": bad_rows,
        }
    )


GOOD, BAD = st.just(0), st.integers(1, 8)


# --- every table, in every estate ---------------------------------------------------------------------------


@few(30)
@given(
    plan=planned(GOOD) | planned(BAD),
    as_at=estates.as_ats(),
    grace_days=estates.grace_days(),
    files=st.integers(1, 3),
    months=st.booleans(),
    shuffle_seed=st.none() | st.integers(0, 99),
)
def test_every_table_equals_the_oracles(plan, as_at, grace_days, files, months, shuffle_seed):
    extracts = estates.make_estate(**plan)
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    expected = oracle.outcomes(clean, as_at, grace_days)
    with built(extracts, as_at, grace_days, files=files, months=months, shuffle_seed=shuffle_seed) as snapshot:
        assert outcomes_of(snapshot) == by_device(expected)
        assert quarantined(snapshot) == Counter(extract for extract, _, _ in bad)
        assert snapshot.manifest["as_at"] == (as_at or oracle.default_as_at(clean)).isoformat()
        for by in GROUPINGS:
            rates, causes = (tables.frame(snapshot, name, by).to_dicts() for name in ("rates", "causes"))
            assert in_any_order(rates) == in_any_order(oracle.rates(expected, by))
            assert in_any_order(causes) == in_any_order(oracle.causes(expected, by))
        amendments = tables.frame(snapshot, "amendments").to_dicts()
        assert len(amendments) == 32
        assert in_any_order(amendments) == in_any_order(oracle.amendments(clean, as_at, grace_days))


@few(8)
@given(plan=planned(BAD), as_at=estates.as_ats())
def test_counts_add_up(plan, as_at):
    with built(estates.make_estate(**plan), as_at) as snapshot:
        outcomes, counts = outcomes_of(snapshot), snapshot.frame("counts")
        failures = [row for row in outcomes if row["reported"] == "failed"]
        assert sum(tables.frame(snapshot, "causes")["reported_failures"]) == len(failures)
        assert sum(counts["devices"]) == len(outcomes) == snapshot.rows("outcomes")
        findings = Counter()
        for finding, devices in counts.select("finding", "devices").iter_rows():
            findings[finding] += devices
        assert findings == Counter(row["finding"] for row in outcomes)
        for row in tables.frame(snapshot, "causes").to_dicts():
            parts = row["over_reported"], row["confirmed_failures"], row["unverified_failures"]
            assert sum(parts) == row["reported_failures"]


# --- what must change nothing -------------------------------------------------------------------------------


def tables_of(extracts):
    return {extract: builds.table_of(extract, rows) for extract, rows in extracts.items()}


def write_changed(change):
    """A writer that changes each extract's table on its way to a file."""

    def write(extracts, folder):
        for extract, table in tables_of(extracts).items():
            builds.write(change(table), folder / extract / "part-0.parquet")

    return write


def rows_reversed(table):
    return table.take(pa.array(range(table.num_rows)[::-1], pa.int64()))


def rows_twice(table):
    return pa.concat_tables([table, table])


def columns_reversed(table):
    return table.select(table.column_names[::-1])


def with_extra_columns(table):
    nothing = pa.nulls(table.num_rows)
    return table.append_column("month", nothing).append_column("Device id", nothing.cast(pa.int8()))


def cast(table, is_cast, to):
    fields = [pa.field(field.name, to) if is_cast(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def text_as_dictionary(table):
    return cast(table, pa.types.is_string, pa.dictionary(pa.int16(), pa.string()))


def text_as_large_text(table):
    return cast(table, pa.types.is_string, pa.large_string())


def text_as_octets(table):
    return cast(table, pa.types.is_string, pa.binary())


def times_in_nanoseconds(table):
    """Nanoseconds end in 2262: a later time stays a time that is too late."""
    end = pa.scalar(estates.FAR_FUTURE.replace(year=2261), pa.timestamp("us"))
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(
                place, field.name, pa.compute.min_element_wise(table[place], end, skip_nulls=False)
            )
    return cast(table, pa.types.is_timestamp, pa.timestamp("ns"))


def times_with_a_zone(table):
    return cast(table, pa.types.is_timestamp, pa.timestamp("us", "Asia/Tokyo"))


def times_in_nanoseconds_with_a_zone(table):
    return cast(times_in_nanoseconds(table), pa.types.is_timestamp, pa.timestamp("ns", "Europe/London"))


def with_columns_named_as_the_reader_names_its_own(table):
    names = ("filename", "file", "month", "bucket", "keeps_contract", "Note", "note")
    for name in names:
        table = table.append_column(name, pa.array(["x"] * table.num_rows))
    return table


def times_as_text(table):
    """The same instants by a clock five and a half hours ahead."""
    clock = timezone(timedelta(hours=5, minutes=30))

    def text(value):
        return None if value is None else value.replace(tzinfo=UTC).astimezone(clock).isoformat()

    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, pa.array(map(text, table[place].to_pylist()), pa.string()))
    return table


def dates_as_times(table):
    return cast(table, pa.types.is_date, pa.timestamp("us"))


def registrations_as_zoned_nanoseconds(table):
    """Only the spells have dates, and they have no times."""
    if "effective_from" not in table.column_names:
        return table
    return cast(dates_as_times(table), pa.types.is_timestamp, pa.timestamp("ns", "UTC"))


def numbers_as_text(table):
    return cast(table, pa.types.is_integer, pa.string())


def numbers_as_decimals(table):
    return cast(table, pa.types.is_integer, pa.decimal128(38, 0))


def flags_as_text(table):
    return cast(table, pa.types.is_boolean, pa.string())


CHANGES = [
    rows_reversed,
    columns_reversed,
    with_extra_columns,
    text_as_dictionary,
    text_as_large_text,
    text_as_octets,
    times_in_nanoseconds,
    times_with_a_zone,
    times_in_nanoseconds_with_a_zone,
    with_columns_named_as_the_reader_names_its_own,
    times_as_text,
    dates_as_times,
    registrations_as_zoned_nanoseconds,
    numbers_as_text,
    numbers_as_decimals,
    flags_as_text,
]


@pytest.mark.parametrize("change", CHANGES)
@few(3)
@given(plan=planned(BAD))
def test_how_values_are_written_changes_nothing(change, plan):
    extracts = estates.make_estate(**plan)
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    with built(extracts, write=write_changed(change)) as snapshot:
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean))
        assert quarantined(snapshot) == Counter(extract for extract, _, _ in bad)


def in_milliseconds(extracts):
    """The extracts with every time cut to the millisecond."""

    def cut(value):
        return value.replace(microsecond=value.microsecond // 1000 * 1000) if hasattr(value, "microsecond") else value

    return {
        extract: [{name: cut(value) for name, value in row.items()} for row in rows]
        for extract, rows in extracts.items()
    }


def times_in_milliseconds(table):
    return cast(table, pa.types.is_timestamp, pa.timestamp("ms"))


@few(3)
@given(plan=planned(BAD))
def test_times_in_milliseconds_are_the_same_times(plan):
    extracts = in_milliseconds(estates.make_estate(**plan))
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    with built(extracts, write=write_changed(times_in_milliseconds)) as snapshot:
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean))


@few(3)
@given(plan=planned(BAD))
def test_every_row_twice_gives_the_same_verdicts_and_twice_the_quarantine(plan):
    extracts = estates.make_estate(**plan)
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    with built(extracts, write=write_changed(rows_twice)) as snapshot:
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean))
        assert quarantined(snapshot) == Counter(2 * [extract for extract, _, _ in bad])


def write_in_layouts(extracts, folder):
    """Each extract in several files, no two of one layout: batches are of one layout each."""
    changes = [columns_reversed, text_as_dictionary, numbers_as_text, times_as_text]
    for extract, table in tables_of(extracts).items():
        for number, change in enumerate(changes):
            part = table.take(pa.array(range(number, table.num_rows, len(changes)), pa.int64()))
            builds.write(change(part), folder / extract / f"part-{number}.parquet")


@few(3)
@given(plan=planned(BAD))
def test_files_of_different_layouts_are_one_extract(plan):
    extracts = estates.make_estate(**plan)
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    with built(extracts, write=write_in_layouts) as snapshot:
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean))
        assert quarantined(snapshot) == Counter(extract for extract, _, _ in bad)


@pytest.mark.parametrize(("devices_a_bucket", "rows_a_batch"), [(1, 1), (3, 10), (250_000, 1)])
@few(3)
@given(plan=planned(BAD))
def test_batches_and_buckets_change_nothing(devices_a_bucket, rows_a_batch, plan):
    extracts = estates.make_estate(**plan)
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    tiny = (
        patch.object(reduction, "DEVICES_A_BUCKET", devices_a_bucket),
        patch.object(intake, "ROWS_A_BATCH", rows_a_batch),
    )
    with tiny[0], tiny[1], built(extracts, files=3, months=True) as snapshot:
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean))
        assert quarantined(snapshot) == Counter(extract for extract, _, _ in bad)
        found = snapshot.frame("counts")
        assert sum(found["devices"]) == snapshot.rows("outcomes")
        assert found.select(counts.COUNTED_BY).is_unique().all()


def test_many_buckets_are_many_parts_of_one_table():
    extracts = builds.secure_devices(range(1, 41))
    with patch.object(reduction, "DEVICES_A_BUCKET", 10), built(extracts) as snapshot:
        assert len(snapshot.files("outcomes")) == 4
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(oracle.check(extracts, estates.BUILD_START)[0]))


@pytest.mark.parametrize("rows_a_chunk", [1, 7])
@few(2)
@given(plan=planned(BAD))
def test_chunks_and_parts_change_nothing(rows_a_chunk, plan):
    extracts = estates.make_estate(**plan)
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    tiny = patch.multiple(
        reduction, LEAST_ROWS_A_CHUNK=rows_a_chunk, LEAST_ROWS_A_GROUP=1, MOST_ROWS_A_CHUNK=rows_a_chunk
    )
    buckets = patch.object(reduction, "DEVICES_A_BUCKET", 3)
    with (
        tiny,
        buckets,
        builds.in_this_process(),
        patch.multiple(counts, MOST_HELD=5, MOST_ADDED=9),
        built(extracts, files=2) as snapshot,
    ):
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean))
        assert quarantined(snapshot) == Counter(extract for extract, _, _ in bad)
        assert sum(snapshot.frame("counts")["devices"]) == snapshot.rows("outcomes")


# Of each pair DuckDB's hash is one and the same when they are texts.
ONE_HASH_AS_TEXTS = (
    ("0E-5D-1A-05-83-79-70-F3", "0E-5D-1A-05-85-39-70-86"),
    ("0E-5D-1A-C9-CD-85-8B-B4", "0E-5D-1A-C9-CF-D5-8B-81"),
    ("0E-5D-1A-67-85-99-21-77", "0E-5D-1A-67-89-A9-21-C9"),
)


@pytest.mark.parametrize("pair", ONE_HASH_AS_TEXTS)
def test_devices_of_which_the_texts_have_one_hash_are_two_devices(pair):
    assert duckdb.sql(
        "select hash($a::varchar) = hash($b::varchar)", params=dict(zip("ab", pair, strict=True))
    ).fetchall() == [(True,)]
    with patch.object(builds, "eui", lambda number: pair[number]):
        extracts = builds.secure_devices((0, 1))
    clean, bad = oracle.check(extracts, estates.BUILD_START)
    assert not bad
    with builds.in_this_process(), built(extracts) as snapshot:
        found = outcomes_of(snapshot)
    assert {row["device_id"] for row in found} == set(pair)
    assert found == by_device(oracle.outcomes(clean))


def test_each_eui64_has_a_hash_of_its_own_where_texts_have_not(tmp_path):
    """All that differ in the digits in which the first of those pairs does: 2^20."""
    eui = "printf('0E-5D-1A-05-8%X-%X%X-70-%02X', range & 15, (range >> 4) & 15, (range >> 8) & 15, range >> 12)"
    counted = ", ".join(f"count(distinct {told})" for told in ("eui", "hash(eui)", "device_hash_of(eui)"))
    with duck.connect(tmp_path) as connection:
        found = connection.sql(f"select {counted} from (select {eui} as eui from range({1 << 20}))").fetchall()
    [(euis, of_texts, of_keys)] = found
    assert of_texts < euis == of_keys == 1 << 20


def test_two_devices_of_one_hash_stop_the_build():
    keyed = duck.sql("keyed").replace("device_hash_of(device_id)", "7::ubigint")
    with (
        builds.in_this_process(),
        patch.object(duck, "sql", lambda name, real=duck.sql: keyed if name == "keyed" else real(name)),
        pytest.raises(RuntimeError, match="two Devices have one hash"),
        built(builds.secure_devices(range(1, 3))),
    ):
        pass


@few(3)
@given(plan=planned(BAD), as_at=estates.as_ats())
def test_the_same_extracts_give_the_same_bytes(plan, as_at):
    extracts = estates.make_estate(**plan)
    with built(extracts, as_at) as first, built(extracts, as_at) as second:
        assert first.manifest["files"] == second.manifest["files"]


def test_extra_columns_are_listed():
    with built(builds.secure_devices(), write=write_changed(with_extra_columns)) as snapshot:
        extra = {name: extract["extra_columns"] for name, extract in snapshot.manifest["extracts"].items()}
        assert extra == {name: ["Device id", "month"] for name in builds.secure_devices()} | {
            "incidents": [],
            "messages": [],
        }


# --- as_at, by examples that random estates seldom hold -----------------------------------------------------


def only_outcome(extracts, as_at=None):
    with built(extracts, as_at) as snapshot:
        [outcome] = outcomes_of(snapshot)
        return outcome


def test_a_spell_later_than_the_default_as_at_is_ignored():
    extracts = builds.secure_devices([1])
    extracts["registrations"].append(builds.spell(supplier_id="S-TWO", effective_from=date(2021, 6, 1)))
    outcome = only_outcome(extracts)
    assert (outcome["supplier"], outcome["changed_supplier_at"], outcome["actual"]) == ("S-ONE", None, "secure")


@pytest.mark.parametrize(("as_at", "reported"), [(march(2, 1), "passed"), (march(2, 0, 59), "not_due")])
def test_a_response_later_than_as_at_is_not_yet_known(as_at, reported):
    extracts = builds.secure_devices([1])
    extracts["dsp_checks"] = [{**row, "checked_at": march(2)} for row in extracts["dsp_checks"]]
    assert only_outcome(extracts, as_at)["reported"] == reported


def test_a_device_commissioned_after_the_default_as_at_is_out_of_scope():
    extracts = builds.secure_devices([1])
    extracts["devices"].append(builds.device(2, commissioned_at=march(21)))
    assert only_outcome(extracts)["device_id"] == builds.eui(1)


def test_the_default_as_at_may_be_when_a_response_came():
    extracts = builds.secure_devices([1])
    extracts["service_responses"].append(builds.response(responded_at=march(25, 7, 8, 9, 10)))
    with built(extracts) as snapshot:
        assert snapshot.manifest["as_at"] == "2021-03-25T07:08:09.000010"


def test_a_quarantined_row_does_not_set_the_default_as_at():
    extracts = builds.secure_devices([1])
    extracts["dsp_checks"].append(builds.dsp_check(checked_at=march(30), passed=None))
    with built(extracts) as snapshot:
        assert snapshot.manifest["as_at"] == "2021-03-20T00:00:00"


def test_no_devices_make_empty_tables_and_null_rates():
    with built(builds.secure_devices() | {"devices": []}) as snapshot:
        assert outcomes_of(snapshot) == []
        [rates] = tables.frame(snapshot, "rates").to_dicts()
        assert rates == oracle.rates([])[0]
        assert sum(tables.frame(snapshot, "causes")["reported_failures"]) == 0
        assert len(tables.frame(snapshot, "amendments")) == 32


def test_a_second_copy_of_a_row_is_no_second_try():
    extracts = builds.secure_devices([1])
    sent = builds.response(check=builds.USER_CHECKS[0])
    extracts["service_responses"] += [sent, sent, sent | {"sent_at": march(1, 9), "responded_at": march(1, 10)}]
    with tempfile.TemporaryDirectory() as folder, patch.object(pipeline, "with_cause", Mock(wraps=with_cause)) as last:
        estates.write_estate(extracts, Path(folder) / "extracts")
        build(Path(folder) / "extracts", Path(folder) / "marts", Parameters(None, 7, ANY_SHARE))
        [[devices]] = [call.args for call in last.call_args_list]
    # Two copies of the row that secure_devices has already are one try with it, the earlier one another.
    tries = devices.select("issue_digital_signature_tries", "issue_key_agreement_tries", "communicating_tries")
    assert tries.rows() == [(2, 1, 1)]


def test_fewer_batches_are_read_at_once_where_more_rows_are_put_in_order_together():
    """Memory follows the rows that are in hand."""
    at_once = {buckets: intake.batches_at_once(buckets) for buckets in (1, 8, 64, 128, 256, 65_536)}
    assert at_once == {1: 2, 8: 2, 64: 2, 128: 2, 256: 1, 65_536: 1}
    in_hand = [batches * reduction.rows_a_chunk(buckets) for buckets, batches in at_once.items()]
    assert max(in_hand) <= intake.MOST_ROWS_AT_ONCE

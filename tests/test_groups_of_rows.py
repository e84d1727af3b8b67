"""Reduced files are grouped as builds ask for them: a bucket of Devices at a time."""

from contextlib import ExitStack
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from data.merge import bucket_of, hashes_of, rows_between
from data.reduction import _write_in_order, _writer, files_of, groups_of_rows, may_hold

sizes = st.lists(st.integers(0, 400), min_size=1, max_size=40)


@given(sizes=sizes, rows_a_group=st.integers(1, 200))
def test_groups_hold_every_row_once_and_none_is_much_too_long(sizes, rows_a_group):
    ends = list(accumulate(sizes))
    groups = list(groups_of_rows(ends, rows_a_group))
    borders = [0, *(end for _, end in groups)]
    assert groups == list(pairwise(borders))
    assert borders[-1] == ends[-1]
    assert all(0 < end - first <= 1.5 * rows_a_group + 1 for first, end in groups)


@given(sizes=sizes, rows_a_group=st.integers(1, 200))
def test_a_group_of_two_buckets_holds_only_buckets_too_small_for_one(sizes, rows_a_group):
    ends = [0, *accumulate(sizes)]
    for first, end in groups_of_rows(ends[1:], rows_a_group):
        held = [min(end, b) - max(first, a) for a, b in pairwise(ends) if a < end and b > first]
        assert len(held) == 1 or sum(held[:-1]) < rows_a_group / 2


@settings(deadline=None, max_examples=40)
@given(
    hashes=st.lists(st.none() | st.integers(0, 2**64 - 1), min_size=1, max_size=200),
    parts=st.sampled_from([1, 2, 4, 16]),
    rows_a_group=st.integers(1, 50),
)
def test_a_file_holds_the_rows_that_its_name_says(hashes, parts, rows_a_group):
    batch = pa.record_batch([pa.array(hashes, pa.uint64()), pa.array(range(len(hashes)))], ["device_hash", "number"])
    with TemporaryDirectory() as folder, ExitStack() as stack:
        files = [Path(folder) / name for name in files_of("reduced", parts)]
        writers = [stack.enter_context(_writer(file, batch.schema)) for file in files]
        _write_in_order(writers, batch, 16, rows_a_group)
        for writer in writers:
            writer.close()
        told = {number: value for number, value in enumerate(hashes) if value is not None}
        held = {file: pq.read_table(file)["device_hash"].to_pylist() for file in files}
        assert sorted(value for values in held.values() for value in values) == sorted(told.values())
        for value in told.values():
            assert [file for file in files if may_hold(file.name, value, value)] == [
                f for f in files if value in held[f]
            ]
        for bucket in range(16):
            found = rows_between(files, *hashes_of(range(bucket, bucket + 1), 16))
            assert sorted(found["number"]) == [number for number, value in told.items() if value >> 60 == bucket]


def test_a_name_that_tells_no_part_may_hold_any_row():
    assert all(may_hold(name, 5, 5) for name in ("attempts.parquet", "attempts-1.parquet", "1-of-2-attempts.parquet"))


def test_a_bucket_is_read_without_a_row_of_another(tmp_path):
    buckets, rows = 8, 4_000
    # Spread evenly, and in no order.
    hashes = pa.array([number * 0x9E3779B97F4A7C15 % (1 << 64) for number in range(rows)], pa.uint64())
    batch = pa.record_batch([hashes, pa.array(range(rows))], ["device_hash", "number"])
    file = tmp_path / "reduced.parquet"
    with _writer(file, batch.schema) as writer:
        _write_in_order([writer], batch, buckets, rows // buckets)
    groups = [pq.ParquetFile(file).read_row_group(number) for number in range(pq.read_metadata(file).num_row_groups)]
    assert len(groups) == buckets
    for bucket, group in enumerate(groups):
        held = group["device_hash"].to_pylist()
        assert {bucket_of(value, buckets) for value in held} == {bucket}
        found = rows_between([file], *hashes_of(range(bucket, bucket + 1), buckets))
        assert sorted(found["number"]) == [n for n, h in enumerate(hashes.to_pylist()) if h * buckets >> 64 == bucket]

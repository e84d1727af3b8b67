"""Reduced files are grouped as builds ask for them: a bucket of Devices at a time."""

from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from data.merge import bucket_of, hashes_of, rows_between
from data.reduction import _write_in_order, _writer, groups_of_rows

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


def test_a_bucket_is_read_without_a_row_of_another(tmp_path):
    buckets, rows = 8, 4_000
    # Spread evenly, and in no order.
    hashes = pa.array([number * 0x9E3779B97F4A7C15 % (1 << 64) for number in range(rows)], pa.uint64())
    batch = pa.record_batch([hashes, pa.array(range(rows))], ["device_hash", "number"])
    file = tmp_path / "reduced.parquet"
    with _writer(file, batch.schema) as writer:
        _write_in_order(writer, batch, buckets, rows // buckets)
    groups = [pq.ParquetFile(file).read_row_group(number) for number in range(pq.read_metadata(file).num_row_groups)]
    assert len(groups) == buckets
    for bucket, group in enumerate(groups):
        held = group["device_hash"].to_pylist()
        assert {bucket_of(value, buckets) for value in held} == {bucket}
        found = rows_between([file], *hashes_of(bucket, buckets))
        assert sorted(found["number"]) == [n for n, h in enumerate(hashes.to_pylist()) if h * buckets >> 64 == bucket]

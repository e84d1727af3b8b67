"""Bits flipped by chance: none silently wrong where the sender's digests are there, and never a dead build."""

import shutil
from collections import Counter

import pytest
from hostile.flips import flipped, outcome_of
from hostile.footers import columns, lying, put, row_groups
from hostile.inputs import good_estate, sums
from thorough import times

from data.extracts import InputRefused, digests, surveyed

# Its number in ColumnMetaData of parquet.thrift.
TOTAL_COMPRESSED_SIZE = 7


@pytest.fixture
def extracts(tmp_path):
    good_estate(tmp_path / "extracts")
    return tmp_path / "extracts"


def test_with_digests_each_flip_is_told_by_the_name_of_its_file(extracts):
    sums(extracts)
    digests(surveyed(extracts))
    for seed in range(times(quick=30, thorough=1_500)):
        file, before = flipped(extracts, seed)
        with pytest.raises(InputRefused) as refused:
            digests(surveyed(extracts))
        assert any(line.startswith(file.relative_to(extracts).as_posix()) for line in refused.value.problems)
        file.write_bytes(before)
    digests(surveyed(extracts))


@pytest.mark.parametrize("said", [4_343, 1 << 40, -1])
def test_a_column_said_to_reach_beyond_its_file_is_told_by_name(extracts, tmp_path, said):
    """A flip made it so: read alone the column was whole, and with the others DuckDB asked for bytes that are not."""
    file = extracts / "dsp_checks" / "part-0.parquet"
    lying(file, lambda tree: put(columns(row_groups(tree)[0])[0], TOTAL_COMPRESSED_SIZE, said))
    told = outcome_of(str(extracts), str(tmp_path / "marts"))
    assert [line.partition(": ")[0] for line in told["refused"]] == ["dsp_checks/part-0.parquet"]


def test_without_digests_a_flip_is_refused_or_built_and_kills_nothing(extracts, tmp_path, record_property):
    """Bits in values cannot be told from values: how many passed unseen is recorded, and bounded loosely."""
    good = outcome_of(str(extracts), str(tmp_path / "good"))
    assert good["quarantined"] == 0
    found = Counter()
    tries = times(quick=10, thorough=1_500)
    for seed in range(tries):
        file, before = flipped(extracts, 10**6 + seed)
        told = outcome_of(str(extracts), str(tmp_path / "marts"))
        found[kind_of(told, good)] += 1
        file.write_bytes(before)
        shutil.rmtree(tmp_path / "marts", ignore_errors=True)
    record_property("flips", dict(found))
    print(dict(found))
    assert found.total() == tries
    assert found["different"] <= tries / 2


def kind_of(told, good):
    if "refused" in told:
        assert all(": " in line for line in told["refused"])
        return "refused"
    if told["quarantined"]:
        return "quarantined"
    return "the same" if told == good else "different"

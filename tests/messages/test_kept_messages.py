"""The messages that a snapshot keeps: every one of a Device as it came, and no verdict rests on any."""

from unittest.mock import patch

import builds
import pyarrow.parquet as pq
import pytest
from builds import march

from analysis import pipeline
from data import digests, reduction
from data.export import outcomes_frame
from data.history import history

KEY = int(builds.eui(1).replace("-", ""), 16)
TEXTS = [
    "DF0902",
    "DD00000000000001FF",
    "<a>£</a>",
    # No messages, but none of them may stop a build or come back as something else.
    "DD is no hex",
    "DD0",
    "df0902",
    "",
    " <a/>",
    "\N{ARABIC LETTER ALEF} \N{THAANA LETTER HAA} \N{NKO LETTER BA}",
    "\N{NKO LETTER BA}",
]


@pytest.fixture
def folders(tmp_path):
    with patch.object(digests, "SETTLED_NANOSECONDS", 0):
        yield builds.folders(tmp_path)


def write(folders, rows, name="part-0.parquet"):
    builds.write(builds.table_of("messages", rows), folders.extracts / "messages" / "month=2021-03" / name)


def build(folders, **parameters):
    return pipeline.build(folders.extracts, folders.marts, pipeline.Parameters(**parameters))


def test_each_comes_back_as_it_was_whatever_is_in_it(folders):
    rows = [builds.message(1, at=march(1, number), message=text) for number, text in enumerate(TEXTS)]
    write(folders, [*rows, rows[0], builds.message(2, message="<b/>")])
    snapshot = build(folders)
    kept = history(snapshot, KEY).messages
    assert kept.to_dicts() == [{name: row[name] for name in kept.columns} for row in rows]
    assert history(snapshot, KEY + 1).messages["message"].to_list() == ["<b/>"]
    assert history(snapshot, KEY + 2).messages.height == 0


def test_one_later_than_the_report_speaks_of_is_not_known_to_it(folders):
    write(folders, [builds.message(1, at=march(day)) for day in (5, 20, 25)])
    assert history(build(folders), KEY).messages["at"].to_list() == [march(5), march(20)]
    earlier = build(folders, as_at=march(10))
    assert history(earlier, KEY).messages["at"].to_list() == [march(5)]
    # They tell no instant either.
    assert build(folders).manifest["as_at"] == march(20).isoformat()


def test_a_snapshot_without_messages_opens_and_a_message_touches_no_device(folders):
    first = build(folders)
    assert history(first, KEY).messages.height == 0
    write(folders, [builds.message(1)])
    with patch.object(pipeline, "classify", None):
        second = build(folders)
    assert outcomes_frame(second).equals(outcomes_frame(first))
    assert history(second, KEY).messages.height == 1
    # Nor does one that goes.
    (folders.extracts / "messages" / "month=2021-03" / "part-0.parquet").unlink()
    with patch.object(pipeline, "classify", None):
        assert history(build(folders), KEY).messages.height == 0


def test_few_are_held_at_a_time_and_groups_of_rows_are_small(folders, monkeypatch):
    monkeypatch.setitem(reduction.CHUNKS, "messages", 40)
    monkeypatch.setitem(reduction.GROUPS, "messages", 10)
    write(folders, [builds.message(number % 3 + 1, message=f"<a>{number}</a>") for number in range(100)])
    with patch("data.sandbox.run", builds.here):
        snapshot = build(folders)
    [file] = snapshot.evidence_files("messages")
    told = pq.ParquetFile(file).metadata
    assert (told.num_rows, max(told.row_group(group).num_rows for group in range(told.num_row_groups))) == (100, 10)
    assert {len(history(snapshot, KEY + number).messages) for number in range(3)} == {33, 34}

"""Roads counted from two numbers a Device: the same as from the rows of outcomes."""

from datetime import datetime, timedelta
from unittest.mock import patch

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analysis import roads
from analysis.selection import Selection, select
from data.codes import in_text

texts = st.sampled_from(["one", "two", None])
rows = st.fixed_dictionaries(
    {
        "commissioned_at": st.integers(0, 90).map(lambda days: datetime(2021, 1, 1, 12) + timedelta(days)),
        **dict.fromkeys(roads.KIND, texts),
        "pathway": st.sampled_from([0, 1, 2**63 + 1]),
        "pathway_hours": st.sampled_from([None, 0, 7]),
        **{name: st.sampled_from(["a", "b"]) for name in ("reported", "actual", "device_keys")},
    }
)
SCHEMA = {
    "commissioned_at": pl.Datetime("us"),
    **dict.fromkeys(roads.KIND, pl.String),
    "pathway": pl.UInt64,
    "pathway_hours": pl.Int32,
    **dict.fromkeys(("reported", "actual", "device_keys"), pl.String),
}
selections = st.builds(
    Selection,
    first_month=st.sampled_from([None, "2021-02"]),
    last_month=st.sampled_from([None, "2021-02", "2020-01"]),
    device_types=st.sampled_from([(), ("one",)]),
    regions=st.sampled_from([(), ("one", "two")]),
    party_role=st.sampled_from(["supplier", "network_operator"]),
    parties=st.sampled_from([(), ("two",), ("none",)]),
)


@given(st.lists(st.lists(rows, max_size=8), min_size=1, max_size=4), selections, st.sampled_from([0, 3, 100]))
def test_ways_are_counted_as_rows_are(tmp_path_factory, parts, selection, most_waiting):
    folder = tmp_path_factory.mktemp("outcomes")
    frames = [pl.DataFrame(part, schema=SCHEMA) for part in parts]
    files = [folder / f"outcomes-{number}.parquet" for number in range(len(frames))]
    for frame, file in zip(frames, files, strict=True):
        frame.with_columns(pl.col(pl.String).cast(pl.Categorical)).write_parquet(file)
    with patch.object(roads, "MOST_WAITING", most_waiting):
        counted = in_text(roads.roads(files).counted(selection))
    devices = pl.concat(frames).with_columns(commissioned_month=pl.col("commissioned_at").dt.strftime("%Y-%m"))
    wanted = select(devices, selection).group_by(roads.WAY).agg(devices=pl.len().cast(pl.Int64))
    assert_frame_equal(counted, wanted, check_row_order=False)


def test_what_is_told_does_not_depend_on_how_often_it_is_asked(demonstration):
    found = roads.roads(demonstration.files("outcomes"))
    first, again = found.counted(Selection()), found.counted(Selection())
    assert first["devices"].sum() == again["devices"].sum() == demonstration.rows("outcomes")
    assert len(found.way) == len(found.kind) == demonstration.rows("outcomes")

"""The build against the oracle: the contract in plain Python, which shares no code with the pipeline."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.pipeline import Parameters, build
from data.export import outcomes_frame
from tests import estates, oracle

# Estates of a dozen Devices: one bad row in fifty is more than the share that a real build takes.
ANY_SHARE = 1.0


def built(extracts, folder, as_at=None, grace_days=7, **layout):
    estates.write_estate(extracts, folder / "extracts", **layout)
    return build(folder / "extracts", folder / "marts", Parameters(as_at, grace_days, ANY_SHARE))


def by_device(rows):
    return sorted(rows, key=lambda row: row["device_id"])


def outcomes_of(snapshot):
    return by_device(outcomes_frame(snapshot).to_dicts())


@settings(max_examples=150, deadline=None)
@given(case=estates.cases(with_bad_rows=True), files=st.integers(1, 3), months=st.booleans())
def test_every_column_of_outcomes_equals_the_oracles(case, files, months):
    extracts, as_at, grace_days = case
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    with tempfile.TemporaryDirectory() as folder:
        snapshot = built(extracts, Path(folder), as_at, grace_days, files=files, months=months)
        assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean, as_at, grace_days))

"""The demonstration estate knows what it planted; the build, which never reads that, must find it again."""

import polars as pl
import pytest

from analysis.rates import rates
from data.export import outcomes_frame


@pytest.fixture(scope="module")
def beside_truth(demonstration, demonstration_home):
    truth = pl.read_parquet(demonstration_home / "extracts-truth" / "*.parquet")
    beside = outcomes_frame(demonstration).join(truth, on="device_id", validate="1:1")
    assert beside.height == demonstration.rows("outcomes")
    return beside.with_columns(is_secure=pl.col("cells_right") & pl.col("keys_replaced"))


def test_verdicts_agree_with_what_was_planted(beside_truth):
    table = beside_truth.group_by("actual", "cells_right", "keys_replaced").len("devices").sort(pl.all())
    print("\nactual verdict beside the planted truth\n", table)
    judged = beside_truth.filter(pl.col("actual") != "unverified")
    wrongly_accused = judged.filter((pl.col("actual") == "not_secure") & pl.col("is_secure"))
    wrong_cells_missed = judged.filter((pl.col("actual") == "secure") & ~pl.col("cells_right"))
    keys_missed = judged.filter(
        (pl.col("actual") == "secure") & ~pl.col("keys_replaced") & (pl.col("device_keys") != "not_read")
    )
    assert (wrongly_accused.height, wrong_cells_missed.height, keys_missed.height) == (0, 0, 0)
    assert judged.filter(pl.col("actual") == "not_secure").height > 50


def test_each_planted_mechanism_shows_as_its_cause(beside_truth):
    failed = beside_truth.filter(pl.col("reported") == "failed").explode("mechanisms", empty_as_null=True)
    table = failed.group_by("mechanisms", "cause").len("devices").sort("mechanisms", "devices")
    with pl.Config(tbl_rows=-1):
        print("\ncause beside the planted mechanism\n", table)
    most = table.group_by("mechanisms", maintain_order=True).last()
    found = dict(most.select("mechanisms", "cause").rows())
    expected = {
        "response_lost": "timeout",
        "empty_status": "empty_status",
        "handover": "dcc_credential_handover",
        "change_of_supplier": "change_of_supplier",
    }
    assert {mechanism: found.get(mechanism) for mechanism in expected} == expected


def test_reported_is_about_seven_percent_and_actual_about_one(demonstration):
    overall = rates(demonstration.frame("counts")).row(0, named=True)
    assert 0.06 < overall["reported_failure_rate"] < 0.08
    assert 0.007 < overall["actual_failure_rate"] < 0.013

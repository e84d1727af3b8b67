"""The rates and their 95 % interval, against statsmodels, against numbers worked by hand, and by simulation."""

from math import isclose, sqrt

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis.rates import rates

RATES = ["reported_failure_rate", "actual_failure_rate", "actual_low", "actual_high", "over_reporting"]


def counts_of(*groups):
    """Counts as a snapshot keeps them; a group is {reported: (due, verified, not secure)}."""
    rows = []
    for group, strata in enumerate(groups):
        for reported, (due, verified, not_secure) in strata.items():
            parts = {"secure": verified - not_secure, "not_secure": not_secure, "unverified": due - verified}
            rows += [(group, reported, actual, "not_read", devices) for actual, devices in parts.items()]
    return pl.DataFrame(rows, ["model", "reported", "actual", "device_keys", "devices"], orient="row")


def rates_of(**strata):
    [row] = rates(counts_of(strata)).to_dicts()
    return row


def interval(**strata):
    row = rates_of(**strata)
    return row["actual_low"], row["actual_high"]


def about(*numbers, within=1e-9):
    return pytest.approx(numbers, abs=within)


# --- one stratum: Wilson ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("not_secure", "verified"), [(0, 20), (1, 20), (7, 50), (50, 50), (499, 1000), (1, 1)])
@pytest.mark.parametrize("stratum", ["passed", "failed"])
def test_of_a_huge_stratum_the_interval_is_wilsons(stratum, not_secure, verified):
    wilson = proportion_confint(not_secure, verified, 0.05, "wilson")
    assert interval(**{stratum: (10**13, verified, not_secure)}) == about(*wilson)


@pytest.mark.parametrize(
    ("due", "verified", "not_secure", "effective"),
    [(100, 50, 10, 99), (30, 10, 3, 14.5), (1000, 999, 500, 998001), (10, 9, 0, 81), (3, 2, 1, 4)],
)
def test_of_a_small_stratum_the_interval_is_wilsons_of_the_effective_size(due, verified, not_secure, effective):
    """effective = n(N-1)/(N-n): 50 of 100 count as 50 x 99 / 50 = 99."""
    wilson = proportion_confint(not_secure / verified * effective, effective, 0.05, "wilson")
    assert interval(failed=(due, verified, not_secure)) == about(*wilson)


def test_a_stratum_verified_throughout_is_known():
    assert interval(failed=(10, 10, 3)) == about(0.3, 0.3)
    assert interval(passed=(1, 1, 1)) == about(1, 1)
    assert interval(passed=(90, 90, 0), failed=(10, 10, 3)) == about(0.03, 0.03)


def test_the_interval_narrows_as_more_of_a_stratum_is_verified():
    widths = [high - low for low, high in (interval(failed=(100, n, n // 5)) for n in (10, 20, 50, 90, 100))]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


# --- two strata: MOVER --------------------------------------------------------------------------------------

# Share, effective size, Wilson's 95 % interval of them.
WILSON = [
    (0.2, 50 * 899 / 850, 0.114259, 0.326375),
    (0.2, 50 * 199 / 150, 0.121405, 0.311440),
    (0.5, 50 * 199 / 150, 0.383016, 0.616984),
    (0.0, 99 * 9899 / 9801, 0.0, 0.036997),
]
WORKED = [
    # Of 900 passed 50 read and 10 bad (0.2), all 100 failed read and 60 bad (0.6): 0.9 x 0.2 + 0.1 x 0.6 = 0.24,
    # and the failed ones add no doubt.
    ((900, 50, 10), (100, 100, 60), 0.24, 0.24 - 0.9 * (0.2 - 0.114259), 0.24 + 0.9 * (0.326375 - 0.2)),
    # Half and half: of 200 passed 50 read and 10 bad, of 200 failed 50 read and 25 bad: (0.2 + 0.5) / 2 = 0.35.
    (
        (200, 50, 10),
        (200, 50, 25),
        0.35,
        0.35 - sqrt((0.5 * (0.2 - 0.121405)) ** 2 + (0.5 * (0.5 - 0.383016)) ** 2),
        0.35 + sqrt((0.5 * (0.311440 - 0.2)) ** 2 + (0.5 * (0.616984 - 0.5)) ** 2),
    ),
    # Of 9,900 passed 99 read and none bad, all 100 failed read and none bad: only the upper end moves.
    ((9900, 99, 0), (100, 100, 0), 0.0, 0.0, 0.99 * 0.036997),
]


@pytest.mark.parametrize(("passed", "failed", "rate", "low", "high"), WORKED)
def test_strata_combine_by_mover(passed, failed, rate, low, high):
    row = rates_of(passed=passed, failed=failed)
    assert (row["actual_failure_rate"], row["actual_low"], row["actual_high"]) == about(rate, low, high, within=1e-6)


@pytest.mark.parametrize(("share", "size", "low", "high"), WILSON)
def test_the_worked_numbers_are_wilsons(share, size, low, high):
    assert proportion_confint(share * size, size, 0.05, "wilson") == about(low, high, within=1e-6)


# --- the rates ----------------------------------------------------------------------------------------------


def test_the_actual_rate_weighs_each_stratum_by_its_due_devices():
    """Failed Devices are read more often: 30 of 50 bad, and 1 of 50 of the many that passed."""
    row = rates_of(passed=(900, 50, 1), failed=(100, 50, 30))
    assert row["reported_failure_rate"] == 0.1
    assert isclose(row["actual_failure_rate"], 0.9 * 1 / 50 + 0.1 * 30 / 50)
    assert isclose(row["over_reporting"], 0.1 - 0.078)
    assert row["verified_share"] == 0.1


def test_a_stratum_without_a_verified_device_leaves_the_actual_rate_unknown():
    row = rates_of(passed=(900, 0, 0), failed=(100, 50, 30))
    assert [row[name] for name in RATES] == [0.1, None, None, None, None]
    assert row["verified_share"] == 0.05


def test_an_empty_stratum_weighs_nothing():
    assert rates_of(failed=(100, 50, 30))["actual_failure_rate"] == 0.6
    assert rates_of(passed=(100, 50, 30), failed=(0, 0, 0))["actual_failure_rate"] == 0.6


def test_an_empty_group_has_no_rates():
    row = rates_of(not_due=(10, 5, 5))
    assert [row[name] for name in ("due", "reported_failures", "verified", "not_secure")] == [0, 0, 0, 0]
    assert [row[name] for name in [*RATES, "verified_share"]] == 6 * [None]


def test_devices_that_are_not_due_count_for_nothing():
    strata = {"passed": (900, 50, 1), "failed": (100, 50, 30)}
    assert rates_of(**strata, not_due=(500, 400, 300)) == rates_of(**strata)


def test_groups_are_rated_each_by_itself():
    first, second = {"failed": (100, 50, 30)}, {"passed": (900, 50, 1), "failed": (10, 10, 0)}
    rows = rates(counts_of(first, second), ("model",)).drop("model").to_dicts()
    assert rows == [rates_of(**first), rates_of(**second)]


# --- does the interval hold the truth? ----------------------------------------------------------------------


def samples(rng, due, bad, verified, times):
    """How many of `verified` Devices drawn without replacement are bad, so many times."""
    return rng.hypergeometric(bad, due - bad, verified, times)


@pytest.mark.parametrize(
    ("passed", "failed"),
    [
        ((9000, 450, 600), (1000, 150, 400)),
        ((900, 90, 200), (100, 30, 70)),
        ((5000, 1000, 250), (5000, 4000, 500)),
        ((400, 40, 100), (2000, 120, 60)),
    ],
    ids=["a large estate", "a small supplier", "most failures read", "mostly failures"],
)
def test_nineteen_intervals_of_twenty_hold_the_truth(passed, failed):
    """(due, bad, verified) a stratum, Devices read at random without replacement in each."""
    rng, times = np.random.default_rng(20211123), 2000
    drawn = [samples(rng, *stratum, times).tolist() for stratum in (passed, failed)]
    groups = [
        {"passed": (passed[0], passed[2], in_passed), "failed": (failed[0], failed[2], in_failed)}
        for in_passed, in_failed in zip(*drawn, strict=True)
    ]
    truth = (passed[1] + failed[1]) / (passed[0] + failed[0])
    held = rates(counts_of(*groups), ("model",)).select(
        ((pl.col("actual_low") <= truth) & (truth <= pl.col("actual_high"))).mean()
    )
    assert 0.92 <= held.item() <= 0.98

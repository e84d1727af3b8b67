"""The reported verdict: the criteria in force (SEC Appendix AC section 5)."""

from datetime import datetime, timedelta

import polars as pl

from data import reference

CHECKS = tuple(row["check"] for row in reference.checks())
USER_CHECKS = tuple(row["check"] for row in reference.checks() if row["kind"] == "user")


def check_bit(check: str) -> int:
    """The bit that stands for the check where a set of checks is one small integer."""
    return 1 << CHECKS.index(check)


def checks_mask(checks: tuple[str, ...] | list[str]) -> int:
    return sum(check_bit(check) for check in checks)


def required_checks() -> pl.Expr:
    """The set of checks that a Device of its type must meet, as bits (UInt8)."""
    by_type = {
        device_type: sum(1 << (number - 1) for number in numbers)
        for device_type, numbers in reference.required("checks", "check_no").items()
    }
    return pl.col("device_type").replace_strict(by_type, return_dtype=pl.UInt8)


def with_reported(devices: pl.DataFrame, as_at: datetime, grace_days: int) -> pl.DataFrame:
    """Adds due_at, unmet (checks not met, as bits), reported and reported_passed_at."""
    met = pl.sum_horizontal(
        pl.when(pl.col(f"{check}_met_at").is_not_null()).then(pl.lit(check_bit(check), pl.UInt8)).otherwise(0)
        for check in CHECKS
    ).cast(pl.UInt8)
    devices = devices.with_columns(
        required=required_checks(), due_at=pl.col("commissioned_at") + timedelta(days=grace_days)
    ).with_columns(unmet=pl.col("required") & ~met)
    passed = pl.col("unmet") == 0
    return devices.with_columns(
        reported=pl.when(passed)
        .then(pl.lit("passed"))
        .when(pl.col("due_at") > as_at)
        .then(pl.lit("not_due"))
        .otherwise(pl.lit("failed")),
        reported_passed_at=pl.when(passed).then(_last_required_check_met_at()),
    )


def _last_required_check_met_at() -> pl.Expr:
    return pl.max_horizontal(
        pl.when(pl.col("required") & check_bit(check) != 0).then(pl.col(f"{check}_met_at")) for check in CHECKS
    )


def names_of_checks() -> dict[int, str]:
    """Set of checks as bits -> their names in the order of the criteria, joined with `; `."""
    return {bits: "; ".join(check for check in CHECKS if bits & check_bit(check)) for bits in range(1 << len(CHECKS))}

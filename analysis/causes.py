"""The cause of a reported failure, and what the amendments to the criteria would do about it."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import polars as pl

from analysis.reported import CHECKS, USER_CHECKS, check_bit, checks_mask

UNEXPLAINED = "unexplained"
BITS_A_CAUSE = 8


@dataclass(frozen=True)
class Cause:
    """A block of causes.toml, in the words of which an SSC member reads it."""

    name: str
    label: str
    amendment: str
    checks: str
    when: str
    says: str
    clause: str
    resolves: str
    fits: str
    does_not_fit: str

    def holds_for(self) -> pl.Expr:
        """The set of checks for which the cause holds, met or not, as bits (UInt8)."""
        mask = {"every": checks_mask(CHECKS), "user": checks_mask(USER_CHECKS)}.get(self.checks)
        mask = check_bit(self.checks) if mask is None else mask
        return CONDITIONS[self.when] & pl.lit(mask, pl.UInt8)


def _every_check_when(condition: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(pl.lit(255, pl.UInt8)).otherwise(pl.lit(0, pl.UInt8))


# The closed vocabulary of causes.toml: the set of checks at which the condition holds, as bits.
CONDITIONS = {
    "handed_over": _every_check_when(pl.col("network_operator_handover_met_at").is_not_null()),
    "empty_status": pl.col("empty_checks"),
    "no_response": pl.col("unanswered_checks"),
    "changed_supplier": _every_check_when(pl.col("changed_supplier_at").is_not_null()),
}


@cache
def causes() -> tuple[Cause, ...]:
    """The causes in order of precedence."""
    return tuple(Cause(**block) for block in _file()["cause"])


@cache
def unexplained() -> dict[str, str]:
    return _file()[UNEXPLAINED]


def _file() -> dict:
    return tomllib.loads((files("analysis") / "causes.toml").read_text(encoding="utf-8"))


def cause_names() -> tuple[str, ...]:
    """Every value of `cause`, in order of precedence, `unexplained` last."""
    return (*(cause.name for cause in causes()), UNEXPLAINED)


def label_of(cause: str) -> str:
    return labels()[cause]


def labels() -> dict[str, str]:
    return {c.name: c.label for c in causes()} | {UNEXPLAINED: unexplained()["label"]}


def with_cause(devices: pl.DataFrame) -> pl.DataFrame:
    """Adds signature, causes and cause.

    signature (UInt32): of a reported failure, for each cause in turn the unmet checks for which it holds, eight
    bits each; 0 of any other Device. causes: names joined with `; `; null unless reported failed.
    """
    failed = pl.col("reported") == "failed"
    holding = [_unmet_checks_of(cause).alias(f"unmet by {cause.name}") for cause in causes()]
    devices = devices.with_columns(holding)
    held = [pl.col(f"unmet by {cause.name}") for cause in causes()]
    signature = pl.sum_horizontal(bits.cast(pl.UInt32) * (1 << BITS_A_CAUSE * place) for place, bits in enumerate(held))
    explained = held[0]
    for bits in held[1:]:
        explained = explained | bits
    return devices.with_columns(
        signature=pl.when(failed).then(signature.cast(pl.UInt32)).otherwise(pl.lit(0, pl.UInt32)),
        causes=pl.when(failed).then(_names_of_causes(held)),
        cause=pl.when(failed).then(_first_cause(held, explained == pl.col("unmet"))),
    )


def _unmet_checks_of(cause: Cause) -> pl.Expr:
    return cause.holds_for() & pl.col("unmet")


def _names_of_causes(held: list[pl.Expr]) -> pl.Expr:
    names = [pl.when(bits != 0).then(pl.lit(c.name)) for c, bits in zip(causes(), held, strict=True)]
    return pl.concat_str(names, separator="; ", ignore_nulls=True)


def _first_cause(held: list[pl.Expr], is_explained: pl.Expr) -> pl.Expr:
    first = pl.coalesce(pl.when(bits != 0).then(pl.lit(c.name)) for c, bits in zip(causes(), held, strict=True))
    return pl.when(is_explained).then(first).otherwise(pl.lit(UNEXPLAINED))

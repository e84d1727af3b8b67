"""Which Devices a page speaks of."""

from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

PARTY_ROLES = ("supplier_at_commissioning", "supplier", "network_operator")


@dataclass(frozen=True)
class Selection:
    """Months are of commissioning, `YYYY-MM`, both included; an empty tuple stands for all."""

    first_month: str | None = None
    last_month: str | None = None
    device_types: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    party_role: str = PARTY_ROLES[0]
    parties: tuple[str, ...] = ()

    def conditions(self) -> list[pl.Expr]:
        """What a row of the counts keeps; none for the whole estate."""
        kept = []
        if self.first_month:
            kept.append(pl.col("commissioned_month") >= self.first_month)
        if self.last_month:
            kept.append(pl.col("commissioned_month") <= self.last_month)
        if self.device_types:
            kept.append(pl.col("device_type").is_in(self.device_types))
        if self.regions:
            kept.append(pl.col("csp_region").is_in(self.regions))
        if self.parties:
            kept.append(pl.col(self.party_role).is_in(self.parties))
        return kept


def select(counts: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """The counts of the selected Devices."""
    conditions = selection.conditions()
    return counts.filter(conditions) if conditions else counts


def added_up(counts: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The counts over these columns alone; texts are texts again where the counts hold codes for them.

    Far fewer rows than the counts have: what asks several questions of them starts here.
    """
    few = counts.group_by(columns).agg(pl.col("devices").sum())
    return few.with_columns(cs.categorical().cast(pl.String))

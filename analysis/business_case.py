"""What over-reporting costs, and what a change of the criteria would save: from assumptions that are to be confirmed.

Every function takes plain numbers, or numpy arrays of draws, by name of the driver (`analysis/assumptions.toml`).
Year 0 holds the one-off cost and is not discounted; year t is divided by (1 + discount rate)^t. The snapshot's yearly
volume is that of year 1; each later year has (1 + growth) times the year before. Prices are real, in pounds.

Only Devices that are known to be secure count as over-reported: those not verified save nothing here. A missed failure
has no price: its number stands beside the pounds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from analysis import case_volumes
from analysis.assumptions import LEVELS, Assumptions, central, driver, drivers
from analysis.case_volumes import CHF, Window

PAYERS = ("DCC Users", "CSPs", "DCC", "Consumers")
DRAWS, SEED = 10_000, 1
DISTRIBUTIONS = ("PERT", "Triangular")
Values = Mapping[str, float]


@dataclass(frozen=True)
class Volumes:
    """Devices a year, before any driver: over-reported in force and under the set, all and CHFs; the other side."""

    now: float
    now_chf: float
    after: float
    after_chf: float
    missed_created: float = 0
    unverified_passed: float = 0
    is_change: bool = True
    evidence: bool = False

    @property
    def removed(self) -> float:
        return self.now - self.after

    @property
    def removed_chf(self) -> float:
        return self.now_chf - self.after_chf


def volumes(kinds: pl.DataFrame, to_a_year: float, is_change: bool, evidence: bool) -> Volumes:
    """Of the frame of `case_volumes.kinds`, annualised by the factor."""
    hubs = kinds.filter(pl.col("device_type") == CHF)
    return Volumes(
        now=kinds["over_reported"].sum() * to_a_year,
        now_chf=hubs["over_reported"].sum() * to_a_year,
        after=kinds["still_over_reported"].sum() * to_a_year,
        after_chf=hubs["still_over_reported"].sum() * to_a_year,
        missed_created=kinds["missed_created"].sum() * to_a_year,
        unverified_passed=kinds["unverified_passed"].sum() * to_a_year,
        is_change=is_change,
        evidence=evidence,
    )


def cost_per_device(values: Values) -> dict[str, float]:
    """Payer -> pounds per over-reported Device, per over-reported CHF for the DCC."""
    return {
        "DCC Users": values["user_hours"] * values["user_rate"] + values["visit_share"] * values["visit_cost"],
        "CSPs": values["csp_hours"] * values["csp_rate"],
        "DCC": values["incident_cost"],
        "Consumers": values["visit_share"] * values["consumer_hours"] * values["consumer_value"],
    }


def yearly_cost(values: Values, devices: float, hubs: float) -> dict[str, float]:
    """Payer -> pounds in year 1 of so many over-reported Devices, of which so many CHFs."""
    each = cost_per_device(values)
    return {payer: values["volume"] * (hubs if payer == "DCC" else devices) * each[payer] for payer in PAYERS}


def cost_of_change(values: Values, of: Volumes) -> tuple[float, float]:
    """Pounds once and pounds a year; nothing when nothing is changed."""
    if not of.is_change:
        return 0.0, 0.0
    once, yearly = values["change_once"], values["change_yearly"]
    if of.evidence:
        return once + values["evidence_once"], yearly + values["evidence_yearly"]
    return once, yearly


def growth_factor(values: Values, year: int) -> float:
    """How many times the volume of year 1 is that of the year."""
    return (1 + values["growth"]) ** (year - 1)


def by_year(values: Values, of: Volumes) -> pl.DataFrame:
    """One row per year from 0: Devices, pounds in that year, discounted, and summed so far."""
    once, yearly = cost_of_change(values, of)
    now = sum(yearly_cost(values, of.now, of.now_chf).values())
    after = sum(yearly_cost(values, of.after, of.after_chf).values())
    rows, total, present = [], 0.0, 0.0
    for year in range(int(values["years"]) + 1):
        grown = growth_factor(values, year) if year else 0.0
        saving, change = (now - after) * grown, yearly if year else once
        discount = (1 + values["discount_rate"]) ** -year
        total += saving - change
        present += (saving - change) * discount
        rows.append(
            {
                "year": year,
                "over_reported_now": of.now * values["volume"] * grown,
                "over_reported_after": of.after * values["volume"] * grown,
                "missed_created": of.missed_created * values["volume"] * grown,
                "cost_now": now * grown,
                "cost_after": after * grown,
                "saving": saving,
                "cost_of_change": change,
                "net": saving - change,
                "discount_factor": discount,
                "present_value": (saving - change) * discount,
                "net_so_far": total,
                "present_value_so_far": present,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"year": pl.Int64})


def npv(values: Values, of: Volumes):
    """Net present value in pounds; of arrays of draws an array. `years` is one number."""
    saving, change = present_values(values, of)
    return saving - change


def present_values(values: Values, of: Volumes):
    """Present value of the savings, and of the cost of the change."""
    once, yearly = cost_of_change(values, of)
    each_year = sum(yearly_cost(values, of.removed, of.removed_chf).values())
    grown, level = annuities(values)
    return each_year * grown, once + yearly * level


def annuities(values: Values):
    """Present value of 1 in year 1 that grows with the volume, and of 1 in every year."""
    rate, years = 1 + values["discount_rate"], range(1, int(values["years"]) + 1)
    return sum(growth_factor(values, year) / rate**year for year in years), sum(1 / rate**year for year in years)


def payback(years: pl.DataFrame) -> float | None:
    """Years until what was saved has paid for the change, not discounted, evenly within a year; None if it never does.

    years: the frame of `by_year`.
    """
    before = None
    for year, net, total in years.select("year", "net", "net_so_far").iter_rows():
        if total >= 0:
            return float(year) if before is None or net == 0 else year - 1 - before / net
        before = total
    return None


def summary(values: Values, of: Volumes) -> dict:
    """The figures of one set: pounds in year 1, present values over all years, and the other side in Devices."""
    saving, change = present_values(values, of)
    grown, _ = annuities(values)
    years = by_year(values, of)
    missed = of.missed_created * values["volume"]
    cost_now = sum(yearly_cost(values, of.now, of.now_chf).values())
    cost_after = sum(yearly_cost(values, of.after, of.after_chf).values())
    return {
        "over_reported_now": of.now * values["volume"],
        "over_reported_after": of.after * values["volume"],
        "cost_now": cost_now,
        "cost_after": cost_after,
        "saving": cost_now - cost_after,
        "cost_once": cost_of_change(values, of)[0],
        "cost_yearly": cost_of_change(values, of)[1],
        "present_value_of_savings": saving,
        "present_value_of_cost": change,
        "net_present_value": saving - change,
        "payback_years": payback(years) if of.is_change else None,
        "benefit_cost_ratio": saving / change if change else None,
        "missed_created": missed,
        "missed_created_all_years": years["missed_created"].sum(),
        "unverified_passed": of.unverified_passed * values["volume"],
        # The pounds a missed failure may cost, in each year the same, before nothing is gained.
        "missed_break_even": (saving - change) / (missed * grown) if missed else None,
    }


def by_payer(values: Values, of: Volumes) -> pl.DataFrame:
    """One row per payer: pounds now, after and saved in year 1, and the present value of what is saved."""
    now, after = yearly_cost(values, of.now, of.now_chf), yearly_cost(values, of.after, of.after_chf)
    grown, _ = annuities(values)
    rows = [
        {
            "payer": payer,
            "cost_now": now[payer],
            "cost_after": after[payer],
            "saving": now[payer] - after[payer],
            "present_value_of_savings": (now[payer] - after[payer]) * grown,
        }
        for payer in PAYERS
    ]
    return pl.DataFrame(rows)


def by_party_type(values: Values, kinds: pl.DataFrame, to_a_year: float) -> pl.DataFrame:
    """One row per type of the present Supplier: its over-reported Devices a year, and what they cost DCC Users."""
    each = cost_per_device(values)["DCC Users"]
    factor = values["volume"] * to_a_year
    return (
        kinds.group_by("party_type")
        .agg(pl.col("over_reported", "still_over_reported").sum())
        .sort("over_reported", "party_type", descending=[True, False])
        .select(
            "party_type",
            over_reported_now=pl.col("over_reported") * factor,
            over_reported_after=pl.col("still_over_reported") * factor,
            cost_now=pl.col("over_reported") * factor * each,
            cost_after=pl.col("still_over_reported") * factor * each,
            saving=(pl.col("over_reported") - pl.col("still_over_reported")) * factor * each,
        )
    )


def all_sets(values: Values, sets: pl.DataFrame, to_a_year: float) -> pl.DataFrame:
    """One row per set of amendments and demand of evidence (of `case_volumes.all_sets`): its summary, and who saves."""
    rows = []
    for row in sets.iter_rows(named=True):
        of = Volumes(
            now=(row["over_reported"] + row["over_reported_removed"]) * to_a_year,
            now_chf=(row["over_reported_chf"] + row["over_reported_removed_chf"]) * to_a_year,
            after=row["over_reported"] * to_a_year,
            after_chf=row["over_reported_chf"] * to_a_year,
            missed_created=row["missed_created"] * to_a_year,
            unverified_passed=row["unverified_passed"] * to_a_year,
            is_change=bool(row["amendments"]),
            evidence=row["evidence"],
        )
        saved = yearly_cost(values, of.removed, of.removed_chf)
        by_who = {f"saving_{payer.lower().replace(' ', '_')}": saved[payer] for payer in PAYERS}
        rows.append({"amendments": row["amendments"], "evidence": row["evidence"], **summary(values, of), **by_who})
    nullable = ("payback_years", "benefit_cost_ratio", "missed_break_even")
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(nullable, pl.Float64))


# --- what if the assumptions are wrong -------------------------------------------------------------------------


def tornado(assumptions: Assumptions, of: Volumes) -> pl.DataFrame:
    """One row per driver that matters, the widest first: NPV with it at low and at high, the others at central; and the
    value at which the NPV is nothing."""
    values = central(assumptions)
    base = npv(values, of)
    rows = []
    for one in drivers():
        given = assumptions[one.name]
        at_low, at_high = (npv({**values, one.name: getattr(given, level)}, of) for level in ("low", "high"))
        rows.append(
            {
                "driver": one.name,
                "label": one.label,
                "unit": one.unit,
                **{level: getattr(given, level) for level in LEVELS},
                "npv_at_low": at_low,
                "npv_at_high": at_high,
                "npv_at_central": base,
                "width": abs(at_high - at_low),
                "break_even": break_even(one.name, values, of),
            }
        )
    kinds = {"break_even": pl.Float64}
    table = pl.DataFrame(rows, schema_overrides=kinds)
    matters = (pl.col("width") > 0) | pl.col("break_even").is_not_null()
    return table.filter(matters).sort("width", "driver", descending=[True, False])


def break_even(name: str, values: Values, of: Volumes) -> float | None:
    """The value of one driver at which the NPV is 0, the others as they are; None when none within its limits.

    Of years: the first whole number of them with which the NPV is not negative.
    """
    least, most = driver(name).limits

    def at(value: float) -> float:
        return npv({**values, name: value}, of)

    if name == "years":
        return next((float(n) for n in range(int(least), int(most) + 1) if at(n) >= 0), None) if of.is_change else None
    low, high = at(least), at(most)
    if low == high or low * high > 0:
        return None
    for _ in range(200):
        middle = (least + most) / 2
        if (at(middle) < 0) == (low < 0):
            least = middle
        else:
            most = middle
    return (least + most) / 2


def draws(assumptions: Assumptions, distribution: str, number: int = DRAWS, seed: int = SEED) -> dict[str, np.ndarray]:
    """Driver -> that many draws between its low and high, the likeliest at central; a choice stays at its central.

    PERT is the Beta distribution with shape 4 (Malcolm and others 1959). The same seed gives the same draws.
    """
    random = np.random.default_rng(seed)
    found = {}
    for one in drivers():
        given = assumptions[one.name]
        span = given.high - given.low
        if not one.is_uncertain:
            found[one.name] = given.central
        elif distribution == "Triangular":
            found[one.name] = _triangular(random.random(number), given.low, given.central, given.high)
        else:
            mode = (given.central - given.low) / span if span else 0.5
            found[one.name] = given.low + span * random.beta(1 + 4 * mode, 5 - 4 * mode, number)
    return found


def _triangular(share: np.ndarray, low: float, mode: float, high: float) -> np.ndarray:
    """The quantiles of the triangular distribution."""
    if high == low:
        return np.full_like(share, low)
    turn = (mode - low) / (high - low)
    rising = low + np.sqrt(share * (high - low) * (mode - low))
    falling = high - np.sqrt((1 - share) * (high - low) * (high - mode))
    return np.where(share < turn, rising, falling)


@dataclass(frozen=True)
class Simulation:
    """`npvs`: one of each draw, pounds."""

    npvs: np.ndarray
    p10: float
    p50: float
    p90: float
    mean: float
    chance_negative: float


def simulate(
    assumptions: Assumptions, of: Volumes, distribution: str = DISTRIBUTIONS[0], seed: int = SEED
) -> Simulation:
    """The NPV of 10,000 draws of every uncertain driver, each drawn independently of the others."""
    npvs = np.broadcast_to(npv(draws(assumptions, distribution, DRAWS, seed), of), DRAWS)
    p10, p50, p90 = np.percentile(npvs, [10, 50, 90])
    return Simulation(npvs, float(p10), float(p50), float(p90), float(npvs.mean()), float((npvs < 0).mean()))


def histogram(simulated: Simulation, bins: int = 50) -> pl.DataFrame:
    """One row per bin of NPV: its ends in pounds, how many draws fall into it, and whether it lies below nothing."""
    counts, edges = np.histogram(simulated.npvs, bins=_edges(simulated.npvs, bins))
    return pl.DataFrame({"npv_from": edges[:-1], "npv_to": edges[1:], "draws": counts.astype(np.int64)}).with_columns(
        is_negative=pl.col("npv_to") <= 0
    )


def _edges(npvs: np.ndarray, bins: int) -> np.ndarray:
    """Bins of one width of which 0 is an edge, so that no bin is half a loss."""
    low, high = float(npvs.min()), float(npvs.max())
    width = (high - low) / bins or max(abs(low), 1) / bins
    return width * np.arange(np.floor(low / width), np.floor(high / width) + 2)


# --- one case, as the page, the workbook and the document show it ----------------------------------------------


@dataclass(frozen=True)
class Case:
    """A set of amendments judged under assumptions; every figure of it is made once, when it is first asked for.

    counts: those of the selected Devices, all months. Of `months`: kinds, the frame of `case_volumes.kinds`, and
    volumes_of_sets, that of `case_volumes.all_sets`.
    """

    assumptions: Assumptions
    chosen: tuple[str, ...]
    evidence: bool
    months: Window
    counts: pl.DataFrame
    kinds: pl.DataFrame
    volumes_of_sets: pl.DataFrame
    distribution: str = DISTRIBUTIONS[0]

    @cached_property
    def values(self) -> dict[str, float]:
        return central(self.assumptions)

    @cached_property
    def of(self) -> Volumes:
        return volumes(self.kinds, self.months.to_a_year, bool(self.chosen), self.evidence)

    @cached_property
    def summary(self) -> dict:
        return summary(self.values, self.of)

    @cached_property
    def years(self) -> pl.DataFrame:
        return by_year(self.values, self.of)

    @cached_property
    def payers(self) -> pl.DataFrame:
        return by_payer(self.values, self.of)

    @cached_property
    def party_types(self) -> pl.DataFrame:
        return by_party_type(self.values, self.kinds, self.months.to_a_year)

    @cached_property
    def tornado(self) -> pl.DataFrame:
        return tornado(self.assumptions, self.of)

    @cached_property
    def simulation(self) -> Simulation:
        return simulate(self.assumptions, self.of, self.distribution)

    @cached_property
    def sets(self) -> pl.DataFrame:
        return all_sets(self.values, self.volumes_of_sets, self.months.to_a_year)

    def under(self, assumptions: Assumptions) -> "Case":
        """The same set and Devices under other assumptions."""
        return replace(self, assumptions=assumptions)


def case(
    counts: pl.DataFrame,
    months: Window,
    categories: dict[str, str],
    chosen: tuple[str, ...],
    evidence: bool,
    assumptions: Assumptions,
    distribution: str = DISTRIBUTIONS[0],
    held: Callable = lambda name, make, *of: make(),
) -> Case:
    """counts: of the selected Devices; categories: party id -> type (`case_volumes.party_types`).

    held: gives what was made before of the same Devices and `of`, under its name, or has it made.
    """
    kinds = held(
        "kinds of the business case",
        lambda: case_volumes.kinds(case_volumes.of_window(counts, months), categories, chosen, evidence),
        chosen,
        evidence,
    )
    sets = held("sets of the business case", lambda: case_volumes.all_sets(case_volumes.of_window(counts, months)))
    return Case(assumptions, chosen, evidence, months, counts, kinds, sets, distribution)

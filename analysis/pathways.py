"""The roads that Devices took: the order in which their steps first succeeded, what was tried again, what stayed unmet.

A road starts with the first step that succeeded and ends with the last check that the Device's type needs; what came
after that is no part of it. A road on which a check stays unmet runs on to the day of the report. A change of Supplier
(the first after commissioning) is a step of its own, at 00:00 of its day. Of steps that succeeded at the same instant
the one earlier in the criteria comes first; then those of other_steps.csv, then the change of Supplier.
"""

from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl

from analysis.reported import CHECKS, USER_CHECKS, check_bit
from analysis.roads import Roads
from analysis.selection import Selection, added_up
from data import reference
from data.evidence import step_names

CHANGE_OF_SUPPLIER = "change_of_supplier"
# Number of a step, which is its place in the order of the criteria -> its name.
STEPS = dict(sorted(step_names().items())) | {max(step_names()) + 1: CHANGE_OF_SUPPLIER}
NUMBERS = {name: number for number, name in STEPS.items()}
# The steps that are sent as Service Requests, and so may be tried again or in vain.
DSP_CHECKS = tuple(check for check in CHECKS if check not in USER_CHECKS)
SENT = tuple(name for name in STEPS.values() if name not in (*DSP_CHECKS, CHANGE_OF_SUPPLIER))
UPDATE, HANDOVER = "update_network_operator", "network_operator_handover"

# A pathway in 64 bits: four a step from the lowest in the order of success, then these sets of steps, a bit each.
BITS_A_STEP = 4
RETRIED = BITS_A_STEP * len(STEPS)
IN_VAIN = RETRIED + len(SENT)
UNMET = IN_VAIN + len(SENT)
NEVER = np.iinfo(np.int64).max
HOUR = 3_600_000_000
# In place of a variant: all roads but the most frequent. No pathway has every bit set.
OTHER = np.iinfo(np.uint64).max
FACTS = ("completed", "with_retry", "handed_over", "changed", "changed_open", "in_list_order")
START, OTHER_ROADS = "start", "other_roads"
ENDS = ALL_MET, REPORTED_FAILED, NOT_DUE = "all_met", "reported_failed", "not_due"


def with_pathway(devices: pl.DataFrame) -> pl.DataFrame:
    """Adds pathway (UInt64) and pathway_hours (Int32).

    pathway_hours: whole hours, rounded down, from commissioning to the last check that its type needs and that was
    met; null where none was.
    """
    moments = [_microseconds(devices[f"{name}_met_at"]) for name in step_names().values()]
    moments = dict(zip(step_names().values(), moments, strict=True))
    moments[CHANGE_OF_SUPPLIER] = _microseconds(devices["changed_supplier_at"].cast(pl.Datetime("us")))
    times = [moments[name] for name in STEPS.values()]
    required, unmet = devices["required"].to_numpy(), devices["unmet"].to_numpy()
    places = _places(times)
    last_place, last_time = _last_of_checks(required & ~unmet, times, places)
    is_open = unmet != 0
    end = np.where(is_open, np.uint8(len(STEPS)), last_place)
    pathway = unmet.astype(np.uint64) << np.uint64(UNMET)
    for (number, name), time, place in zip(STEPS.items(), times, places, strict=True):
        is_met = time != NEVER
        is_on_road = is_met & (place <= end)
        pathway |= (is_on_road * np.uint64(number)) << (place * np.uint8(BITS_A_STEP)).astype(np.uint64)
        if name in SENT:
            tries, bit = devices[f"{name}_tries"].to_numpy(), SENT.index(name)
            is_in_vain = is_open & ~is_met & (tries > 0)
            pathway |= ((tries > 1) & (is_on_road | is_in_vain)) * np.uint64(1 << (RETRIED + bit))
            pathway |= is_in_vain * np.uint64(1 << (IN_VAIN + bit))
    hours = (last_time - _microseconds(devices["commissioned_at"])) // HOUR
    hours = pl.Series("pathway_hours", np.where(last_time == -NEVER, 0, hours).astype(np.int32))
    return devices.with_columns(
        pl.Series("pathway", pathway), pl.when(pl.Series(last_time != -NEVER)).then(hours).alias("pathway_hours")
    )


def _microseconds(times: pl.Series) -> np.ndarray:
    """Since 1970; NEVER where null."""
    return times.to_physical().fill_null(NEVER).to_numpy()


def _places(times: list[np.ndarray]) -> list[np.ndarray]:
    """For each step its place (from 0) in the Device's order of times, pair by pair: far quicker than a sort a row."""
    places = [np.zeros(len(times[0]), np.uint8) for _ in times]
    for late, time in enumerate(times):
        for early in range(late):
            comes_first = times[early] <= time
            places[late] += comes_first
            places[early] += ~comes_first
    return places


def _last_of_checks(checks: np.ndarray, times: list, places: list) -> tuple[np.ndarray, np.ndarray]:
    """Place and time of the last of a set of checks (bits), all of them met; 0 and -NEVER where the set is empty."""
    last_place, last_time = np.zeros(len(checks), np.uint8), np.full(len(checks), -NEVER)
    for check in CHECKS:
        is_in_set = checks & check_bit(check) != 0
        place, time = (of_steps[NUMBERS[check] - 1] for of_steps in (places, times))
        np.maximum(last_place, place, out=last_place, where=is_in_set)
        np.maximum(last_time, time, out=last_time, where=is_in_set)
    return last_place, last_time


def steps_of(pathway: int) -> tuple[str, ...]:
    """The steps in the order of their first success."""
    digits = (pathway >> (BITS_A_STEP * place) & 15 for place in range(len(STEPS)))
    return tuple(STEPS[digit] for digit in digits if digit)


def retried(pathway: int) -> tuple[str, ...]:
    """The steps with more than one attempt."""
    return _set(pathway, RETRIED, SENT)


def in_vain(pathway: int) -> tuple[str, ...]:
    """The steps that were tried and never succeeded."""
    return _set(pathway, IN_VAIN, SENT)


def unmet(pathway: int) -> tuple[str, ...]:
    """The checks that the Device's type needs and that are not met."""
    return _set(pathway, UNMET, CHECKS)


def _set(pathway: int, first_bit: int, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for place, name in enumerate(names) if pathway >> (first_bit + place) & 1)


def variants(
    roads: Roads,
    selection: Selection,
    most: int,
    reported: str | None = None,
    with_dsp: bool = False,
    with_attempts: bool = False,
) -> pl.DataFrame:
    """One row per road of the selected Devices, the most frequent first, and one (variant OTHER) for all but `most`.

    The counts add up to the selected Devices, where `reported` is given those reported so. Roads are told apart by the
    order of their steps, the DSP's checks left out unless with_dsp; where with_attempts by retries, attempts in vain
    and unmet checks as well. roads: how many different ones the row stands for. due, reported_failures; verified,
    secure and device_keys_read are of those due.
    median_days: of pathway_hours. The other columns count Devices: see `_facts`.
    """
    ways = roads.counted(selection)
    if reported is not None:
        ways = ways.filter(pl.col("reported") == reported)
    times = pl.col("devices").sum().alias("times")
    known = _facts(ways.group_by("pathway").agg(times), with_dsp, with_attempts)
    by_road = known.group_by("variant").agg(pl.col("times").sum()).sort("times", "variant", descending=[True, False])
    is_shown = pl.col("variant").is_in(by_road["variant"].head(most).implode())
    known = known.with_columns(shown=pl.when(is_shown).then("variant").otherwise(pl.lit(OTHER, pl.UInt64)))
    facts = known.group_by("shown").agg(
        pl.col("variant").n_unique().cast(pl.Int64).alias("roads"),
        *((pl.col(fact) * pl.col("times")).sum().cast(pl.Int64).alias(fact) for fact in FACTS),
    )
    ways = ways.join(known.select("pathway", "shown"), on="pathway")
    found = ways.group_by("shown").agg(_tallies()).join(_median_days(ways), on="shown", how="left")
    table = found.join(facts, on="shown").rename({"shown": "variant"})
    return table.sort(pl.col("variant") == OTHER, "devices", "variant", descending=[False, True, False])


def _tallies() -> list[pl.Expr]:
    is_due, actual = pl.col("reported").is_in(["passed", "failed"]), pl.col("actual")
    of_which = {
        "devices": pl.lit(True),
        "due": is_due,
        "reported_failures": pl.col("reported") == "failed",
        "verified": is_due & (actual != "unverified"),
        "secure": is_due & (actual == "secure"),
        "device_keys_read": is_due & (pl.col("device_keys") != "not_read"),
    }
    return [pl.col("devices").filter(condition).sum().alias(name) for name, condition in of_which.items()]


def _median_days(ways: pl.DataFrame) -> pl.DataFrame:
    """shown, median_days: of the Devices' hours, where a way stands for several Devices; no row where none is known."""
    hours = ways.filter(pl.col("pathway_hours").is_not_null()).group_by("shown", "pathway_hours")
    hours = hours.agg(pl.col("devices").sum()).sort("shown", "pathway_hours")
    up_to, of = pl.col("devices").cum_sum(), pl.col("devices").sum()
    # Of an even number of Devices the median lies between the two in the middle.
    middle = [pl.col("pathway_hours").filter(up_to >= place).first() for place in ((of + 1) // 2, of // 2 + 1)]
    return hours.group_by("shown").agg(median_days=(middle[0] + middle[1]) / 2 / 24)


def _facts(pathways: pl.DataFrame, with_dsp: bool, with_attempts: bool) -> pl.DataFrame:
    """Adds to a frame of different pathways the variant of each, and whether

    completed: every check is met. with_retry: some step has more than one attempt. handed_over: 6.15.1 is required,
    unmet, and 6.21 succeeded in its place. changed: the Supplier changed before the last check was met;
    changed_open: and some check is unmet yet. in_list_order: completed, and the checks that are sent as Service
    Requests first succeeded in the order in which the criteria list them.
    """
    codes = pathways["pathway"].to_numpy()
    digits = [(codes >> np.uint64(BITS_A_STEP * place) & np.uint64(15)).astype(np.uint8) for place in range(len(STEPS))]
    variant, length = np.zeros(len(codes), np.uint64), np.zeros(len(codes), np.uint64)
    in_order, latest = np.ones(len(codes), bool), np.zeros(len(codes), np.uint8)
    for digit in digits:
        is_kept = digit != 0
        if not with_dsp:
            is_kept &= ~np.isin(digit, [NUMBERS[check] for check in DSP_CHECKS])
        variant |= (is_kept * digit.astype(np.uint64)) << (length * np.uint64(BITS_A_STEP))
        length += is_kept
        is_sent = np.isin(digit, [NUMBERS[check] for check in USER_CHECKS])
        in_order &= ~is_sent | (digit > latest)
        np.maximum(latest, digit, out=latest, where=is_sent)
    if with_attempts:
        variant |= codes >> np.uint64(RETRIED) << np.uint64(RETRIED)
    unmet = codes >> np.uint64(UNMET)
    is_open = unmet != 0
    changed = np.any([digit == NUMBERS[CHANGE_OF_SUPPLIER] for digit in digits], axis=0)
    handover = np.any([digit == NUMBERS[HANDOVER] for digit in digits], axis=0)
    facts = {
        "completed": ~is_open,
        "with_retry": codes >> np.uint64(RETRIED) & np.uint64((1 << len(SENT)) - 1) != 0,
        "handed_over": handover & (unmet & np.uint64(check_bit(UPDATE)) != 0),
        "changed": changed,
        "changed_open": changed & is_open,
        "in_list_order": ~is_open & in_order,
    }
    return pathways.with_columns(pl.Series("variant", variant), *(pl.Series(*fact) for fact in facts.items()))


def links(table: pl.DataFrame, most: int) -> pl.DataFrame:
    """One row per link, step by step, of the `most` most frequent roads of `variants`; the rest as one flow.

    from_place, from_step, to_place, to_step, devices. At place 0 is START; then come steps or OTHER_ROADS; where a
    road ends, how its Devices stand (ENDS). What flows into any other node flows out of it.
    """
    flows = Counter()
    for place, row in enumerate(table.iter_rows(named=True)):
        is_one = place < most and row["variant"] != OTHER
        steps = (START, *steps_of(row["variant"])) if is_one else (START, OTHER_ROADS)
        stops = list(enumerate(steps))
        for stop in pairwise(stops):
            flows[stop] += row["devices"]
        for standing, devices in _standings(row).items():
            flows[stops[-1], (len(steps), standing)] += devices
    rows = [(*source, *target, devices) for (source, target), devices in flows.items() if devices]
    schema = {"from_place": pl.Int64, "from_step": pl.String, "to_place": pl.Int64, "to_step": pl.String}
    order = ["from_place", "devices", "from_step", "to_step"]
    links = pl.DataFrame(rows, schema | {"devices": pl.Int64}, orient="row")
    return links.sort(order, descending=[False, True, False, False])


def _standings(row: dict) -> dict[str, int]:
    passed = row["completed"]
    return {
        ALL_MET: passed,
        REPORTED_FAILED: row["reported_failures"],
        NOT_DUE: row["devices"] - passed - row["reported_failures"],
    }


def defined(counts: pl.DataFrame) -> pl.DataFrame:
    """One row per Device type among the counts and check that the criteria require of it: Devices, those that met it.

    The criteria say which checks; no order of them is known to be prescribed.
    """
    required = reference.required("checks", "check_no")
    counts = added_up(counts, "device_type", "unmet")
    rows = []
    for device_type in reference.DEVICE_TYPES:
        of_type = counts.filter(pl.col("device_type") == device_type)
        devices = of_type["devices"].sum()
        for check in (CHECKS[number - 1] for number in required[device_type]) if devices else ():
            met = of_type.filter(pl.col("unmet") & check_bit(check) == 0)["devices"].sum()
            rows.append((device_type, check, devices, met))
    schema = {"device_type": pl.String, "check": pl.String, "devices": pl.Int64, "met": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")

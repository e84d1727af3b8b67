"""Changes of supplier: spells of registration, and the gaining supplier's 6.23."""

from dataclasses import dataclass

import numpy as np

from data.estate import parties
from data.estate.growth import DAY_MS
from data.estate.mechanisms import RATES
from data.estate.pathway import COS_SRV, RESPONSES, SUPPLIER, counters
from data.estate.premises import CHF, HOUR_MS, NEVER, Devices
from data.estate.rows import Gathered, Rows, together

SPELLS = {"device": "i4", "supplier": "i2", "starts": "i4", "ends": "i4"}
OPEN_ENDED = np.int32(2**31 - 1)


@dataclass
class Changes:
    """early, later: whether the Supplier cells followed that change. settled: when the last 6.23 was over, or NEVER without a change."""

    early: np.ndarray
    later: np.ndarray
    settled: np.ndarray
    rows: Rows


def change_suppliers(rng: np.random.Generator, devices: Devices, horizon: int) -> Changes:
    extra = Gathered(RESPONSES)
    settled = np.full(len(devices), NEVER)
    followed = [
        update_cells(rng, devices, extra, settled, when, gaining, horizon)
        for when, gaining in (
            (devices.early_change, devices.supplier_after_early),
            (devices.later_change, devices.supplier_after_later),
        )
    ]
    devices.planted.plant("cos_update_failed", ~(followed[0] & followed[1]))
    return Changes(followed[0], followed[1], settled, extra.rows())


def update_cells(rng, devices: Devices, extra: Gathered, settled, when, gaining, horizon: int) -> np.ndarray:
    followed = np.ones(len(devices), bool)
    place = np.flatnonzero((when < NEVER) & devices.in_use)
    settled[place] = when[place]
    place = place[devices.type[place] != CHF]
    followed[place] = False
    sent = when[place] + rng.integers(0, 36 * HOUR_MS, len(place))
    for _ in range(2):
        known = sent < horizon
        place, sent = place[known], sent[known]
        success, worked = send_update(rng, devices, extra, settled, place, sent, gaining, horizon)
        followed[place] |= worked
        again = ~success & (rng.random(len(place), np.float32) < RATES.cos_update_failed.retried)
        place, sent = place[again], sent[again] + rng.integers(20 * HOUR_MS, 60 * HOUR_MS, again.sum())
    return followed


def send_update(rng, devices, extra, settled, place, sent, gaining, horizon) -> tuple[np.ndarray, np.ndarray]:
    """Whether each 6.23 was answered with success, and whether it worked."""
    rates, size = RATES.cos_update_failed, len(place)
    edges = np.cumsum([rates.lost, rates.empty, rates.failed])
    drawn = rng.random(size, np.float32)
    lost, empty, failed = drawn < edges[0], (drawn >= edges[0]) & (drawn < edges[1]), (drawn >= edges[1]) & (drawn < edges[2])
    lost |= devices.wan_lost[place]
    responded = sent + rng.integers(2_000, 1_800_000, size)
    unknown = lost | (responded >= horizon)
    originator = parties.supplier_euis(gaining[place], devices.premises[place])
    status = np.select([unknown | empty, failed], [-1, 1], 0)
    extra.add(
        device=place, originator=originator, counter=counters(sent, originator), srv=COS_SRV, variant=1,
        credential=-1, role=SUPPLIER, sent=sent, responded=np.where(unknown, NEVER, responded),
        code=np.where(unknown, -1, 0), status=status,
    )  # fmt: skip
    np.maximum.at(settled, place, np.where(unknown, sent, responded))
    success = status == 0
    doubtful = (lost | empty) & ~devices.wan_lost[place] & (rng.random(size, np.float32) < rates.executed)
    return success, doubtful | (~lost & ~empty & ~failed)


def registrations(rng: np.random.Generator, devices: Devices) -> Rows:
    """Spells of each Device, the first begun long before its commissioning."""
    place = np.arange(len(devices), dtype=np.int32)
    early, later = (days(when) for when in (devices.early_change, devices.later_change))
    since = (devices.commissioned // DAY_MS).astype(np.int32) - rng.integers(20, 1500, len(place), np.int32)
    first = {"device": place, "supplier": devices.supplier, "starts": since, "ends": np.minimum(early, later)}
    second = {"device": place, "supplier": devices.supplier_after_early, "starts": early, "ends": later}
    third = {
        "device": place, "supplier": devices.supplier_after_later, "starts": later,
        "ends": np.full(len(place), OPEN_ENDED),
    }  # fmt: skip
    begun = [{name: column[spell["starts"] < OPEN_ENDED] for name, column in spell.items()} for spell in (second, third)]
    return together([first, *begun], SPELLS)


def days(when: np.ndarray) -> np.ndarray:
    return np.where(when < NEVER, when // DAY_MS, OPEN_ENDED).astype(np.int32)

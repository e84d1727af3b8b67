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
    """early, later: whether the Supplier cells followed that change. settled: when the last 6.23 was over, if any."""

    early: np.ndarray
    later: np.ndarray
    settled: np.ndarray
    rows: Rows


def change_suppliers(rng: np.random.Generator, devices: Devices, horizon: int) -> Changes:
    updates = Updates(rng, devices, horizon)
    early = updates.follow(devices.early_change, devices.supplier_after_early)
    later = updates.follow(devices.later_change, devices.supplier_after_later)
    devices.planted.plant("cos_update_failed", ~(early & later))
    return Changes(early, later, updates.settled, updates.gathered.rows())


class Updates:
    def __init__(self, rng: np.random.Generator, devices: Devices, horizon: int):
        self.rng, self.devices, self.horizon = rng, devices, horizon
        self.gathered = Gathered(RESPONSES)
        self.settled = np.full(len(devices), NEVER)

    def follow(self, when: np.ndarray, gaining: np.ndarray) -> np.ndarray:
        """Sends 6.23 once or twice for each change; whether the cells followed, true where there was no change."""
        devices, followed = self.devices, np.ones(len(self.devices), bool)
        place = np.flatnonzero((when < NEVER) & devices.in_use)
        self.settled[place] = when[place]
        place = place[devices.type[place] != CHF]
        followed[place] = False
        sent = when[place] + self.rng.integers(0, 36 * HOUR_MS, len(place))
        for _ in range(2):
            place, sent = place[sent < self.horizon], sent[sent < self.horizon]
            success, worked = self.send(place, sent, gaining[place])
            followed[place] |= worked
            again = ~success & (self.rng.random(len(place), np.float32) < RATES.cos_update_failed.retried)
            place = place[again]
            sent = sent[again] + self.rng.integers(20 * HOUR_MS, 60 * HOUR_MS, len(place))
        return followed

    def send(self, place: np.ndarray, sent: np.ndarray, gaining: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether each 6.23 was answered with success, and whether it worked."""
        lost, empty, failed = self.troubles(place)
        responded = sent + self.rng.integers(2_000, 1_800_000, len(place))
        unknown = lost | (responded >= self.horizon)
        status = np.select([unknown | empty, failed], [-1, 1], 0)
        originator = parties.supplier_euis(gaining, self.devices.premises[place])
        self.gathered.add(
            device=place,
            originator=originator,
            counter=counters(sent, originator),
            srv=COS_SRV,
            variant=1,
            credential=-1,
            role=SUPPLIER,
            sent=sent,
            responded=np.where(unknown, NEVER, responded),
            code=np.where(unknown, -1, 0),
            status=status,
        )
        self.settled[place] = np.maximum(self.settled[place], np.where(unknown, sent, responded))
        executed = self.rng.random(len(place), np.float32) < RATES.cos_update_failed.executed
        worked = ~failed & (executed | ~(lost | empty)) & ~self.devices.wan_lost[place]
        return status == 0, worked

    def troubles(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rates = RATES.cos_update_failed
        outcome = np.searchsorted(
            np.cumsum([rates.lost, rates.empty, rates.failed]), self.rng.random(len(place)), side="right"
        )
        silent = self.devices.wan_lost[place]
        return (outcome == 0) | silent, (outcome == 1) & ~silent, (outcome == 2) & ~silent


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
    begun = [
        {name: column[spell["starts"] < OPEN_ENDED] for name, column in spell.items()} for spell in (second, third)
    ]
    return together([first, *begun], SPELLS)


def days(when: np.ndarray) -> np.ndarray:
    return np.where(when < NEVER, when // DAY_MS, OPEN_ENDED).astype(np.int32)

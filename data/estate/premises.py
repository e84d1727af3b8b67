"""The Devices of a block: whose they are, where, what they are and when they were commissioned."""

from dataclasses import dataclass

import numpy as np

from data.estate import parties, products
from data.estate.growth import DAY_MS, Block
from data.estate.mechanisms import RATES, Planted

TYPES = ["ESME", "CHF", "GPF", "GSME"]
ESME, CHF, GPF, GSME = range(4)
DUAL_FUEL = 0.8
REGIONS = [*parties.REGIONS, "Unknown"]
STATUSES = [
    "Commissioned",
    "Suspended",
    "Decommissioned",
    "Recovered",
    "InstalledNotCommissioned",
    "Pending",
    "Whitelisted",
]
# Minutes after the hub, in the order of TYPES.
INSTALLED_AFTER_MIN = np.array([9, 0, 14, 41])
NEVER = np.int64(1 << 60)
HOUR_MS = 3_600_000


@dataclass
class Devices:
    """Columns of a block, one value a Device. Times are milliseconds (UTC); NEVER is no time."""

    number: np.ndarray
    premises: np.ndarray
    type: np.ndarray
    region: np.ndarray
    network: np.ndarray
    product: np.ndarray
    commissioned: np.ndarray
    status: np.ndarray
    in_use: np.ndarray
    supplier: np.ndarray
    early_change: np.ndarray
    supplier_after_early: np.ndarray
    later_change: np.ndarray
    supplier_after_later: np.ndarray
    stalled: np.ndarray
    wan_lost: np.ndarray
    pace: np.ndarray
    planted: Planted

    def __len__(self) -> int:
        return len(self.number)

    @property
    def has_operator_cell(self) -> np.ndarray:
        return (self.type == ESME) | (self.type == GPF)

    def supplier_at(self, when: np.ndarray) -> np.ndarray:
        after_early = np.where(when >= self.early_change, self.supplier_after_early, self.supplier)
        return np.where(when >= self.later_change, self.supplier_after_later, after_early)


def settle(rng: np.random.Generator, block: Block, month_start: int, month_end: int, horizon: int) -> Devices:
    homes = Premises(rng, block, month_start, month_end)
    place, kind = homes.devices(block.devices)
    n = len(place)
    planted = Planted(n)
    region = np.where(rng.random(n, np.float32) < RATES.inventory.unknown_region, 3, homes.region[place])
    early = homes.change_days(place, kind, "early", homes.early_change(rng, horizon))
    later = homes.change_days(place, kind, "later", homes.later_change(rng, horizon))
    gaining = homes.gaining_suppliers(rng)
    after_early = np.where(early < NEVER, gaining[0][place], homes.supplier[place])
    after_later = np.where(later < NEVER, gaining[1][place], after_early)
    stalled = (early < NEVER) & homes.stalled[place]
    planted.plant("change_of_supplier", stalled)
    planted.plant("later_change_of_supplier", later < NEVER)
    planted.plant("wan_lost", homes.wan_lost[place])
    status, in_use = statuses(rng, n)
    return Devices(
        number=np.arange(block.first, block.first + n),
        premises=place + block.first,
        type=kind,
        region=region.astype(np.int8),
        network=homes.network(kind, place),
        product=homes.product(kind, place),
        commissioned=homes.commissioned(rng, kind, place),
        status=status,
        in_use=in_use,
        supplier=homes.supplier[place],
        early_change=early,
        supplier_after_early=after_early,
        later_change=later,
        supplier_after_later=after_later,
        stalled=stalled,
        wan_lost=homes.wan_lost[place],
        pace=homes.pace[place],
        planted=planted,
    )


class Premises:
    """Homes of a block; every draw is one value a home."""

    def __init__(self, rng: np.random.Generator, block: Block, month_start: int, month_end: int):
        dual = rng.random(block.devices // 2 + 1, np.float32) < DUAL_FUEL
        self.size = int(np.searchsorted(np.cumsum(2 + 2 * dual), block.devices)) + 1
        self.dual = dual[: self.size]
        self.supplier = self.draw(rng, parties.shares(parties.SUPPLIERS))
        self.electricity = self.draw(rng, parties.shares(parties.ELECTRICITY))
        self.region = np.array([REGIONS.index(party["region"]) for party in parties.ELECTRICITY])[self.electricity]
        self.gas = self.by_region(lambda region, size: draw_gas(rng, region, size))
        self.electricity_meter = products.draw(rng, self.size, "electricity", block.month)
        self.gas_meter = products.draw(rng, self.size, "gas", block.month)
        self.hub = self.by_region(lambda region, size: products.draw(rng, size, "hub", block.month, REGIONS[region]))
        self.installed = install_times(rng, self.size, month_start, month_end)
        pace = parties.trait("pace_hours", block.month)[self.supplier] * HOUR_MS
        self.pace = (rng.standard_exponential(self.size, np.float32) * pace).astype(np.int64)
        self.fuels = rng.random((2, self.size), np.float32)
        self.stalled = rng.random(self.size, np.float32) < RATES.change_of_supplier.stalled
        self.wan_lost = rng.random(self.size, np.float32) < RATES.wan_lost.rate

    def draw(self, rng: np.random.Generator, running: np.ndarray) -> np.ndarray:
        return np.searchsorted(running, rng.random(self.size)).astype(np.int16)

    def by_region(self, drawn) -> np.ndarray:
        result = np.empty(self.size, np.int16)
        for region in range(len(parties.REGIONS)):
            here = np.flatnonzero(self.region == region)
            result[here] = drawn(region, len(here))
        return result

    def devices(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Home and type of each Device: two, or four where there is gas, cut off at the count."""
        has = np.ones((self.size, 4), bool)
        has[:, GPF:] = self.dual[:, None]
        slots = np.flatnonzero(has.ravel())[:count]
        return slots >> 2, (slots & 3).astype(np.int8)

    def network(self, kind: np.ndarray, place: np.ndarray) -> np.ndarray:
        return np.where(kind >= GPF, self.gas[place] + len(parties.ELECTRICITY), self.electricity[place])

    def product(self, kind: np.ndarray, place: np.ndarray) -> np.ndarray:
        meter = np.where(kind == ESME, self.electricity_meter[place], self.gas_meter[place])
        return np.where((kind == CHF) | (kind == GPF), self.hub[place], meter)

    def commissioned(self, rng: np.random.Generator, kind: np.ndarray, place: np.ndarray) -> np.ndarray:
        jitter = rng.integers(0, 300_000, len(place), np.int32)
        return self.installed[place] + INSTALLED_AFTER_MIN[kind] * 60_000 + jitter

    def early_change(self, rng: np.random.Generator, horizon: int) -> np.ndarray:
        rates = RATES.change_of_supplier
        days = rng.integers(rates.first_day, rates.last_day + 1, self.size)
        leaves = rng.random(self.size, np.float32) < rates.rate
        return self.day_after(days, leaves, horizon)

    def later_change(self, rng: np.random.Generator, horizon: int) -> np.ndarray:
        years = rng.standard_exponential(self.size, np.float32) / RATES.later_change_of_supplier.rate
        return self.day_after((years * 365).astype(np.int64) + 15, True, horizon)

    def day_after(self, days: np.ndarray, happens: np.ndarray, horizon: int) -> np.ndarray:
        day = (self.installed // DAY_MS + days) * DAY_MS
        return np.where(happens & (day < horizon), day, NEVER)

    def change_days(self, place: np.ndarray, kind: np.ndarray, which: str, days: np.ndarray) -> np.ndarray:
        """A change at a dual-fuel home may be of one fuel; the hub goes with electricity."""
        split = self.fuels[("early", "later").index(which)][place]
        rates = RATES.fuel_split
        gas = kind >= GPF
        stays = (split < rates.electricity_only) & gas
        stays |= (split > 1 - rates.gas_only) & ~gas & self.dual[place]
        return np.where(stays, NEVER, days[place])

    def gaining_suppliers(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Who gains at the early and at the later change, never the supplier that loses."""
        running = parties.shares(parties.SUPPLIERS)
        first = another(self.draw(rng, running), self.supplier)
        return [first, another(another(self.draw(rng, running), first), self.supplier)]


def another(drawn: np.ndarray, present: np.ndarray) -> np.ndarray:
    return np.where(drawn == present, (drawn + 1) % len(parties.SUPPLIERS), drawn).astype(np.int16)


def draw_gas(rng: np.random.Generator, region: int, size: int) -> np.ndarray:
    here = np.array([place for place, party in enumerate(parties.GAS) if party["region"] == REGIONS[region]])
    running = np.cumsum([parties.GAS[place]["share"] for place in here])
    return here[np.searchsorted(running / running[-1], rng.random(size))]


def install_times(rng: np.random.Generator, size: int, month_start: int, month_end: int) -> np.ndarray:
    """Working hours of any day, Sundays seldom; in the order of time."""
    days = np.arange(month_start // DAY_MS, month_end // DAY_MS)
    # Day 0 of the epoch was a Thursday, so 3 is a Sunday.
    running = np.cumsum(np.where(days % 7 == 3, 0.1, 1.0))
    day = days[np.searchsorted(running / running[-1], rng.random(size, np.float32))]
    return np.sort(day * DAY_MS + rng.integers(8 * HOUR_MS, 18 * HOUR_MS, size))


def statuses(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Status of each Device, and whether it was ever commissioned."""
    rates = RATES.inventory
    edges = np.cumsum([rates.suspended, rates.decommissioned, rates.recovered, *[rates.not_commissioned / 3] * 3])
    drawn = np.searchsorted(edges, rng.random(size, np.float32), side="right")
    status = np.where(drawn == len(edges), 0, drawn + 1).astype(np.int8)
    return status, status < STATUSES.index("InstalledNotCommissioned")

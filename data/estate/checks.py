"""The DSP's two checks of each Device, repeated until passed, and the Incidents about CHFs."""

from dataclasses import dataclass

import numpy as np

from data.estate.growth import DAY_MS
from data.estate.mechanisms import RATES
from data.estate.pathway import Pathway, lost_factor
from data.estate.premises import CHF, HOUR_MS, NEVER, Devices
from data.estate.rows import Gathered, Rows

CHECKS = {"device": "i4", "check": "i1", "checked": "i8", "passed": "?"}
CHECK_NAMES = ["communicating", "recovery_cell"]
COMMUNICATING, RECOVERY_CELL = 0, 1
RESOLUTIONS = [
    "Device found to hold the right certificates; no action taken",
    "Certificates replaced",
    "Communications Hub exchanged",
    "Closed with another Incident of the same premises",
]
GRACE_DAYS = 7


@dataclass
class Checked:
    """met: time of each check's pass, or NEVER."""

    met: np.ndarray
    parts: list[Rows]


def check(rng, devices: Devices, recovery_empty: np.ndarray, month: int, horizon: int) -> Checked:
    size = (len(devices), 2)
    checked = rng.integers(HOUR_MS, 30 * HOUR_MS, size, np.int32) + devices.commissioned[:, None]
    happens = devices.in_use[:, None] & (checked < horizon)
    passed = passes_first(rng, devices, month)
    hopeless = np.stack([devices.wan_lost, recovery_empty | devices.wan_lost], axis=1)
    passed &= ~hopeless
    met = np.where(happens & passed, checked, NEVER)
    extra = recheck(rng, happens & ~passed, hopeless, checked, met, horizon)
    device = np.flatnonzero((happens & ~passed & ~hopeless).any(axis=1))
    devices.planted.plant("check_not_passed", device)
    return Checked(met, [first_checks(happens, checked, passed), extra])


def passes_first(rng, devices: Devices, month: int) -> np.ndarray:
    rates = RATES.check_not_passed
    drawn = rng.random((len(devices), 2), np.float32)
    drawn[:, COMMUNICATING] /= lost_factor(devices, month).astype(np.float32)
    return drawn >= np.array([rates.communicating, rates.recovery_cell], np.float32)


def first_checks(happens: np.ndarray, checked: np.ndarray, passed: np.ndarray) -> Rows:
    slots = np.flatnonzero(happens)
    return {
        "device": (slots >> 1).astype(np.int32),
        "check": (slots & 1).astype(np.int8),
        "checked": checked.ravel()[slots],
        "passed": passed.ravel()[slots],
    }


def recheck(rng, failing, hopeless, checked, met, horizon) -> Rows:
    extra = Gathered(CHECKS)
    device, kind = np.nonzero(failing)
    when = checked[device, kind]
    for _ in range(RATES.check_not_passed.rechecks):
        when = when + rng.integers(20 * HOUR_MS, 28 * HOUR_MS, len(when))
        kept = when < horizon
        device, kind, when = device[kept], kind[kept], when[kept]
        fails = hopeless[device, kind] | (rng.random(len(when), np.float32) < RATES.check_not_passed.again)
        extra.add(device=device, check=kind, checked=when, passed=~fails)
        met[device[~fails], kind[~fails]] = when[~fails]
        device, kind, when = device[fails], kind[fails], when[fails]
    return extra.rows()


def incidents(rng, devices: Devices, path: Pathway, checked: Checked, horizon: int) -> Rows:
    """AC 5.13: one for each CHF whose checks are not met when they are due."""
    met = np.maximum(path.met[:, :4].max(axis=1), checked.met.max(axis=1))
    late = (devices.type == CHF) & devices.in_use & (met > devices.commissioned + GRACE_DAYS * DAY_MS)
    place = np.flatnonzero(late)
    raised = devices.commissioned[place] + rng.integers(8 * DAY_MS, 14 * DAY_MS, len(place))
    place, raised = place[raised < horizon], raised[raised < horizon]
    closed = raised + (rng.standard_exponential(len(place)) * 25 * DAY_MS).astype(np.int64) + 4 * HOUR_MS
    open_still = (closed >= horizon) | (rng.random(len(place)) < 0.08)
    resolution = resolutions(rng, len(place))
    return {
        "device": place.astype(np.int32),
        "raised": raised,
        "closed": np.where(open_still, NEVER, closed),
        "resolution": np.where(open_still, -1, resolution).astype(np.int8),
    }


def resolutions(rng, size: int) -> np.ndarray:
    edges = np.cumsum([0.5, 0.08, 0.07, 0.1])
    drawn = np.searchsorted(edges, rng.random(size), side="right")
    return np.where(drawn == len(edges), -1, drawn)

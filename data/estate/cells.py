"""What each Device truly holds, and what was read of it."""

from dataclasses import dataclass

import numpy as np

from data.estate import parties
from data.estate.changes import Changes
from data.estate.growth import DAY_MS
from data.estate.mechanisms import RATES
from data.estate.pathway import UPDATE_OPERATOR, Pathway
from data.estate.premises import CHF, ESME, GPF, GSME, HOUR_MS, NEVER, Devices
from data.estate.rows import Rows

READS = {"device": "i4", "read": "i8", "role": "i1", "usage": "i1", "status": "i1", "subject": "i8", "key": "i8"}
ROLES = ["Supplier", "NetworkOperator", "ACB", "Recovery", "Device", "TransCoS", "Root"]
USAGES = ["DigitalSigning", "KeyAgreement", "KeyAgreementTopUp", "KeyCertSign"]
READ_STATUSES = ["success", "trustAnchorNotFound", "noTrustAnchor"]

# The cells of a reading, in the order of their rows.
CELL_ROLE = np.array([0, 0, 1, 1, 2, 2, 3, 4, 4, 5], np.int8)
CELL_USAGE = np.array([0, 1, 0, 1, 0, 1, 0, 0, 1, 0], np.int8)
CELLS = len(CELL_ROLE)
OPERATOR_CELLS, ACB_CELLS, RECOVERY_CELL, KEYS, EXTRA_CELL = slice(2, 4), slice(4, 6), 6, slice(7, 9), 9
HELD = np.zeros((4, CELLS), bool)
HELD[:, RECOVERY_CELL] = True
HELD[[ESME, GPF, GSME], :2] = True
HELD[[ESME, GPF], OPERATOR_CELLS] = True
HELD[CHF, ACB_CELLS] = True

IN_USE, BEFORE = 0, 1
# That an owner may have: a version or the one before it, of each usage.
CERTIFICATES = 2 * len(USAGES)
RIGHT, SUPPLIERS, DCCS, WRONG_OPERATOR, EMPTY_CELL = range(5)
OPERATOR_CELL_NAMES = ["right", "supplier_credentials", "dcc_credentials", "wrong_operator", "empty"]


@dataclass
class Held:
    """operator: what is in the Network Operator cells. revoked: the first required cell has a revoked certificate."""

    operator: np.ndarray
    revoked: np.ndarray
    recovery_empty: np.ndarray
    keys_replaced: np.ndarray
    supplier_followed: np.ndarray

    def right(self, devices: Devices) -> np.ndarray:
        operator = ~devices.has_operator_cell | (self.operator == RIGHT)
        return operator & ~self.revoked & ~self.recovery_empty & self.supplier_followed


def certificate(owner: np.ndarray, usage: np.ndarray, version: np.ndarray) -> np.ndarray:
    """Number of a certificate: owners are the parties' EUIs, then the Devices."""
    return owner * CERTIFICATES + usage * 2 + version


def hold(rng: np.random.Generator, devices: Devices, path: Pathway, changes: Changes, month: int) -> Held:
    size = len(devices)
    recovery_empty = rng.random(size, np.float32) < RATES.recovery_cell_empty.rate
    devices.planted.plant("recovery_cell_empty", recovery_empty)
    return Held(
        operator=operator_cells(rng, devices, path, month),
        revoked=revoked_certificates(rng, devices, month),
        recovery_empty=recovery_empty,
        keys_replaced=path.done[:, 2:4],
        supplier_followed=np.where(devices.later_change < NEVER, changes.later, changes.early),
    )


def operator_cells(rng, devices: Devices, path: Pathway, month: int) -> np.ndarray:
    drawn = rng.random((2, len(devices)), np.float32)
    wrong = drawn[0] < parties.trait("wrong_operator", month)[devices.supplier]
    empty = drawn[1] < RATES.operator_cell_empty.rate
    updated = path.done[:, UPDATE_OPERATOR]
    held = devices.has_operator_cell & (path.met[:, UPDATE_OPERATOR] < NEVER) & ~path.dcc_credentials
    devices.planted.plant("wrong_operator", held & wrong)
    devices.planted.plant("operator_cell_empty", held & ~wrong & empty)
    return np.select(
        [held & wrong, held & empty, updated, path.dcc_credentials],
        [WRONG_OPERATOR, EMPTY_CELL, RIGHT, DCCS],
        SUPPLIERS,
    ).astype(np.int8)


def revoked_certificates(rng, devices: Devices, month: int) -> np.ndarray:
    by_supplier = parties.trait("revoked", month)[devices.supplier]
    hub = devices.type == CHF
    revoked = rng.random(len(devices), np.float32) < np.where(hub, RATES.hub_certificate_revoked.rate, by_supplier)
    devices.planted.plant("hub_certificate_revoked", revoked & hub)
    devices.planted.plant("revoked_certificate", revoked & ~hub)
    return revoked


def read(rng, devices: Devices, path: Pathway, changes: Changes, held: Held, month: int, horizon: int) -> list[Rows]:
    reader = Reader(rng, devices, held, changes, month, horizon)
    after_steps, after_change = reader.times(path.ended)
    return [reader.readings(after_steps), reader.readings(after_change)]


class Reader:
    def __init__(self, rng, devices: Devices, held: Held, changes: Changes, month: int, horizon: int):
        self.rng, self.devices, self.held, self.changes, self.horizon = rng, devices, held, changes, horizon
        self.coverage = parties.trait("coverage", month)
        self.key_reads = parties.trait("key_reads", month)

    def uniform(self, size: int) -> np.ndarray:
        return self.rng.random(size, np.float32)

    def later(self, size: int) -> np.ndarray:
        days = self.rng.standard_exponential(size, np.float32) * np.float32(RATES.reading.mean_days)
        return (days * np.float32(DAY_MS)).astype(np.int64) + 6 * HOUR_MS

    def times(self, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        devices, size = self.devices, len(self.devices)
        after_steps = ended + self.later(size)
        too_early = self.uniform(size) < RATES.reading.too_early
        after_steps = np.where(too_early, devices.commissioned + HOUR_MS // 20, after_steps)
        after_change = np.where(
            self.changes.settled < NEVER, np.maximum(self.changes.settled, ended) + self.later(size), NEVER
        )
        unreadable = ~devices.in_use | devices.wan_lost
        after_steps[unreadable | (after_steps >= after_change)] = NEVER
        after_change[unreadable] = NEVER
        return after_steps, after_change

    def readings(self, when: np.ndarray) -> Rows:
        """Rows of one reading of each Device that has a time before the horizon."""
        place = np.flatnonzero(when < self.horizon - 10 * 60_000)
        supplier = self.devices.supplier_at(when)[place]
        wanted = self.wanted_cells(place, supplier)
        subject, version, status = self.contents(place, when[place], supplier)
        slots = np.flatnonzero(wanted)
        cell = slots % CELLS
        row = slots // CELLS
        device = place[row]
        subject, status = subject.ravel()[slots], status.ravel()[slots]
        key = certificate(subject, CELL_USAGE[cell], version.ravel()[slots])
        answered = status == 0
        # The roles are read one after the other, a few seconds apart.
        return {
            "device": device,
            "read": when[place][row] + cell * 3_100,
            "role": CELL_ROLE[cell],
            "usage": CELL_USAGE[cell],
            "status": status,
            "subject": np.where(answered, subject, -1),
            "key": np.where(answered, key, -1),
        }

    def wanted_cells(self, place: np.ndarray, supplier: np.ndarray) -> np.ndarray:
        rates, size = RATES.reading, len(place)
        devices = self.devices
        troubled = devices.planted.bits[place] != 0
        coverage = self.coverage[supplier]
        coverage = np.where(troubled, coverage + (1 - coverage) * rates.more_after_trouble, coverage)
        drawn = self.uniform(size)
        full = drawn < coverage
        partly = ~full & (drawn < coverage + (1 - coverage) * rates.partly)
        wanted = HELD[devices.type[place]] & (full | partly)[:, None]
        wanted[partly, 2:] = False
        wanted[:, KEYS] = (full & (self.uniform(size) < self.key_reads[supplier]))[:, None]
        wanted[:, EXTRA_CELL] = full & (self.uniform(size) < rates.extra_cell)
        return wanted

    def contents(self, place, when, supplier) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Owner and version of the certificate in each cell, and the status of reading it."""
        devices, held = self.devices, self.held
        subject = np.empty((len(place), CELLS), np.int64)
        subject[:, :2] = self.cell_supplier(place, when, supplier)[:, None]
        subject[:, OPERATOR_CELLS] = self.cell_operator(place)[:, None]
        subject[:, ACB_CELLS] = (parties.first_eui("ACB") + devices.premises[place] % 2)[:, None]
        subject[:, RECOVERY_CELL] = parties.first_eui("Recovery")
        subject[:, KEYS] = (len(parties.all_euis()) + devices.number[place])[:, None]
        subject[:, EXTRA_CELL] = parties.first_eui("TransCoS")
        version = np.zeros(subject.shape, np.int8)
        version[:, KEYS] = np.where(held.keys_replaced[place], IN_USE, BEFORE)
        hub = devices.type[place] == CHF
        version[:, 0] = held.revoked[place] & ~hub
        version[:, 4] = held.revoked[place] & hub
        status = np.zeros(subject.shape, np.int8)
        status[:, RECOVERY_CELL] = held.recovery_empty[place]
        status[:, 3] = np.where(held.operator[place] == EMPTY_CELL, 2, 0)
        return subject, version, status

    def cell_supplier(self, place, when, supplier) -> np.ndarray:
        """The supplier whose certificates are there: the one before, where a 6.23 did not work."""
        devices, changes = self.devices, self.changes
        after_early = np.where(
            (when >= devices.early_change[place]) & changes.early[place],
            devices.supplier_after_early[place],
            devices.supplier[place],
        )
        followed = changes.later[place] | (when < devices.later_change[place])
        later = when >= devices.later_change[place]
        chosen = np.where(later & followed, devices.supplier_after_later[place], after_early)
        return parties.supplier_euis(chosen, devices.premises[place])

    def cell_operator(self, place: np.ndarray) -> np.ndarray:
        devices, held = self.devices, self.held.operator[place]
        network, premises = devices.network[place], devices.premises[place]
        acb = parties.first_eui("ACB") + premises % 2
        is_user = parties.network_trait("is_dcc_user", True)[network]
        right = np.where(is_user, parties.network_euis(network, premises), acb)
        return np.select(
            [held == SUPPLIERS, held == DCCS, held == WRONG_OPERATOR],
            [
                parties.supplier_euis(devices.supplier[place], premises),
                acb,
                parties.network_euis(neighbour(network), premises),
            ],
            right,
        )


def neighbour(network: np.ndarray) -> np.ndarray:
    """Another operator of the same fuel."""
    electricity, gas = len(parties.ELECTRICITY), len(parties.GAS)
    return np.where(network < electricity, (network + 1) % electricity, electricity + (network - electricity + 1) % gas)

"""The Post Commissioning steps of each Device, what came back, and what the Device then holds.

A step is sent once; whatever has no success may be sent again. The first attempts are one (Devices, steps) array; what
goes wrong is sparse, and is followed attempt by attempt.
"""

from dataclasses import dataclass

import numpy as np

from data.estate import parties, products
from data.estate.mechanisms import RATES
from data.estate.premises import HOUR_MS, NEVER, Devices
from data.estate.rows import Gathered, Rows

SRVS = ["6.17", "6.15.2", "6.15.1", "6.21", "6.23"]
CREDENTIALS = ["Digital Signature", "Key Agreement"]
ROLES = ["NetworkOperator", "Supplier"]
CODES = ["I0", "I99", "E20", "E21", "E30", "E4", "E5", "E12", "E061501"]
STATUSES = ["success", "failure", "partial", ""]
RESPONSES = {
    "device": "i4",
    "originator": "i2",
    "counter": "u8",
    "srv": "i1",
    "variant": "i1",
    "credential": "i1",
    "role": "i1",
    "sent": "i8",
    "responded": "i8",
    "code": "i1",
    "status": "i1",
}
STEPS = 5
UPDATE_OPERATOR = 4
STEP_SRV = np.array([0, 0, 1, 1, 2], np.int8)
STEP_CREDENTIAL = np.array([0, 1, 0, 1, -1], np.int8)
STEP_ROLE = np.array([-1, -1, -1, -1, 0], np.int8)
HANDOVER_SRV, COS_SRV = 3, 4
OPERATOR, SUPPLIER = 0, 1

SUCCESS, LOST, EMPTY, FAILED, REJECTED = range(5)
OUTCOME_NAMES = ["", "response_lost", "empty_status", "command_failed", "request_rejected"]
EXECUTED = np.array([1.0, *(getattr(RATES, name).executed for name in OUTCOME_NAMES[1:])], np.float32)
AGAIN = np.array([0.0, *(getattr(RATES, name).again for name in OUTCOME_NAMES[1:])], np.float32)
RETRIED = np.array([0.0, *(getattr(RATES, name).retried for name in OUTCOME_NAMES[1:])], np.float32)
MOST_RETRIES = 3

LOST_CODES = np.array([-1, -1, -1, 1, 2, 2, 3, 3, 4], np.int8)
REJECTED_CODES = np.array([5, 5, 6, 6, 7, 8], np.int8)


@dataclass
class Pathway:
    """met: time of each step's success. done: whether it took effect. ended: when the last attempt was over."""

    met: np.ndarray
    done: np.ndarray
    ended: np.ndarray
    dcc_credentials: np.ndarray
    parts: list[Rows]


def walk(rng: np.random.Generator, devices: Devices, month: int, horizon: int) -> Pathway:
    return Walk(rng, devices, month, horizon).pathway()


class Walk:
    def __init__(self, rng: np.random.Generator, devices: Devices, month: int, horizon: int):
        self.rng, self.devices, self.month, self.horizon = rng, devices, month, horizon
        self.persistence = parties.trait("persistence", month)
        self.chances = first_chances(devices, month)
        self.extra = Gathered(RESPONSES)
        self.originator = parties.supplier_euis(devices.supplier, devices.premises)

    def pathway(self) -> Pathway:
        self.first_attempts()
        self.keep_what_it_came_with()
        self.follow_troubles()
        self.hand_over()
        self.take_up_after_change()
        parts = [self.first_rows(), self.extra.rows()]
        return Pathway(self.met, self.done, self.ended, self.dcc_credentials, parts)

    def first_attempts(self) -> None:
        size = (len(self.devices), STEPS)
        latency = self.latency_ms(size)
        gap = self.rng.integers(20_000, 600_000, size, np.int32).astype(np.int64)
        gap[:, 1:] += latency[:, :-1]
        gap[:, 0] += self.devices.pace
        self.sent = np.cumsum(gap, axis=1)
        self.sent += self.devices.commissioned[:, None]
        self.responded = self.sent + latency
        self.active = self.steps_taken()
        self.ended = np.where(self.active.any(axis=1), self.responded[:, -1], self.devices.commissioned)
        self.met = np.where(self.active & (self.responded < self.horizon), self.responded, NEVER)
        self.done = self.active.copy()

    def latency_ms(self, size) -> np.ndarray:
        """Log-normal, median 14 s, at most 6 hours."""
        seconds = np.exp(self.rng.standard_normal(size, np.float32) * np.float32(1.1)) * np.float32(14)
        return np.minimum(seconds * np.float32(1000), np.float32(6 * HOUR_MS)).astype(np.int64)

    def steps_taken(self) -> np.ndarray:
        devices = self.devices
        active = self.sent < devices.early_change[:, None]
        active &= devices.in_use[:, None]
        devices.planted.plant("change_of_supplier", ~active.all(axis=1) & devices.in_use)
        active &= self.sent < self.horizon
        self.dcc_credentials = self.with_dcc_credentials()
        active[:, UPDATE_OPERATOR] &= devices.has_operator_cell & ~self.dcc_credentials
        self.stop_stalled(active)
        self.omit_steps(active)
        return active

    def with_dcc_credentials(self) -> np.ndarray:
        devices = self.devices
        chance = parties.network_trait("dcc_credentials", RATES.dcc_credentials.rate)[devices.network]
        found = (self.uniform() < chance) & devices.has_operator_cell & devices.in_use
        devices.planted.plant("dcc_credentials", found)
        return found

    def uniform(self, size: int | None = None) -> np.ndarray:
        return self.rng.random(len(self.devices) if size is None else size, np.float32)

    def stop_stalled(self, active: np.ndarray) -> None:
        stalled = np.flatnonzero(self.devices.stalled)
        stops_at = self.rng.integers(0, STEPS, len(stalled))
        active[stalled] &= np.arange(STEPS) < stops_at[:, None]

    def omit_steps(self, active: np.ndarray) -> None:
        omitted = np.flatnonzero(self.uniform() < RATES.step_omitted.rate)
        step = self.rng.integers(0, STEPS, len(omitted))
        omitted, step = omitted[active[omitted, step]], step[active[omitted, step]]
        active[omitted, step] = False
        self.devices.planted.plant("step_omitted", omitted)

    def keep_what_it_came_with(self) -> None:
        """A step that nobody took leaves the Device as it came, which is often right."""
        stalled = self.devices.stalled
        right = np.where(stalled, RATES.change_of_supplier.executed, RATES.step_omitted.executed)
        came_right = self.uniform() < right
        self.done |= ~self.active & came_right[:, None]
        self.done[self.dcc_credentials, UPDATE_OPERATOR] = False

    def follow_troubles(self) -> None:
        drawn = self.rng.random(self.active.shape, np.float32)
        troubled = (drawn < self.chances[-1][:, None]) & self.active
        device, step = np.nonzero(troubled)
        outcome = self.first_outcome(device, drawn[device, step])
        self.met[device, step] = NEVER
        self.done[device, step] = False
        sent = self.sent[device, step]
        answer = self.responses(step, outcome, sent, self.responded[device, step] - sent)
        self.first_troubles = (device, step, answer)
        self.settle_attempts(device, step, outcome, sent, answer[0])
        for _ in range(MOST_RETRIES):
            again = self.tried_again(device, outcome)
            device, step, outcome, sent = device[again], step[again], outcome[again], sent[again]
            device, step, outcome, sent = self.retry(device, step, outcome, sent)

    def first_outcome(self, device: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        outcome = LOST + sum((drawn >= running[device]).astype(np.int8) for running in self.chances[:-1])
        outcome[self.devices.wan_lost[device]] = LOST
        return outcome

    def record(self, device: np.ndarray, step: np.ndarray, outcome: np.ndarray) -> None:
        """What an attempt without success leaves on the Device."""
        executed = self.uniform(len(device)) < EXECUTED[outcome]
        executed &= ~self.devices.wan_lost[device]
        self.done[device, step] |= executed
        for code in (LOST, EMPTY, FAILED, REJECTED):
            self.devices.planted.plant(OUTCOME_NAMES[code], device[outcome == code])

    def tried_again(self, device: np.ndarray, outcome: np.ndarray) -> np.ndarray:
        chance = self.persistence[self.devices.supplier[device]] * RETRIED[outcome]
        return self.uniform(len(device)) < chance

    def retry(self, device, step, outcome, sent) -> tuple:
        size = len(device)
        sent = sent + self.rng.integers(10 * HOUR_MS, 55 * HOUR_MS, size)
        devices = self.devices
        kept = sent < np.minimum(devices.early_change[device], self.horizon)
        device, step, outcome, sent = device[kept], step[kept], outcome[kept], sent[kept]
        again = AGAIN[outcome]
        firmware = products.values("empty_status")[devices.product[device]] > 0
        again = np.where(firmware & (outcome == EMPTY), 0.9, again)
        again = np.where(devices.wan_lost[device], 1.0, again)
        outcome = np.where(self.uniform(len(device)) < again, outcome, SUCCESS).astype(np.int8)
        responded, code, status = self.responses(step, outcome, sent, self.latency_ms(len(device)))
        self.add_attempts(device, step, sent, responded, code, status, self.originator[device])
        self.settle_attempts(device, step, outcome, sent, responded)
        troubled = outcome != SUCCESS
        return device[troubled], step[troubled], outcome[troubled], sent[troubled]

    def settle_attempts(self, device, step, outcome, sent, responded) -> None:
        good = outcome == SUCCESS
        self.met[device[good], step[good]] = responded[good]
        self.record(device, step, outcome)
        np.maximum.at(self.ended, device, np.where(responded < NEVER, responded, sent))

    def responses(self, step, outcome, sent, latency) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Time, code and status of the Response to each attempt."""
        size = len(outcome)
        code = np.zeros(size, np.int8)
        code = np.where(outcome == LOST, LOST_CODES[self.rng.integers(0, len(LOST_CODES), size)], code)
        code = np.where(outcome == REJECTED, REJECTED_CODES[self.rng.integers(0, len(REJECTED_CODES), size)], code)
        status = np.full(size, -1, np.int8)
        status[outcome == SUCCESS] = 0
        status[outcome == FAILED] = 1
        partly = (outcome == FAILED) & (step == UPDATE_OPERATOR) & (self.uniform(size) < 0.15)
        status[partly] = 2
        status[(outcome == EMPTY) & (self.uniform(size) < 0.5)] = 3
        waits = np.where(code >= 2, self.rng.integers(HOUR_MS // 2, 9 * HOUR_MS, size), latency)
        responded = sent + np.where(outcome == LOST, waits, latency)
        unknown = (code < 0) | (responded >= self.horizon)
        return (
            np.where(unknown, NEVER, responded),
            np.where(unknown, np.int8(-1), code).astype(np.int8),
            np.where(unknown, np.int8(-1), status),
        )

    def add_attempts(self, device, step, sent, responded, code, status, originator) -> None:
        """Both halves of a critical request: the Pre-Command asked for, then sent signed."""
        common = {
            "device": device,
            "originator": originator,
            "counter": counters(sent, originator),
            "srv": STEP_SRV[step],
            "credential": STEP_CREDENTIAL[step],
            "role": STEP_ROLE[step],
        }
        self.extra.add(**common, variant=4, sent=sent - 14_000, responded=sent - 11_000, code=0, status=-1)
        self.extra.add(**common, variant=5, sent=sent, responded=responded, code=code, status=status)

    def hand_over(self) -> None:
        """Where the cells hold the DCC's credentials: a 6.15.1 that fails, and then a 6.21, or neither."""
        place = np.flatnonzero(self.dcc_credentials & ~self.devices.stalled & ~self.devices.wan_lost)
        when = self.responded[place, UPDATE_OPERATOR] + self.rng.integers(HOUR_MS, 30 * HOUR_MS, len(place))
        when_in_time = when < np.minimum(self.devices.early_change[place], self.horizon) - 60 * HOUR_MS
        place, when = place[when_in_time], when[when_in_time]
        tried = self.uniform(len(place)) < RATES.dcc_credentials.attempted
        self.attempt_operator(place[tried], when[tried], FAILED)
        asked = self.uniform(len(place)) < RATES.handover.rate
        self.request_handover(place[asked], when[asked] + 5 * HOUR_MS)

    def attempt_operator(self, place: np.ndarray, when: np.ndarray, result: int) -> None:
        step = np.full(len(place), UPDATE_OPERATOR)
        outcome = np.full(len(place), result, np.int8)
        responded, code, status = self.responses(step, outcome, when, self.latency_ms(len(place)))
        if result == FAILED:
            status[:] = np.where(code < 0, -1, 1)
        self.add_attempts(place, step, when, responded, code, status, self.originator[place])
        self.settle_attempts(place, step, outcome, when, responded)

    def request_handover(self, place: np.ndarray, when: np.ndarray) -> None:
        rates, drawn = RATES.handover, self.uniform(len(place))
        outcome = np.select([drawn < rates.lost, drawn < rates.lost + rates.failed], [LOST, FAILED], SUCCESS)
        step = np.zeros(len(place), np.int8)
        responded, code, status = self.responses(step, outcome, when, self.latency_ms(len(place)))
        self.extra.add(
            device=place, originator=self.originator[place], counter=counters(when, self.originator[place]),
            srv=HANDOVER_SRV, variant=1, credential=-1, role=OPERATOR,
            sent=when, responded=responded, code=code, status=status,
        )  # fmt: skip
        executed = (outcome == SUCCESS) | ((outcome == LOST) & (self.uniform(len(place)) < rates.executed))
        self.done[place[executed], UPDATE_OPERATOR] = True
        self.devices.planted.plant("handover", place[executed])
        np.maximum.at(self.ended, place, np.where(responded < NEVER, responded, when))
        updated = executed & (self.uniform(len(place)) < rates.followed_by_update)
        self.attempt_operator(place[updated], when[updated] + 8 * HOUR_MS, SUCCESS)

    def take_up_after_change(self) -> None:
        """The gaining supplier now and then takes the steps that remain."""
        devices = self.devices
        willing = self.uniform() < RATES.change_of_supplier.taken_up
        takes = np.flatnonzero(devices.stalled & devices.in_use & ~devices.wan_lost & willing)
        remaining = ~self.active[takes]
        remaining[:, UPDATE_OPERATOR] &= devices.has_operator_cell[takes] & ~self.dcc_credentials[takes]
        row, step = np.nonzero(remaining)
        place = takes[row]
        sent = devices.early_change[place] + self.rng.integers(12 * HOUR_MS, 60 * HOUR_MS, len(place))
        kept = sent < self.horizon
        place, step, sent = place[kept], step[kept], sent[kept]
        outcome = np.zeros(len(place), np.int8)
        responded, code, status = self.responses(step, outcome, sent, self.latency_ms(len(place)))
        originator = parties.supplier_euis(devices.supplier_after_early[place], devices.premises[place])
        self.add_attempts(place, step, sent, responded, code, status, originator)
        self.done[place, step] = True
        self.settle_attempts(place, step, outcome, sent, responded)

    def first_rows(self) -> Rows:
        """Both halves of every first attempt, a Device's rows together."""
        responded = np.empty((len(self.devices), STEPS, 2), np.int64)
        responded[:, :, 1] = self.responded
        code = np.zeros(responded.shape, np.int8)
        status = np.full(responded.shape, -1, np.int8)
        status[:, :, 1] = 0
        sent = np.empty(responded.shape, np.int64)
        sent[:, :, 1] = self.sent
        sent[:, :, 0] = self.sent - 14_000
        responded[:, :, 0] = sent[:, :, 0] + 2_500
        self.spoil(responded, code, status)
        slots = np.flatnonzero(np.repeat(self.active.ravel(), 2))
        device = (slots // (2 * STEPS)).astype(np.int32)
        half = slots % (2 * STEPS)
        step = half >> 1
        originator = self.originator[device]
        return {
            "device": device,
            "originator": originator,
            "counter": counters(self.sent.ravel()[slots >> 1], originator),
            "srv": STEP_SRV[step],
            "variant": (4 + (half & 1)).astype(np.int8),
            "credential": STEP_CREDENTIAL[step],
            "role": STEP_ROLE[step],
            "sent": sent.ravel()[slots],
            "responded": responded.ravel()[slots],
            "code": code.ravel()[slots],
            "status": status.ravel()[slots],
        }

    def spoil(self, responded: np.ndarray, code: np.ndarray, status: np.ndarray) -> None:
        device, step, answer = self.first_troubles
        responded[device, step, 1], code[device, step, 1], status[device, step, 1] = answer
        late = responded >= self.horizon
        responded[late] = NEVER
        code[late] = -1
        status[late] = -1


def counters(sent: np.ndarray, originator: np.ndarray) -> np.ndarray:
    """Time in ms above 20 bits; every eighth originator uses the top bit, which a signed integer loses."""
    return (sent.astype(np.uint64) << np.uint64(20)) | ((originator % 8 == 0).astype(np.uint64) << np.uint64(63))


def first_chances(devices: Devices, month: int) -> list[np.ndarray]:
    """Running chance, a Device, that a first Response is lost, empty, a failure, a rejection."""
    lost = RATES.response_lost.rate * lost_factor(devices, month)
    empty = RATES.empty_status.rate + products.values("empty_status")[devices.product]
    running = [lost, lost + empty]
    running.append(running[-1] + RATES.command_failed.rate)
    running.append(running[-1] + RATES.request_rejected.rate)
    running[-1] = np.where(devices.wan_lost, 1.0, running[-1])
    return [chance.astype(np.float32) for chance in running]


def lost_factor(devices: Devices, month: int) -> np.ndarray:
    north = devices.region == parties.REGIONS.index(RATES.winter.region)
    winter = month % 12 + 1 in RATES.winter.months
    weak = np.array([product["model"] == RATES.hub_weakness.model for product in products.PRODUCTS])
    factor = np.where(north & winter, RATES.winter.factor, 1.0)
    return factor * np.where(weak[devices.product], RATES.hub_weakness.factor, 1.0)

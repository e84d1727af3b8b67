"""The Smart Metering Inventory, the certificates of Devices and parties, and the planted truth."""

import numpy as np
import pyarrow as pa

from data.estate import cells, parties, premises
from data.estate.cells import Held
from data.estate.mechanisms import PLANTED, RATES
from data.estate.premises import NEVER, Devices
from data.estate.rows import Rows
from data.estate.write import Texts, coded

PARTY_USAGES = {
    "Supplier": [0, 1, 2],
    "NetworkOperator": [0, 1],
    "ACB": [0, 1],
    "Recovery": [0],
    "TransCoS": [0],
    "Root": [3],
}


def device_rows(rng: np.random.Generator, devices: Devices) -> Rows:
    size = len(devices)
    nobody = rng.random(size, np.float32) < RATES.inventory.no_operator
    now = devices.supplier_at(np.full(size, NEVER - 1))
    return {
        "device": np.arange(size, dtype=np.int32),
        "type": devices.type,
        "status": devices.status,
        "region": devices.region,
        "product": devices.product,
        "commissioned": np.where(devices.in_use, devices.commissioned, NEVER),
        "supplier": now.astype(np.int16),
        "network": np.where(nobody, -1, devices.network).astype(np.int16),
    }


def device_certificates(devices: Devices, held: Held) -> Rows:
    """Two in use a Device, and the one before it where it was never replaced: revoked all the same."""
    kept, usage = np.nonzero(~held.keys_replaced & devices.in_use[:, None])
    new = devices.number.repeat(2)
    owner = np.concatenate([new, devices.number[kept]]) + len(parties.all_euis())
    return {
        "owner": owner,
        "role": np.full(len(owner), cells.ROLES.index("Device"), np.int8),
        "usage": np.concatenate([np.tile(np.array([0, 1]), len(devices)), usage]).astype(np.int8),
        "version": np.repeat(np.array([0, 1], np.int8), [len(new), len(kept)]),
    }


def party_certificates() -> Rows:
    """One in use and one revoked for each EUI and usage."""
    rows = [
        (owner, cells.ROLES.index(eui.role), usage, version)
        for owner, eui in enumerate(parties.all_euis())
        for usage in PARTY_USAGES[eui.role]
        for version in (0, 1)
    ]
    owner, role, usage, version = np.array(rows).T
    return {
        "owner": owner,
        "role": role.astype(np.int8),
        "usage": usage.astype(np.int8),
        "version": version.astype(np.int8),
    }


def truth(devices: Devices, held: Held, text: Texts) -> pa.Table:
    """What was planted in each Device, and what it truly holds at the end."""
    bits = devices.planted.bits[:, None] >> np.arange(len(PLANTED), dtype=np.uint32) & 1
    offsets = np.concatenate([[0], np.cumsum(bits.sum(axis=1))]).astype(np.int32)
    names = coded(np.nonzero(bits)[1].astype(np.int8), PLANTED)
    operator = np.where(devices.has_operator_cell, held.operator, -1).astype(np.int8)
    return pa.table(
        {
            "device_id": text.device(devices.number),
            "device_type": coded(devices.type, premises.TYPES),
            "mechanisms": pa.ListArray.from_arrays(pa.array(offsets), names),
            "cells_right": pa.array(held.right(devices)),
            "keys_replaced": pa.array(held.keys_replaced.all(axis=1)),
            "operator_cell": coded(operator, cells.OPERATOR_CELL_NAMES),
        }
    )

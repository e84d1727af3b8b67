"""What goes wrong, as `mechanisms.toml` tells it."""

import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np

TABLE = tomllib.loads(Path(__file__).with_name("mechanisms.toml").read_text())
RATES = SimpleNamespace(**{name: SimpleNamespace(**block) for name, block in TABLE.items()})

# What the planted truth can name, in the order of its list; a bit each.
PLANTED = [
    "response_lost",
    "empty_status",
    "command_failed",
    "request_rejected",
    "step_omitted",
    "change_of_supplier",
    "later_change_of_supplier",
    "cos_update_failed",
    "dcc_credentials",
    "handover",
    "wrong_operator",
    "revoked_certificate",
    "operator_cell_empty",
    "wan_lost",
    "recovery_cell_empty",
    "hub_certificate_revoked",
    "check_not_passed",
]
BIT = {name: np.uint32(1 << place) for place, name in enumerate(PLANTED)}


class Planted:
    """The mechanisms that each Device of a block met."""

    def __init__(self, devices: int):
        self.bits = np.zeros(devices, np.uint32)

    def plant(self, name: str, which: np.ndarray) -> None:
        """`which`: Devices as a mask or as places, in which one may stand twice."""
        self.bits[which] |= BIT[name]

"""Suppliers, network operators and the DCC: who they are, and how each behaves."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from data.estate.growth import month_number

TABLE = tomllib.loads(Path(__file__).with_name("parties.toml").read_text())
SUPPLIERS = TABLE["parties"]["suppliers"]
ELECTRICITY = TABLE["parties"]["electricity_networks"]
GAS = TABLE["parties"]["gas_networks"]
NETWORKS = ELECTRICITY + GAS
DCC = TABLE["parties"]["dcc"]
REGIONS = ["North", "Central", "South"]


@dataclass(frozen=True)
class Eui:
    """EUI-64 of a party in one role, by its place in the list of all of them."""

    party_id: str
    party_name: str
    category: str
    role: str
    is_dcc_user: bool


@cache
def all_euis() -> list[Eui]:
    dcc = [
        Eui(DCC["id"], DCC["name"], "DCC", role, True)
        for role in ("ACB", "Recovery", "TransCoS", "Root")
        for _ in range(DCC[role])
    ]
    suppliers = [
        Eui(party["id"], party["name"], f"{party['size']} Supplier", "Supplier", True)
        for party in SUPPLIERS
        for _ in range(party["euis"])
    ]
    networks = [
        Eui(party["id"], party["name"], category, "NetworkOperator", party.get("is_dcc_user", True))
        for category, parties in (("Electricity Network Party", ELECTRICITY), ("Gas Network Party", GAS))
        for party in parties
        for _ in range(party["euis"])
    ]
    return dcc + suppliers + networks


@cache
def first_eui(role: str) -> int:
    return next(place for place, eui in enumerate(all_euis()) if eui.role == role)


def counts(parties: list[dict]) -> np.ndarray:
    return np.array([party["euis"] for party in parties])


def euis_of(parties: list[dict], role: str, chosen: np.ndarray, premises: np.ndarray) -> np.ndarray:
    """One of the chosen party's EUIs in the role, always the same one at a premises."""
    held = counts(parties)
    first = first_eui(role) + np.cumsum(held) - held
    return (first[chosen] + premises % held[chosen]).astype(np.int16)


def supplier_euis(chosen: np.ndarray, premises: np.ndarray) -> np.ndarray:
    return euis_of(SUPPLIERS, "Supplier", chosen, premises)


def network_euis(chosen: np.ndarray, premises: np.ndarray) -> np.ndarray:
    return euis_of(NETWORKS, "NetworkOperator", chosen, premises)


def shares(parties: list[dict]) -> np.ndarray:
    """Running share, for drawing a party with one uniform number."""
    running = np.cumsum([party["share"] for party in parties])
    return running / running[-1]


def trait(name: str, month: int) -> np.ndarray:
    """The trait of each supplier in a month."""
    return np.array([supplier_trait(party, name, month) for party in SUPPLIERS])


def supplier_trait(party: dict, name: str, month: int) -> float:
    early = party.get(name, TABLE["traits"][party["size"]][name])
    if f"{name}_late" not in party:
        return early
    start, end = (month_number(when) for when in TABLE["improves"])
    done = min(1.0, max(0.0, (month - start) / (end - start)))
    return early + done * (party[f"{name}_late"] - early)


def network_trait(name: str, default: float) -> np.ndarray:
    return np.array([party.get(name, default) for party in NETWORKS])

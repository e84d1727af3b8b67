"""Manufacturers, models and firmware, and when each was installed."""

import tomllib
from pathlib import Path

import numpy as np

from data.estate.growth import month_number

PRODUCTS = tomllib.loads(Path(__file__).with_name("products.toml").read_text())["products"]


def installed(kind: str, month: int, region: str | None = None) -> np.ndarray:
    return np.array([place for place, product in enumerate(PRODUCTS) if fits(product, kind, month, region)])


def fits(product: dict, kind: str, month: int, region: str | None) -> bool:
    begun = month_number(product["from"]) <= month
    ended = "until" in product and month > month_number(product["until"])
    return product["kind"] == kind and begun and not ended and region in (None, *product.get("regions", []))


def draw(rng: np.random.Generator, size: int, kind: str, month: int, region: str | None = None) -> np.ndarray:
    places = installed(kind, month, region)
    running = np.cumsum([PRODUCTS[place]["share"] for place in places])
    return places[np.searchsorted(running / running[-1], rng.random(size, np.float32))].astype(np.int8)


def values(name: str, default: float = 0.0) -> np.ndarray:
    return np.array([product.get(name, default) for product in PRODUCTS])

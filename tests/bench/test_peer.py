"""The benchmark compares like with like: the pandas peer's outcomes are the product's, column by column."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from analysis.pipeline import build
from data.estate import generate
from data.export import outcomes_frame

PEER = Path(__file__).with_name("pandas_peer.py")
DEVICES = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    generate(folder / "extracts", devices=DEVICES, seed=7)
    return folder


@pytest.fixture(scope="module")
def of_product(folder):
    frame = outcomes_frame(build(folder / "extracts", folder / "marts"))
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    return frame.with_columns(pl.col(lists).list.join("; ")).sort("device_id")


@pytest.fixture(scope="module")
def of_peer(folder, of_product):
    subprocess.run([sys.executable, PEER, folder / "extracts", folder / "peer.parquet"], check=True)
    frame = pl.read_parquet(folder / "peer.parquet")
    return frame.select(pl.col(name).cast(kind) for name, kind in of_product.schema.items()).sort("device_id")


def test_the_peer_has_the_same_devices(of_product, of_peer):
    assert of_peer["device_id"].to_list() == of_product["device_id"].to_list()


def test_every_column_of_the_peer_equals_the_products(of_product, of_peer):
    different = [name for name in of_product.columns if of_peer[name].ne_missing(of_product[name]).any()]
    assert different == []


@pytest.mark.parametrize("column", ["reported", "actual", "device_keys", "finding", "cause"])
def test_the_estate_holds_more_than_one_verdict(of_product, column):
    assert of_product[column].n_unique() > 2

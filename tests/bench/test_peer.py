"""The benchmark compares like with like: each peer's outcomes are those of `pco export outcomes`, column by column."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from data.estate import generate

BENCH = Path(__file__).parent
PCO = [sys.executable, "-c", "from dashboard.cli import main; main()"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def of_product(folder, demonstration, demonstration_home):
    file = folder / "outcomes.parquet"
    subprocess.run([*PCO, "export", "outcomes", "--marts", demonstration_home / "marts", "--to", file], check=True)
    frame = pl.read_parquet(file)
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    return frame.with_columns(pl.col(lists).list.join("; ")).sort("device_id")


@pytest.fixture(scope="module", params=["pandas", "polars", "datafusion"])
def peer(request):
    """The library that a peer is written in; its tests are skipped where it is not installed."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed: pip install -e '.[dev]'")
    return request.param


@pytest.fixture(scope="module")
def of_peer(peer, folder, demonstration_home, of_product):
    frame = outcomes_of(peer, demonstration_home / "extracts", folder)
    return frame.select(pl.col(name).cast(kind) for name, kind in of_product.schema.items())


def run(peer: str, extracts: Path, to: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, BENCH / f"{peer}_peer.py", extracts, to], text=True, stderr=subprocess.PIPE, check=False
    )


def outcomes_of(peer: str, extracts: Path, folder: Path) -> pl.DataFrame:
    file = folder / f"{peer}.parquet"
    file.unlink(missing_ok=True)
    ran = run(peer, extracts, file)
    assert (ran.returncode, ran.stderr) == (0, "")
    return pl.read_parquet(file).sort("device_id")


def test_the_peer_has_the_same_devices(of_product, of_peer):
    assert of_peer["device_id"].to_list() == of_product["device_id"].to_list()


def test_every_column_of_the_peer_equals_the_products(of_product, of_peer):
    different = [name for name in of_product.columns if of_peer[name].ne_missing(of_product[name]).any()]
    assert different == []


@pytest.mark.parametrize("column", ["reported", "actual", "device_keys", "finding", "cause"])
def test_the_estate_holds_more_than_one_verdict(of_product, column):
    assert of_product[column].n_unique() > 2


def test_the_estate_holds_rows_that_break_the_contract(demonstration_home):
    rows = pl.scan_parquet(demonstration_home / "extracts/service_responses/**/*.parquet", hive_partitioning=False)
    malformed = ~pl.col("device_id").str.contains("^([0-9A-F]{2}-){7}[0-9A-F]{2}$")
    assert rows.select(malformed.any()).collect().item()


def test_a_second_copy_of_every_row_changes_no_outcome_of_the_peer(peer, tmp_path):
    generate(tmp_path / "extracts", devices=1_000, seed=7)
    once = outcomes_of(peer, tmp_path / "extracts", tmp_path)
    for file in sorted((tmp_path / "extracts").rglob("*.parquet")):
        shutil.copy(file, file.with_stem(f"{file.stem}-again"))
    twice = outcomes_of(peer, tmp_path / "extracts", tmp_path)
    assert once.height > 900
    assert twice.equals(once)


def test_the_peer_refuses_an_extract_of_which_too_many_rows_are_bad(peer, tmp_path):
    generate(tmp_path / "extracts", devices=200, seed=7)
    for file in sorted((tmp_path / "extracts" / "dsp_checks").rglob("*.parquet")):
        rows = pl.read_parquet(file, hive_partitioning=False)
        rows.with_columns(pl.col("device_id").str.to_lowercase()).write_parquet(file)
    ran = run(peer, tmp_path / "extracts", tmp_path / "outcomes.parquet")
    assert (ran.returncode, ran.stderr) == (1, "dsp_checks: too many rows break the contract\n")
    assert not (tmp_path / "outcomes.parquet").exists()

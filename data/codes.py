"""Texts of outcomes as codes (polars' Categorical): those are grouped, sorted, gathered and written in about half the
time. In a Parquet file they are texts all the same, but polars reads them back as codes."""

from typing import TypeVar

import polars as pl
import polars.selectors as cs

# Each text that was ever coded stays in memory: of these every Device may have another.
NOT_CODED = ("firmware_version",)
Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def coded(rows: Rows) -> Rows:
    return rows.with_columns((cs.string() - cs.by_name(*NOT_CODED, require_all=False)).cast(pl.Categorical))


def in_text(rows: Rows) -> Rows:
    return rows.with_columns(cs.categorical().cast(pl.String))

"""Rows told apart by a number: what is asked of many rows is asked of few, and numbers are added up in their place."""

import numpy as np
import polars as pl


def numbered(rows: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
    """The different rows in the order in which they are first there, and of each row its place among them (UInt32)."""
    places = rows.lazy().with_row_index("place").group_by(rows.columns, maintain_order=True).agg("place").collect()
    lengths = places["place"].list.len().to_numpy()
    numbers = np.empty(rows.height, np.uint32)
    numbers[places["place"].list.explode().to_numpy()] = np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)
    return places.drop("place"), numbers


def is_selected(rows: pl.DataFrame, conditions: list[pl.Expr]) -> np.ndarray:
    """Of each row whether all conditions hold; one that is null does not."""
    found = np.zeros(rows.height, bool)
    found[rows.with_row_index().filter(conditions)["index"].to_numpy()] = True
    return found

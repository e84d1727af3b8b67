"""Who supplied a Device when, from its spells with Suppliers."""

from datetime import datetime

import polars as pl


def with_suppliers(devices: pl.DataFrame, spells: pl.DataFrame, as_at: datetime) -> pl.DataFrame:
    """Adds supplier_at_commissioning, supplier (at as_at), changed_supplier_at and last_change_of_supplier (dates).

    devices: one row per Device in the order of device_no, with commissioned_at and responsible_supplier_id.
    spells: device_no, supplier_id, effective_from, effective_to; each had begun at as_at.
    """
    spells = spells.sort("device_no", "effective_from", "supplier_id")
    commissioned_on = devices["commissioned_at"].dt.date()
    spells = spells.with_columns(commissioned_on=commissioned_on.gather(spells["device_no"]))
    devices = devices.with_columns(
        supplier_at_commissioning=_in_force(devices, spells, pl.col("commissioned_on")),
        supplier=_in_force(devices, spells, pl.lit(as_at.date())),
    )
    at_commissioning = devices["supplier_at_commissioning"].gather(spells["device_no"])
    later = spells.with_columns(
        at_commissioning=at_commissioning,
        # Before a Device's first spell stands the Supplier at commissioning, where there is one.
        before=pl.when(pl.col("device_no") == pl.col("device_no").shift())
        .then(pl.col("supplier_id").shift())
        .otherwise(at_commissioning),
    ).filter(pl.col("effective_from") > pl.col("commissioned_on"))
    other = later.filter(pl.col("supplier_id") != pl.col("at_commissioning"))
    changes = later.filter(pl.col("supplier_id") != pl.col("before"))
    return devices.with_columns(
        changed_supplier_at=_by_device(devices, other.unique("device_no", keep="first"), "effective_from"),
        last_change_of_supplier=_by_device(devices, changes.unique("device_no", keep="last"), "effective_from"),
    )


def _in_force(devices: pl.DataFrame, spells: pl.DataFrame, day: pl.Expr) -> pl.Series:
    """The Supplier registered on a day: of several spells the latest start, then the greatest supplier_id."""
    in_force = spells.filter(
        pl.col("effective_from") <= day, pl.col("effective_to").is_null() | (day < pl.col("effective_to"))
    )
    registered = _by_device(devices, in_force.unique("device_no", keep="last"), "supplier_id")
    return registered.fill_null(devices["responsible_supplier_id"])


def _by_device(devices: pl.DataFrame, one_each: pl.DataFrame, column: str) -> pl.Series:
    """The column's value of each Device, null where it has none, in the order of device_no."""
    values = pl.Series(column, [None], dtype=one_each.schema[column]).new_from_index(0, devices.height)
    return values.scatter(one_each["device_no"], one_each[column]) if one_each.height else values

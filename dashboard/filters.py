"""The filters that every page shares, in the side bar and in the URL."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import polars as pl
import streamlit as st

from analysis.selection import PARTY_ROLES, Selection, added_up
from dashboard import back, reading, words
from data import reference


class Choices(NamedTuple):
    """What there is to choose from in a snapshot. parties: role -> its party_ids, by name."""

    months: list[str]
    types: list[str]
    regions: list[str]
    parties: dict[str, list[str]]


class Target(NamedTuple):
    """A mark of a chart that filters: a value that the chart holds at it, its name, and the filters that it sets."""

    mark: str
    label: str
    sets: dict


def _defaults(months: list[str]) -> dict:
    """Key of a filter -> what it holds when nothing is filtered."""
    return {"period": (months[0], months[-1]), "type": [], "region": [], "party_role": PARTY_ROLES[0], "party": []}


@st.cache_resource(max_entries=12, show_spinner=False)
def _choices(folder: Path) -> Choices:
    kinds, names = reading.standings(folder).kinds, reading.party_names(folder)
    present = {role: [party for party in kinds[role].unique() if party is not None] for role in PARTY_ROLES}
    return Choices(
        months=sorted(kinds["commissioned_month"].unique()),
        types=_in_order(kinds["device_type"], reference.DEVICE_TYPES),
        regions=sorted(kinds["csp_region"].unique()),
        parties={role: sorted(found, key=lambda party: names.get(party, party)) for role, found in present.items()},
    )


def selection(folder: Path) -> Selection:
    """Draws the filters and returns what they select; each is kept in the URL once it is off its default."""
    there = _choices(folder)
    months = there.months
    defaults = _defaults(months)
    keep_in_address(defaults)
    with st.sidebar:
        st.subheader("Filters")
        first, last = _period(months)
        types = st.multiselect(
            "Device type",
            there.types,
            key="type",
            bind="query-params",
            placeholder="All types",
        )
        regions = st.multiselect(
            "CSP region",
            there.regions,
            key="region",
            bind="query-params",
            placeholder="All regions",
        )
        role = st.selectbox(
            "Party is the",
            PARTY_ROLES,
            format_func=words.DIMENSIONS.get,
            key="party_role",
            bind="query-params",
        )
        parties = _parties(folder, there.parties[role])
        with st.container(horizontal=True, gap=None):
            st.button("Clear the filters", on_click=clear, args=(defaults,), width="stretch")
            back.undoes_filters()
    whole = (first, last) == (months[0], months[-1])
    return Selection(
        first_month=None if whole else first,
        last_month=None if whole else last,
        device_types=tuple(types),
        regions=tuple(regions),
        party_role=role,
        parties=tuple(parties),
    )


def keep_in_address(defaults: dict) -> None:
    """A page that is left before it is drawn loses its filters from the address: setting a value puts it back."""
    for key, default in defaults.items():
        value = st.session_state.get(key, default)
        if value != default and key not in st.query_params:
            st.session_state[key] = value


def _period(months: list[str]) -> tuple[str, str]:
    if len(months) < 2:
        return months[0], months[0]
    return st.select_slider(
        "Commissioned from, to",
        months,
        value=(months[0], months[-1]),
        format_func=_short,
        key="period",
        bind="query-params",
        help="Month of commissioning, both ends included.",
    )


def _short(month: str) -> str:
    """`2021-08` as Aug 2021."""
    name, year = words.month(month).split()
    return f"{name[:3]} {year}"


def _parties(folder: Path, present: list[str]) -> list[str]:
    names = reading.party_names(folder)
    chosen = st.multiselect(
        "Party",
        present,
        format_func=lambda party: names.get(party, party),
        key="party",
        bind="query-params",
        placeholder="All parties",
    )
    return chosen


@st.cache_resource(max_entries=36, show_spinner=False)
def _by_size(folder: Path, role: str) -> list[str]:
    of_role = added_up(reading.selected_counts(folder, Selection(), role)(), role).drop_nulls(role)
    return of_role.sort("devices", role, descending=[True, False])[role].to_list()


def one_party(folder: Path, chosen: Selection, with_due: pl.Series) -> str | None:
    """The party that a page is about, of those that the filters name; None when the estate names none.

    Opens on the largest of the estate that has Devices due; one that has none under these filters may still be picked,
    so that changing a filter never puts another party in its place.
    """
    names = reading.party_names(folder)
    role = chosen.party_role
    options = [party for party in _by_size(folder, role) if not chosen.parties or party in chosen.parties]
    first = next((place for place, party in enumerate(options) if party in with_due), 0)
    if options:
        keep_in_address({"one_party": options[first]})
    return st.selectbox(
        words.DIMENSIONS[role],
        options,
        index=first,
        format_func=lambda party: names.get(party, party),
        key="one_party",
        bind="query-params",
        help="Largest first; type to search. *Party is the*, in the filters, says in which role.",
    )


def _in_order(found: pl.Series, order: tuple[str, ...]) -> list[str]:
    present = set(found.unique())
    return [value for value in order if value in present]


def clear(defaults: dict) -> None:
    """For a callback: puts each key that a widget has back to its default."""
    for key, default in defaults.items():
        if key in st.session_state:
            st.session_state[key] = default


def by_party(table: pl.DataFrame, dimension: str) -> list[Target]:
    """Targets of a chart of parties or regions, found by name; none where no filter knows the dimension."""
    return _by_party(
        dimension, tuple(table.drop_nulls(dimension).select(dimension, "name").unique(maintain_order=True).rows())
    )


# Targets are shared by all readers: each session keeps those of its widgets.
@lru_cache(maxsize=64)
def _by_party(dimension: str, rows: tuple[tuple[str, str], ...]) -> list[Target]:
    if dimension == "csp_region":
        return [Target(name, name, {"region": [region]}) for region, name in rows]
    if dimension in PARTY_ROLES:
        return [Target(name, name, {"party_role": dimension, "party": [party]}) for party, name in rows]
    return []


def by_device_type(types: Iterable[str]) -> list[Target]:
    return [Target(one, one, {"type": [one]}) for one in types]


def by_month(months: Iterable[str]) -> list[Target]:
    """Targets of a chart over months of commissioning, `2021-08`, each drawn on its first day."""
    return _by_month(tuple(dict.fromkeys(months)))


@lru_cache(maxsize=64)
def _by_month(months: tuple[str, ...]) -> list[Target]:
    return [Target(f"{one}-01", words.month(one), {"period": (one, one)}) for one in months]


def by_quarter(months: Iterable[str]) -> list[Target]:
    """Targets of a chart over quarters of commissioning: a quarter filters to those of the months that it has."""
    targets = []
    for (year, quarter), group in groupby(sorted(set(months)), key=_quarter):
        own = list(group)
        mark = f"{year}-{3 * quarter - 2:02d}-01"
        targets.append(Target(mark, f"{year} Q{quarter}", {"period": (own[0], own[-1])}))
    return targets


def _quarter(month: str) -> tuple[str, int]:
    return month[:4], (int(month[5:]) + 2) // 3


def target_of(points: Sequence[dict], targets: Sequence[Target]) -> Target | None:
    """The target that was clicked: the first with whose mark a point agrees in its place or its data."""
    by_mark = {target.mark: target for target in targets}
    for point in points:
        data = point.get("customdata") or []
        for value in (point.get("x"), point.get("y"), *(data if isinstance(data, list | tuple) else data.values())):
            for mark in (str(value), f"{value}-01"):
                if mark in by_mark:
                    return by_mark[mark]
    return None


def set_to(target: Target) -> None:
    """For a callback: widgets take a value only before they are drawn."""
    for key, value in target.sets.items():
        st.session_state[key] = value


def in_words(chosen: Selection, names: dict[str, str]) -> str:
    """The selection as a clause for a sentence and a file: `all Devices` when nothing is filtered."""
    parts = []
    if chosen.device_types:
        parts.append(" and ".join(chosen.device_types))
    if chosen.regions:
        parts.append("region " + " or ".join(chosen.regions))
    if chosen.parties:
        role = words.DIMENSIONS[chosen.party_role].lower()
        parts.append(f"{role} " + " or ".join(names.get(party, party) for party in chosen.parties))
    if chosen.first_month:
        parts.append(f"commissioned {words.month(chosen.first_month)} to {words.month(chosen.last_month)}")
    return ", ".join(parts) or "all Devices"

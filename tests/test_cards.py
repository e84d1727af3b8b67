"""What every card has: files that say what they are, colours that all can tell apart, and a way to filter by it."""

import ast
import io
import json
import re
import subprocess
import sys
import tomllib
from datetime import date
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from openpyxl import load_workbook
from streamlit.testing.v1 import AppTest
from test_pages import contrast

from analysis import tables, views
from analysis.funnel import funnel
from analysis.selection import Selection, select
from dashboard import cards, charts, charts_parties, device_list, filters, reading
from data.export import outcomes_frame
from tests.app_pages import with_open_tables

PROJECT = Path(__file__).resolve().parent.parent
THEMES = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())["theme"]
ABOUT = {"title": "How many?", "filters": "ESME, region North", "as_at": "1 August 2021, 00:00 UTC"}


# --- many readers at once ------------------------------------------------------------------------------------

# Polars waits for its own threads with Python's lock held where it hands a frame to pandas, as a table on a page does.
THREE_READERS = """
import threading
from unittest.mock import patch
import polars as pl
from dashboard import cards

table = pl.DataFrame({"name": ["a"] * 50, "due": range(50), "failed": [None, *range(49)]})

def draw():
    for _ in range(300):
        cards.show_text(table)

with patch.object(cards.st, "table", pl.DataFrame.to_pandas):
    readers = [threading.Thread(target=draw) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
"""


def test_tables_of_several_readers_do_not_wait_for_each_other_for_ever():
    assert subprocess.run([sys.executable, "-c", THREE_READERS], cwd=PROJECT, timeout=60).returncode == 0


def test_polars_is_given_no_function_of_python():
    called = {
        f"{source.relative_to(PROJECT)}: {node.attr}"
        for package in ("analysis", "dashboard", "data")
        for source in (PROJECT / package).rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("map_elements", "map_batches", "map_groups")
    }
    assert called == set()


# --- files --------------------------------------------------------------------------------------------------


@pytest.fixture
def view(demonstration):
    return cards.View(demonstration, Selection(device_types=("ESME",)), "ESME")


def test_a_file_says_title_filters_snapshot_and_times(view):
    said = view.about("A title", "Counted.")
    assert (said["title"], said["how_made"], said["filters"], said["snapshot"]) == ("A title", "Counted.", "ESME", "1")
    assert said["as_at"].endswith("UTC")
    assert re.fullmatch(r"\d+ \w+ \d{4}, \d\d:\d\d UTC", said["file_made"])
    assert "made up" in said["estate"]


def test_facts_not_known_are_left_out(view):
    assert "title" not in view.about()


def test_csv_has_the_header_first_and_the_facts_at_the_end_of_each_row():
    table = pl.DataFrame({"name": ["a", "b"], "due": [1, 2], "causes": [["x", "y"], []]})
    lines = cards.as_csv(table, ABOUT).decode().splitlines()
    assert lines[0] == "name,due,causes,about_title,about_filters,about_as_at"
    back = pl.read_csv(cards.as_csv(table, ABOUT))
    assert back["due"].to_list() == [1, 2]
    assert back["causes"].to_list() == ["x; y", ""]
    assert {name: back[f"about_{name}"].unique().to_list() for name in ABOUT} == {k: [v] for k, v in ABOUT.items()}


def test_xlsx_has_the_facts_on_a_second_sheet():
    table = pl.DataFrame({"name": ["a", "b"], "due": [1, 2]})
    book = load_workbook(io.BytesIO(cards.as_xlsx(table, ABOUT)))
    assert book.sheetnames == ["data", "About"]
    assert list(book["data"].values) == [("name", "due"), ("a", 1), ("b", 2)]
    assert [row[1] for row in book["About"].values] == [*ABOUT.values()]


def test_text_that_looks_like_a_formula_stays_text_on_both_sheets():
    bad = '=HYPERLINK("http://x","y")'
    book = load_workbook(io.BytesIO(cards.as_xlsx(pl.DataFrame({"name": [bad]}), {"filters": bad})))
    assert (book["data"]["A2"].value, book["data"]["A2"].data_type) == (bad, "s")
    assert (book["About"]["B1"].value, book["About"]["B1"].data_type) == (bad, "s")


# --- colours ------------------------------------------------------------------------------------------------


def colours_of_charts():
    return {
        (file.name, colour)
        for file in (PROJECT / "dashboard").glob("charts*.py")
        for colour in re.findall(r"#[0-9A-Fa-f]{6}\b", file.read_text())
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_every_chart_stands_out_from_both_pages(theme):
    weak = {one for one in colours_of_charts() if contrast(one[1], THEMES[theme]["backgroundColor"]) < 3}
    assert weak == set()


# Machado, Oliveira & Fernandes (2009), whole severity, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
# CIE76 distance in L*a*b*: 2.3 is just to be seen side by side; several times that tells marks apart.
LEAST_DISTANCE = 12
VERDICT_COLOURS = ("REPORTED", "ACTUAL", "OVER_REPORTED", "UNVERIFIED", "MISSED")


def lab(colour, deficiency):
    """L*a*b* (D65) of a colour as a person with the deficiency sees it."""
    srgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    x, y, z = np.array(to_xyz) @ seen / [0.95047, 1.0, 1.08883]
    fx, fy, fz = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def too_near(colours, deficiency):
    seen = {name: lab(colour, deficiency) for name, colour in colours.items()}
    apart = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in combinations(seen, 2)}
    return {pair: distance for pair, distance in apart.items() if distance < LEAST_DISTANCE}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_verdicts_are_told_apart_by_everybody(deficiency):
    assert too_near({name: getattr(charts, name) for name in VERDICT_COLOURS}, deficiency) == {}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_causes_and_standings_are_told_apart_by_everybody(deficiency):
    assert too_near(charts.CAUSE_COLOURS, deficiency) == {}
    assert too_near(charts_parties.STANDING_COLOURS, deficiency) == {}


def test_colours_that_are_too_near_are_found():
    """Orange and ochre are one to the red-blind; violet and blue are not."""
    assert set(too_near({"orange": "#D55E00", "ochre": "#A07800", "blue": "#0072B2"}, "protanopia")) == {
        ("orange", "ochre")
    }
    assert too_near({"orange": "#D55E00", "ochre": "#A07800"}, "none") == {}


def looks(figure):
    """How each series of the legend looks when its colour is taken away."""
    found = []
    for trace in figure.to_dict()["data"]:
        if trace.get("showlegend") is not False and trace.get("name"):
            marker, line = trace.get("marker", {}), trace.get("line", {})
            shape = marker.get("pattern", {}).get("shape"), marker.get("symbol"), line.get("dash")
            found.append((trace["name"], (trace["type"], trace.get("mode"), trace.get("fill"), *map(str, shape))))
    return found


def test_series_are_told_apart_without_colour(demonstration):
    counts = demonstration.frame("counts")
    by_supplier = views.by_party(counts, "supplier", {})
    figures = (
        charts.rates_by_month(views.by_month(counts), 0.03),
        charts.dumbbell(by_supplier),
        charts.cause_bars(views.cause_table(counts)),
        charts.cause_trend(views.cause_trend(counts)),
        charts.coverage(by_supplier),
        charts_parties.funnel(funnel(by_supplier)),
    )
    for figure in figures:
        series = looks(figure)
        assert len(series) > 1
        assert len({look for _, look in series}) == len(series), series


# --- targets ------------------------------------------------------------------------------------------------


def test_a_party_is_found_by_the_name_that_a_mark_carries():
    table = pl.DataFrame({"supplier": ["S1", "S2", None], "name": ["One", "Two", "not recorded"]})
    targets = filters.by_party(table, "supplier")
    point = {"x": 0.07, "y": "Two (1,234)", "customdata": [5, 1234, "Two"]}
    assert filters.target_of([point], targets).sets == {"party_role": "supplier", "party": ["S2"]}
    assert filters.target_of([{"customdata": [5, 9, "not recorded"]}], targets) is None
    assert filters.target_of([], targets) is None


def test_a_region_is_a_filter_and_a_model_is_none():
    table = pl.DataFrame({"csp_region": ["North"], "model": ["M1"], "name": ["North"]})
    assert filters.by_party(table, "csp_region")[0].sets == {"region": ["North"]}
    assert filters.by_party(table, "model") == []


@pytest.mark.parametrize("x", ["2021-08", "2021-08-01"])
def test_a_month_is_found_where_it_is_drawn(x):
    targets = filters.by_month(["2021-07", "2021-08"])
    assert filters.target_of([{"x": x, "y": 0.07}], targets).sets == {"period": ("2021-08", "2021-08")}


def test_a_quarter_filters_to_those_of_its_months_that_there_are():
    targets = filters.by_quarter(["2021-02", "2021-01", "2020-12", "2021-04", "2021-01"])
    assert [(one.label, one.mark, one.sets["period"]) for one in targets] == [
        ("2020 Q4", "2020-10-01", ("2020-12", "2020-12")),
        ("2021 Q1", "2021-01-01", ("2021-01", "2021-02")),
        ("2021 Q2", "2021-04-01", ("2021-04", "2021-04")),
    ]


# --- pages --------------------------------------------------------------------------------------------------


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    return AppTest.from_file(PROJECT / "dashboard" / "streamlit_app.py", default_timeout=60).run()


def no_error(app):
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def opened(app, script):
    return no_error(with_open_tables(app.switch_page(f"app_pages/{script}.py").run()))


def choose(app, name, label):
    box = app.selectbox(key=f"filter-to-{name}")
    box.set_value(box.options.index(label))
    return no_error(app.run())


@pytest.mark.parametrize("dimension", ["supplier_at_commissioning", "network_operator"])
def test_choosing_a_party_in_its_card_filters_every_page(app, demonstration, dimension):
    opened(app, "parties")
    app.multiselect(key="type").set_value(["ESME"])
    app.selectbox(key="compare_by").set_value(dimension)
    no_error(app.run())
    label = app.selectbox(key="filter-to-funnel").options[-1]
    choose(app, "funnel", label)
    [party] = app.multiselect(key="party").value
    assert app.selectbox(key="party_role").value == dimension
    assert app.selectbox(key="filter-to-funnel").value is None
    assert app.dataframe[0].value[dimension].to_list() == [party]
    exported = tables.frame(demonstration, "rates", (dimension, "device_type"))
    wanted = exported.filter(device_type="ESME").filter(pl.col(dimension) == party).row(0, named=True)
    assert app.dataframe[0].value["due"].to_list() == [wanted["due"]]


def test_choosing_a_region_in_its_card_filters(app):
    opened(app, "parties")
    app.selectbox(key="compare_by").set_value("csp_region").run()
    choose(app, "parties", "North")
    assert app.multiselect(key="region").value == ["North"]


def test_choosing_a_quarter_sets_the_period(app):
    opened(app, "party")
    choose(app, "beside-peers", "2020 Q2")
    assert app.select_slider(key="period").value == ("2020-04", "2020-06")


def test_no_filter_is_offered_for_a_model(app):
    opened(app, "parties")
    app.selectbox(key="compare_by").set_value("model").run()
    assert "filter-to-parties" not in {box.key for box in no_error(app).selectbox}


def test_the_criteria_in_force_are_one_press_away_and_keep_the_filters(app):
    opened(app, "criteria")
    app.multiselect(key="type").set_value(["CHF"])
    app.toggle(key="accept_timeout").set_value(True)
    app.toggle(key="evidence").set_value(True)
    app.multiselect(key="order").set_value(["accept_timeout"])
    button = next(one for one in no_error(app.run()).button if one.label == "Back to the criteria in force")
    assert not button.disabled
    no_error(button.click().run())
    assert not any(toggle.value for toggle in app.toggle)
    assert app.multiselect(key="order").value == []
    assert app.multiselect(key="type").value == ["CHF"]
    assert next(one for one in app.button if one.label == "Back to the criteria in force").disabled


# --- the list of Devices ------------------------------------------------------------------------------------


def test_the_file_of_devices_to_act_on_has_all_of_them_as_exported(demonstration):
    selection = Selection("2019-02", "2021-03", ("ESME", "GPF"), ("North", "South"))
    exported = outcomes_frame(demonstration).with_columns(
        commissioned_month=pl.col("commissioned_at").dt.strftime("%Y-%m")
    )
    wanted = select(exported, selection).filter(pl.col("finding").is_in(["confirmed_failure", "missed_failure"]))
    assert wanted.height > 20
    file = pl.read_csv(cards.as_csv(device_list.whole(demonstration, selection)()))
    wanted = pl.read_csv(cards.as_csv(wanted.select(file.columns)))
    assert file.sort("device_id").equals(wanted.sort("device_id"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("confirmed_failure", "Confirmed failure"),
        ("NetworkOperator/KeyAgreement: dcc_credentials", "Network Operator, Key Agreement: DCC credentials"),
        ("Device: not_in_use", "Device: not in use"),
    ],
)
def test_codes_are_said_in_words(code, words):
    assert device_list.said(code) == words


def test_a_listed_device_is_in_words_and_leads_to_its_page():
    row = {
        "device_id": "90-B3-D5-1F-30-01-00-00",
        "device_type": "ESME",
        "finding": "confirmed_failure",
        "cause": "empty_status",
        "unmet_checks": "communicating; issue_key_agreement",
        "faults": "Supplier/DigitalSigning: wrong_party",
    }
    [shown] = device_list.in_words(pl.DataFrame([row, row | {"cause": None, "unmet_checks": ""}])).head(1).to_dicts()
    assert shown["open"] == "device?device=90-B3-D5-1F-30-01-00-00"
    assert shown["cause"] == "Empty Execution Status"
    assert "_" not in shown["finding"] + shown["unmet_checks"] + shown["faults"]
    assert shown["unmet_checks"].count("; ") == 1


def test_what_is_held_is_told_apart_by_folder_selection_name_and_question(tmp_path):
    """The same is made once; what differs in any of the four is made anew."""
    made = []

    def held(folder, types, name, *of):
        def make():
            made.append((folder, types, name, of))
            return len(made)

        return reading.held(tmp_path / folder, Selection(device_types=types), name, of, make)

    asked = [
        ("one", (), "rates"),
        ("two", (), "rates"),
        ("one", ("GSME",), "rates"),
        ("one", (), "months"),
        ("one", (), "rates", 0.03),
        ("one", (), "rates", "0.03"),
    ]
    assert [held(*one) for one in asked] == [1, 2, 3, 4, 5, 6]
    assert [held(*one) for one in asked] == [1, 2, 3, 4, 5, 6]
    assert len(made) == 6


def test_a_finished_figure_is_sent_as_it_was():
    figure = charts.blank_figure(100).add_scatter(x=[date(2021, 8, 1), None], y=[float("nan"), 4], name="<b>")
    wanted = json.loads(figure.to_json(validate=False))
    finished = charts.finished(figure)
    sent = json.loads(finished.text)
    assert (sent["data"], finished.height) == (wanted["data"], 100)
    assert sent["data"][0]["y"] == [None, 4]
    # The page has a theme of its own.
    del wanted["layout"]["template"]
    assert sent["layout"] == wanted["layout"]


def test_readers_share_what_a_chart_filters_to():
    """Each session keeps them with its widgets."""
    table = pl.DataFrame({"supplier": ["S1", None, "S2"], "name": ["One", None, "Two"]})
    first, second = (filters.by_party(table, "supplier") for _ in range(2))
    assert [target.sets for target in first] == [
        {"party_role": "supplier", "party": ["S1"]},
        {"party_role": "supplier", "party": ["S2"]},
    ]
    assert first is second
    assert filters.by_month(["2021-07", "2021-08", "2021-07"]) is filters.by_month(iter(["2021-07", "2021-08"]))
    assert filters.by_party(table.rename({"supplier": "network_operator"}), "network_operator") != first

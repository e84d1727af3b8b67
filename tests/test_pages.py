"""Every page, drawn without a browser, with filters off their defaults; the figures beside those of the export."""

from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from analysis import tables, views
from analysis.selection import Selection, select
from dashboard import charts, words
from data.export import outcomes_frame
from tests.app_pages import FILES, with_open_tables

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    return AppTest.from_file(APP, default_timeout=60)


def opened(app, page):
    app.run()
    if FILES[page]:
        app.switch_page(FILES[page]).run()
    with_open_tables(app)
    assert [title.value for title in app.title] == [page]
    return no_error(app)


def no_error(app):
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def text_of(app):
    return "\n".join(element.value for element in [*app.markdown, *app.header, *app.subheader, *app.caption])


@pytest.mark.parametrize("page", FILES)
def test_page_says_that_the_estate_is_a_demonstration(app, page):
    assert "Demonstration estate" in opened(app, page).info[0].value


@pytest.mark.parametrize("page", FILES)
def test_page_is_drawn_with_every_filter_off_its_default(app, page, demonstration):
    opened(app, page)
    app.select_slider(key="period").set_value(("2019-06", "2021-03"))
    app.multiselect(key="type").set_value(["ESME", "GPF"])
    app.multiselect(key="region").set_value(["North", "South"])
    app.selectbox(key="party_role").set_value("network_operator")
    no_error(app.run())
    party = largest_operator_of_north(demonstration)
    no_error(app.multiselect(key="party").set_value([party["party_id"]]).run())
    said = text_of(app)
    assert "ESME and GPF" in said
    assert "June 2019 to March 2021" in said
    assert party["party_name"] in said
    assert not app.warning


# The others look up Devices, of which they read the part that is asked for.
ADDED_UP = [page for page in FILES if page not in ("Device", "One party")]


@pytest.mark.parametrize("page", ADDED_UP)
def test_a_filter_is_answered_without_reading_a_file(app, page):
    opened(app, page)
    of_files = ("read_parquet", "scan_parquet", "read_csv")
    with ExitStack() as stack:
        read = [stack.enter_context(patch.object(pl, name, side_effect=AssertionError(name))) for name in of_files]
        read.append(stack.enter_context(patch("duckdb.connect", side_effect=AssertionError("duckdb"))))
        no_error(app.multiselect(key="type").set_value(["GPF"]).run())
        no_error(app.multiselect(key="region").set_value(["North"]).run())
    assert [one.call_count for one in read] == [0] * len(read)


def largest_operator_of_north(snapshot):
    by_operator = tables.frame(snapshot, "rates", ("network_operator", "csp_region", "device_type"))
    by_operator = by_operator.filter(csp_region="North", device_type="ESME").sort("due")
    names = snapshot.frame("parties")
    return names.filter(pl.col("party_id") == by_operator["network_operator"][-1]).row(0, named=True)


def test_headline_equals_the_exported_rates(app, demonstration):
    overall = tables.frame(demonstration, "rates").row(0, named=True)
    said = text_of(opened(app, "Overview"))
    reported, actual = overall["reported_failure_rate"], overall["actual_failure_rate"]
    assert f"{reported:.1%}".replace("%", "\u00a0%") + " reported, " in said
    assert f"{actual:.1%}".replace("%", "\u00a0%") + " actual" in said
    assert f"**{overall['reported_failures']:,} were reported failed**" in said
    assert [metric.value for metric in app.metric][:3] == [
        f"{overall[name]:,}" for name in ("reported_failures", "over_reported", "missed_failures")
    ]


def test_filtered_headline_equals_the_rates_of_the_filtered_devices(app, demonstration):
    opened(app, "Overview")
    app.multiselect(key="type").set_value(["CHF"]).run()
    of_type = {row["device_type"]: row for row in tables.frame(demonstration, "rates", ("device_type",)).to_dicts()}
    assert app.metric[0].value == f"{of_type['CHF']['reported_failures']:,}"
    assert f"Of {of_type['CHF']['due']:,} Devices due" in text_of(app)


def test_causes_page_counts_every_reported_failure_once(app, demonstration):
    exported = tables.frame(demonstration, "causes").to_dicts()
    said = text_of(opened(app, "Causes"))
    for row in exported:
        assert f"**{words.devices(row['reported_failures'])}**" in said
    assert f"of {sum(row['reported_failures'] for row in exported):,})" in said


@pytest.mark.parametrize("dimension", words.DIMENSIONS)
def test_parties_are_compared_by_every_dimension(app, demonstration, dimension):
    opened(app, "Parties")
    app.selectbox(key="compare_by").set_value(dimension).run()
    shown = no_error(app).dataframe[0].value
    exported = tables.frame(demonstration, "rates", (dimension,))
    assert sorted(shown["due"]) == sorted(due for due in exported["due"] if due)
    assert shown["reported_failures"].sum() == exported["reported_failures"].sum()


def test_data_and_method_shows_rows_in_and_quarantined(app, demonstration):
    shown = opened(app, "Data and method").dataframe[0].value.set_index("extract")
    for name, extract in demonstration.manifest["extracts"].items():
        assert tuple(shown.loc[name, ["rows", "quarantined"]]) == (extract["rows"], extract["quarantined"])


def test_an_empty_selection_says_what_to_loosen(app):
    opened(app, "Overview")
    app.select_slider(key="period").set_value(("2018-01", "2018-01"))
    app.multiselect(key="type").set_value(["GPF"])
    app.multiselect(key="region").set_value(["South"])
    no_error(app.run())
    assert "Widen the period" in app.warning[0].value


def test_clearing_the_filters_brings_the_whole_estate_back(app):
    whole = opened(app, "Overview").metric[0].value
    app.multiselect(key="type").set_value(["CHF"]).run()
    assert app.metric[0].value != whole
    app.button[0].click().run()
    assert app.metric[0].value == whole


def test_without_a_snapshot_the_page_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PCO_MARTS", str(tmp_path))
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert "no snapshot" in app.error[0].value


@pytest.mark.parametrize("page", ["#FFFFFF", "#0E1117"])
def test_every_colour_stands_out_from_the_page(page):
    colours = {charts.REPORTED, charts.ACTUAL, charts.OVER_REPORTED, charts.UNVERIFIED, charts.MISSED}
    for colour in colours | set(charts.CAUSE_COLOURS.values()):
        assert contrast(colour, page) >= 3, colour


def contrast(one, other):
    """WCAG 2.2 contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def by_month(*rows):
    columns = ["commissioned_month", "reported_failure_rate", "actual_failure_rate", "actual_low", "actual_high"]
    counted = {"due": 100, "reported_failures": 8, "verified": 90, "not_secure": 1}
    return pl.DataFrame(
        rows, dict.fromkeys(columns[:1], pl.String) | dict.fromkeys(columns[1:], pl.Float64), orient="row"
    ).with_columns(pl.lit(value).alias(name) for name, value in counted.items())


def test_the_band_does_not_reach_over_a_month_whose_rate_is_not_known():
    table = by_month(
        ("2020-01", 0.08, 0.01, 0.005, 0.02),
        ("2020-02", 0.08, 0.02, 0.010, 0.03),
        ("2020-03", 0.08, None, None, None),
        ("2020-04", 0.08, 0.03, 0.020, 0.04),
    )
    bands = [trace for trace in charts.rates_by_month(table, 0.03).data if trace.fill == "toself"]
    assert [list(band.x) for band in bands] == [["2020-01", "2020-02", "2020-02", "2020-01"], ["2020-04", "2020-04"]]
    assert [list(band.y) for band in bands] == [[0.02, 0.03, 0.010, 0.005], [0.04, 0.020]]


def test_an_unknown_actual_rate_is_not_said_to_be_within_tolerance():
    unknown = by_month(("2020-01", 0.08, None, None, None))
    assert words.tolerance_title(unknown, 0.03).endswith("in 1 of 1 months, actual failures are not known")
    half = by_month(("2020-01", 0.08, None, None, None), ("2020-02", 0.01, 0.01, 0.0, 0.02))
    assert words.tolerance_title(half, 0.03).endswith(
        "in 1 of 2 months, actual failures in 0 of the 1 in which they are known"
    )


def test_unexplained_is_no_cause_that_comes_together_with_another(demonstration):
    together = views.overlaps(demonstration.frame("counts"))
    several = outcomes_frame(demonstration).filter(pl.col("causes").list.len() > 1).height
    assert views.with_several_causes(together) == several > 0


def test_a_selection_keeps_only_what_it_names(demonstration):
    counts = demonstration.frame("counts")
    kept = select(counts, Selection("2020-01", "2020-12", ("ESME",), ("North",)))
    assert set(kept["device_type"]) == {"ESME"}
    assert set(kept["csp_region"]) == {"North"}
    assert set(kept["commissioned_month"]) <= {f"2020-{month:02d}" for month in range(1, 13)}
    assert kept["devices"].sum() < counts["devices"].sum()

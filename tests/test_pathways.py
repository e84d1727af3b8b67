"""The roads that Devices took: by hand, in plain Python over random estates, and on the page."""

import shutil
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import builds
import estates
import oracle
import polars as pl
import pytest
from builds import USER_CHECKS, march
from hypothesis import given
from hypothesis import strategies as st
from oracle.contract import is_success
from oracle.evidence import gather, gather_world, resolve_as_at, rows_by_device, time_of
from oracle.reported import ALL_TYPES, DSP_CHECKS, attempts_at, checks_of, in_scope, met_at
from oracle.suppliers import changed_supplier_at
from streamlit.testing.v1 import AppTest
from test_build import GOOD, built, few, planned

from analysis import pathways
from analysis.pathways import ENDS, OTHER, OTHER_ROADS, START
from analysis.roads import roads as roads_of
from analysis.selection import Selection, select
from dashboard import charts_pathways, words_pathways
from data.export import outcomes_frame
from data.marts import current
from tests.app_pages import with_open_tables

CHECKS = checks_of("ESME")
HANDOVER, SUPPLIER_UPDATE, CHANGE = "network_operator_handover", "supplier_update", "change_of_supplier"
STEPS = [*CHECKS, HANDOVER, SUPPLIER_UPDATE, CHANGE]


def variants_of(snapshot, selection=None, most=1_000, **told_apart):
    return pathways.variants(roads_of(snapshot.files("outcomes")), selection or Selection(), most, **told_apart)


# --- by hand ------------------------------------------------------------------------------------------------

ISSUE_DS, ISSUE_KA, UPDATE_DS, UPDATE_KA, UPDATE_NO = USER_CHECKS
HANDED_OVER = ("6.21", None, "NetworkOperator")
USUAL = "6.17 DS → 6.17 KA → 6.15.2 DS → 6.15.2 KA → 6.15.1"


def road_of(responses=None, dsp_checks=None, spells=(), **changes):
    """The road in words, with everything told apart, and the hours, of a Device with these rows."""
    extracts = builds.secure_devices([1])
    extracts["devices"] = [builds.device(**changes)]
    extracts["registrations"] += spells
    if responses is not None:
        extracts["service_responses"] = responses
    if dsp_checks is not None:
        extracts["dsp_checks"] = dsp_checks
    with built(extracts) as snapshot:
        [variant] = variants_of(snapshot, with_attempts=True)["variant"]
        return words_pathways.road(variant), snapshot.frame("outcomes")["pathway_hours"].item()


def good(check, day, *clock):
    return builds.response(1, check, sent_at=march(day), responded_at=march(day, *clock))


def bad(check, day):
    return builds.response(1, check, sent_at=march(day), responded_at=None, response_code="E20", execution_status=None)


def test_steps_at_one_instant_stand_in_the_order_of_the_criteria():
    assert road_of() == (USUAL, 48)


def test_a_change_of_supplier_stands_at_the_start_of_its_day():
    rows = [good(ISSUE_DS, 4, 0), *(good(check, 4, 5) for check in (ISSUE_KA, UPDATE_DS, UPDATE_KA, UPDATE_NO))]
    spell = builds.spell(1, supplier_id="S-TWO", effective_from=date(2021, 3, 4))
    text, hours = road_of(rows, spells=[spell])
    assert text == "6.17 DS → CoS → 6.17 KA → 6.15.2 DS → 6.15.2 KA → 6.15.1"
    assert hours == 3 * 24 + 5


def test_what_comes_after_the_last_check_is_no_part_of_the_road():
    spell = builds.spell(1, supplier_id="S-TWO", effective_from=date(2021, 3, 5))
    cos = builds.response(1, ("6.23", None, None), sent_at=march(6), responded_at=march(6, 1))
    rows = [good(check, 2, 1) for check in USER_CHECKS]
    assert road_of([*rows, cos, {**cos, "sent_at": march(6, 1), "responded_at": march(6, 2)}], spells=[spell]) == (
        USUAL,
        48,
    )


def test_a_handover_in_place_of_the_update_leaves_the_road_open():
    rows = [good(check, 2, 1) for check in USER_CHECKS[:4]]
    rows += [bad(UPDATE_NO, 3), bad(UPDATE_NO, 4), good(HANDED_OVER, 5, 1)]
    text, hours = road_of(rows)
    assert text == ("6.17 DS → 6.17 KA → 6.15.2 DS → 6.15.2 KA → 6.21; in vain: 6.15.1 (retried); unmet: 6.15.1")
    assert hours == 48


def test_a_retry_is_told_of_the_step_that_it_was_of():
    rows = [good(check, 2, 1) for check in USER_CHECKS if check != ISSUE_KA]
    assert road_of([*rows, bad(ISSUE_KA, 2), good(ISSUE_KA, 4, 1)])[0] == (
        "6.17 DS → 6.15.2 DS → 6.15.2 KA → 6.15.1 → 6.17 KA (retried)"
    )


def test_attempts_before_commissioning_count_and_hours_round_down():
    text, hours = road_of(commissioned_at=march(3, 0, 30))
    assert (text, hours) == (USUAL, -1)


def test_a_device_on_which_nothing_succeeded():
    text, hours = road_of([bad(ISSUE_DS, 2)], dsp_checks=[])
    assert text == (
        "No step succeeded; in vain: 6.17 DS; unmet: 6.17 DS, 6.17 KA (not tried), 6.15.2 DS (not tried), "
        "6.15.2 KA (not tried), 6.15.1 (not tried), DSP communicates, DSP recovery cell"
    )
    assert hours is None


def test_a_type_without_a_network_operator_cell_needs_no_update_of_it():
    assert road_of([good(check, 2, 1) for check in USER_CHECKS[:4]], device_type="GSME")[0] == (
        "6.17 DS → 6.17 KA → 6.15.2 DS → 6.15.2 KA"
    )


# --- in plain Python, from the rows -------------------------------------------------------------------------


def attempts_by_step(evidence):
    """Every attempt at each of the steps that are sent as Service Requests."""
    role = "remote_party_role"
    found = {name: attempts_at(name, evidence) for name in CHECKS if name not in DSP_CHECKS}
    found[HANDOVER] = [row for row in evidence.attempts if (row["srv"], row[role]) == ("6.21", "NetworkOperator")]
    found[SUPPLIER_UPDATE] = [
        row
        for row in evidence.attempts
        if row["srv"] == "6.23" or (row["srv"] in ("6.15.1", "6.21") and row[role] == "Supplier")
    ]
    return found


def road_in_plain_python(evidence):
    attempts = attempts_by_step(evidence)
    times = {name: met_at(name, evidence) for name in CHECKS}
    for name in (HANDOVER, SUPPLIER_UPDATE):
        times[name] = min((time_of(row) for row in attempts[name] if is_success(row)), default=None)
    changed = changed_supplier_at(evidence)
    times[CHANGE] = changed and datetime(changed.year, changed.month, changed.day)
    needed = checks_of(evidence.device["device_type"])
    unmet = [name for name in needed if times[name] is None]
    order = sorted((time, STEPS.index(name)) for name, time in times.items() if time is not None)
    steps = [STEPS[number] for _, number in order]
    if not unmet:
        steps = steps[: 1 + max(steps.index(name) for name in needed)]
    in_vain = {name for name, rows in attempts.items() if unmet and rows and times[name] is None}
    last = max((times[name] for name in needed if times[name]), default=None)
    return {
        "steps": tuple(steps),
        "retried": {name for name, rows in attempts.items() if len(rows) > 1 and name in {*steps, *in_vain}},
        "in_vain": in_vain,
        "unmet": tuple(unmet),
        "hours": last and (last - evidence.device["commissioned_at"]) // timedelta(hours=1),
    }


def without_copies(extracts):
    """No two rows of a Device of one instant of sending or of answering: what is one attempt is beyond doubt."""
    seen, rows = set(), []
    for row in extracts["service_responses"]:
        device = row["device_id"]
        instants = {(device, "sent", row["sent_at"]), (device, "answered", row["responded_at"] or row["sent_at"])}
        if not instants & seen:
            rows.append(row)
        seen |= instants
    return extracts | {"service_responses": rows}


def roads_in_plain_python(extracts, as_at):
    """device_id -> its road, and its outcome."""
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    as_at_known = resolve_as_at(clean, as_at)
    world, indexed = gather_world(clean), rows_by_device(clean)
    outcomes = {row["device_id"]: row for row in oracle.outcomes(clean, as_at)}
    return {
        row["device_id"]: road_in_plain_python(gather(indexed, row, as_at_known, world)) | outcomes[row["device_id"]]
        for row in clean["devices"]
        if in_scope(row, as_at_known)
    }


@few(25)
@given(plan=planned(GOOD), as_at=estates.as_ats(), most=st.integers(1, 8), with_dsp=st.booleans())
def test_every_road_and_every_count_equal_those_of_plain_python(plan, as_at, most, with_dsp):
    extracts = without_copies(estates.make_estate(**plan | {"devices": 12}))
    wanted = roads_in_plain_python(extracts, as_at)
    with built(extracts, as_at) as snapshot:
        kept, ids = snapshot.frame("outcomes"), outcomes_frame(snapshot)["device_id"]
        table, every = variants_of(snapshot, most=most, with_dsp=with_dsp), variants_of(snapshot, with_dsp=with_dsp)
    assert set(ids) == set(wanted)
    for device_id, pathway, hours in zip(ids, kept["pathway"], kept["pathway_hours"], strict=True):
        found = {
            "steps": pathways.steps_of(pathway),
            "retried": set(pathways.retried(pathway)),
            "in_vain": set(pathways.in_vain(pathway)),
            "unmet": pathways.unmet(pathway),
            "hours": hours,
        }
        assert found == {name: wanted[device_id][name] for name in found}
    groups = {}
    for road in wanted.values():
        steps = tuple(step for step in road["steps"] if with_dsp or step not in DSP_CHECKS)
        groups.setdefault(steps, []).append(road)
    assert {pathways.steps_of(row["variant"]): counted_row(row) for row in every.to_dicts()} == {
        steps: counted_in_plain_python(roads, 1) for steps, roads in groups.items()
    }
    shown = [row for row in table.to_dicts() if row["variant"] != OTHER]
    assert [row["devices"] for row in shown] == sorted(map(len, groups.values()), reverse=True)[:most]
    rest = [road for steps, roads in groups.items() for road in roads if steps not in steps_of_rows(shown)]
    others = [counted_row(row) for row in table.to_dicts() if row["variant"] == OTHER]
    assert others == ([counted_in_plain_python(rest, len(groups) - len(shown))] if rest else [])
    flows_are_those_of(table, {steps: roads for steps, roads in groups.items() if steps in steps_of_rows(shown)}, rest)


def steps_of_rows(rows):
    return {pathways.steps_of(row["variant"]) for row in rows}


def counted_row(row):
    """To twelve places: two ways to divide differ in the last bit."""
    return {
        name: round(value, 12) if isinstance(value, float) else value
        for name, value in row.items()
        if name != "variant"
    }


def counted_in_plain_python(roads, number):
    due = [road for road in roads if road["reported"] != "not_due"]
    hours = [road["hours"] for road in roads if road["hours"] is not None]
    changed = [road for road in roads if CHANGE in road["steps"]]
    in_order = 0
    for road in roads:
        places = [STEPS.index(step) for step in road["steps"] if step in CHECKS and step not in DSP_CHECKS]
        in_order += road["reported"] == "passed" and places == sorted(places)
    return {
        "devices": len(roads),
        "due": len(due),
        "reported_failures": sum(road["reported"] == "failed" for road in roads),
        "verified": sum(road["actual"] in ("secure", "not_secure") for road in due),
        "secure": sum(road["actual"] == "secure" for road in due),
        "device_keys_read": sum(road["device_keys"] in ("in_use", "not_in_use") for road in due),
        "median_days": round(median(hours) / 24, 12) if hours else None,
        "roads": number,
        "completed": sum(road["reported"] == "passed" for road in roads),
        "with_retry": sum(bool(road["retried"]) for road in roads),
        "handed_over": sum(
            HANDOVER in road["steps"] and "update_network_operator" in road["unmet_checks"] for road in roads
        ),
        "changed": len(changed),
        "changed_open": sum(bool(road["unmet_checks"]) for road in changed),
        "in_list_order": in_order,
    }


def flows_are_those_of(table, groups, rest):
    """Each link's Devices are those that went from the one step to the next."""
    names = {"passed": "all_met", "failed": "reported_failed", "not_due": "not_due"}
    wanted = Counter()
    for steps, roads in [*groups.items(), ((OTHER_ROADS,), rest)]:
        for road in roads:
            stops = list(enumerate((START, *steps, names[road["reported"]])))
            wanted.update(pairwise(stops))
    links = pathways.links(table, table.height)
    found = {((row[0], row[1]), (row[2], row[3])): row[4] for row in links.iter_rows()}
    assert found == dict(wanted)


# --- the demonstration --------------------------------------------------------------------------------------


@pytest.mark.parametrize("told_apart", [{}, {"with_dsp": True}, {"with_attempts": True, "with_dsp": True}])
@pytest.mark.parametrize("most", [1, 10, 40])
def test_roads_add_up_to_all_devices_and_flows_conserve(demonstration, most, told_apart):
    table = variants_of(demonstration, most=most, **told_apart)
    outcomes = outcomes_frame(demonstration)
    assert table["devices"].sum() == outcomes.height
    assert table["reported_failures"].sum() == outcomes.filter(reported="failed").height
    links = pathways.links(table, 10)
    into, out = Counter(), Counter()
    for from_place, from_step, to_place, to_step, devices in links.iter_rows():
        out[from_place, from_step] += devices
        into[to_place, to_step] += devices
    assert out[0, START] == outcomes.height
    ends = {node: devices for node, devices in into.items() if node[1] in ENDS}
    assert {node: n for node, n in into.items() if node not in ends} == {n: d for n, d in out.items() if n[1] != START}
    standings = dict(outcomes["reported"].value_counts().rows())
    for end, reported in zip(ENDS, ("passed", "failed", "not_due"), strict=True):
        assert sum(devices for (_, name), devices in ends.items() if name == end) == standings.get(reported, 0)


def test_a_device_more_or_less_tells_no_roads_apart(demonstration):
    """Told apart by more, roads are more; the DSP's checks alone change no Device's way through the SRVs."""
    roads = [
        variants_of(demonstration, **told_apart).height
        for told_apart in ({}, {"with_dsp": True}, {"with_dsp": True, "with_attempts": True})
    ]
    assert roads[0] < roads[1] < roads[2]


@pytest.mark.parametrize(
    "selection",
    [
        Selection("2019-12", "2020-12"),
        Selection("2020-01", "2020-01", ("ESME", "CHF")),
        Selection(regions=("North", "4G South"), device_types=("GSME",)),
    ],
)
def test_a_selection_is_that_of_every_page(demonstration, selection):
    counts = select(demonstration.frame("counts"), selection)
    table = variants_of(demonstration, selection, most=5)
    assert 0 < table["devices"].sum() == counts["devices"].sum() < demonstration.rows("outcomes")
    failed = variants_of(demonstration, selection, most=5, reported="failed")
    assert failed["devices"].sum() == counts.filter(reported="failed")["devices"].sum()


def test_nothing_selected_has_no_road(demonstration):
    table = variants_of(demonstration, Selection("2018-01", "2018-01", ("GPF",), ("4G South",)))
    assert table.is_empty()
    assert pathways.links(table, 10).is_empty()


def test_what_is_defined_is_the_contracts_matrix(demonstration):
    table = pathways.defined(demonstration.frame("counts"))
    outcomes = outcomes_frame(demonstration)
    for device_type in ALL_TYPES:
        of_type = outcomes.filter(device_type=device_type)
        rows = table.filter(device_type=device_type).select("check", "devices", "met").rows()
        unmet = Counter(check for checks in of_type["unmet_checks"] for check in checks)
        assert rows == [(check, of_type.height, of_type.height - unmet[check]) for check in checks_of(device_type)]
    assert words_pathways.defined_title(table) == "Defined: 7 checks for ESME and GPF; 6 checks for GSME and CHF"


def test_outcomes_as_exported_have_no_pathway(demonstration):
    assert set(outcomes_frame(demonstration).columns) == set(oracle.OUTCOME_COLUMNS)


# --- the figures --------------------------------------------------------------------------------------------


def drawn_on(figure, row):
    """The texts on the filled and on the hollow squares of a row, from the left."""
    return [
        [word for place, word in sorted((x, t) for x, y, t in zip(d.x, d.y, d.text, strict=True) if y == row)]
        for d in figure.data
    ]


def test_each_road_is_a_row_with_a_square_a_step(demonstration):
    table = variants_of(demonstration, most=5)
    figure = charts_pathways.roads(table)
    for row, variant in enumerate(table["variant"].head(5)):
        names = [words_pathways.ON_SQUARE[step].replace(" ", "<br>", 1) for step in pathways.steps_of(variant)]
        assert drawn_on(figure, row) == [names, []]
    said = [note.text for note in figure.layout.annotations]
    assert f"{table['devices'][5]:,}" in said
    assert f"All {table['roads'][5]:,} other roads" in said


def test_a_retry_and_an_attempt_in_vain_are_marked():
    extracts = builds.secure_devices([1])
    rows = [good(check, 2, 1) for check in (ISSUE_DS, ISSUE_KA, UPDATE_DS)]
    extracts["service_responses"] = [*rows, bad(ISSUE_KA, 1), bad(UPDATE_KA, 2)]
    extracts["dsp_checks"] = []
    with built(extracts) as snapshot:
        table = variants_of(snapshot, with_attempts=True)
    figure = charts_pathways.roads(table)
    assert drawn_on(figure, 0) == [["6.17<br>DS", "6.17<br>KA<br>again", "6.15.2<br>DS"], ["6.15.2<br>KA"]]
    assert [shape.line.width for shape in figure.layout.shapes] == [0, 0, 0, 2]


def test_every_node_of_the_flow_is_in_the_legend(demonstration):
    links = pathways.links(variants_of(demonstration, most=20), 10)
    sankey, *legend = charts_pathways.flow(links).data
    assert {trace.name for trace in legend} == set(sankey.node.customdata) - {"Start"}
    assert len(sankey.node.label) == len({*links.select("from_place", "from_step").rows()} | {*targets(links)}) < 50
    assert sum(sankey.link.value) == links["devices"].sum()


def targets(links):
    return links.select("to_place", "to_step").rows()


def test_the_defined_checks_are_drawn_in_no_order(demonstration):
    table = pathways.defined(demonstration.frame("counts"))
    [sankey] = charts_pathways.defined(table).data
    links = set(zip(sankey.link.source, sankey.link.target, strict=True))
    names = dict(enumerate(sankey.node.customdata))
    checks = {words_pathways.NAMES[check] for check in CHECKS}
    assert not [(a, b) for a, b in links if names[a] in checks and names[b] in checks]
    assert {(names[a], names[b]) for a, b in links if names[b] in checks} == {
        (kind, words_pathways.NAMES[check]) for kind in ALL_TYPES for check in checks_of(kind)
    }


# --- the page -----------------------------------------------------------------------------------------------

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


def opened(marts, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(marts))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return drawn(app.switch_page("app_pages/pathways.py"))


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    return opened(demonstration_home / "marts", monkeypatch)


def drawn(app):
    with_open_tables(app.run())
    assert [title.value for title in app.title] == ["Pathways"]
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def test_the_page_counts_every_device_once(app, demonstration):
    table = pl.from_pandas(app.dataframe[0].value)
    assert table["devices"].sum() == demonstration.rows("outcomes")
    assert table.height == 11
    assert table["road"][10].startswith("All ")
    assert table["share_of_devices"].sum() == pytest.approx(1)


def test_the_page_follows_its_widgets_and_the_filters(app, demonstration):
    app.multiselect(key="type").set_value(["ESME"])
    app.selectbox(key="roads_of").set_value("failed")
    app.selectbox(key="roads_shown").set_value(20)
    app.toggle(key="dsp").set_value(True)
    app.toggle(key="attempts").set_value(True)
    app.toggle(key="flow").set_value(True)
    table = pl.from_pandas(drawn(app).dataframe[0].value)
    failed = outcomes_frame(demonstration).filter(device_type="ESME", reported="failed")
    assert table["devices"].sum() == table["reported_failures"].sum() == failed.height
    assert table.height == 21
    assert all("unmet: " in road for road in table["road"].head(10))
    assert any("DSP" in road for road in table["road"].head(10))
    handed_over = failed.filter(pl.col("causes").list.contains("dcc_credential_handover")).height
    assert f"**{handed_over:,}**" in app.markdown[-1].value
    assert "Defined: 7 checks for ESME" in [subheader.value for subheader in app.subheader]


def test_an_empty_selection_says_what_to_loosen(app):
    app.select_slider(key="period").set_value(("2018-01", "2018-01"))
    app.multiselect(key="type").set_value(["GPF"])
    app.multiselect(key="region").set_value(["South"])
    assert "Widen the period" in drawn(app).warning[0].value


def test_a_snapshot_from_before_says_so_and_exports_as_ever(tmp_path, monkeypatch):
    folders = builds.folders(tmp_path)
    builds.pco_build(folders)
    before = outcomes_frame(current(folders.marts))
    snapshot = current(folders.marts)
    [file] = snapshot.files("outcomes")
    older = pl.read_parquet(file).drop("pathway", "pathway_hours")
    shutil.rmtree(tmp_path / "extracts")
    older.write_parquet(file)
    builds.sealed_as_it_is(snapshot)
    assert outcomes_frame(current(folders.marts)).equals(before)
    assert "built before the roads were kept" in opened(folders.marts, monkeypatch).warning[0].value

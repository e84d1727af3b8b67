"""Who sees what, on every page as every role, without a browser: what is sent is searched for what must not be."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.app_test import calc_hash
from thorough import times

from analysis.scopes import scoped
from dashboard import access, access_provider, audit, cards
from dashboard.access import Denied, Reader
from dashboard.access_settings import NOT_CLASSIFIED, WrongAccess, read_settings
from data.marts import current
from data.reduction import duis_form
from data.scopes import ALL, Scope
from tests.app_pages import APP, FILES, plots, with_open_tables

CONFIGURATION = """
classification = "OFFICIAL-TEST"

[login]
longest_hours = 2
recheck_seconds = 0

[roles]
"gives-ssc" = "ssc"
"gives-secas" = "secas"
"gives-party" = "party"
"gives-operator" = "operator"
"""
NOW = 1_800_000_000
PAGES = {
    "ssc": set(FILES),
    "secas": {"Overview", "Causes", "Criteria", "Communications Hubs", "Business case", "Definitions"},
    "party": set(FILES) - {"Data and method"},
    "operator": {"Data and method", "Definitions"},
}


@pytest.fixture
def configured(tmp_path, monkeypatch):
    file = tmp_path / "access.toml"
    file.write_text(CONFIGURATION)
    monkeypatch.setenv("PCO_ACCESS", str(file))
    return file


def claims(**changes):
    usual = {"iss": "http://provider", "sub": "reader-1", "iat": NOW - 60, "exp": NOW + 3600, "nonce": "n", "roles": []}
    return usual | changes


def weighed(known, now=NOW, current=None, **changes):
    given = claims(**changes)
    return access.weighed(given, known, now, given if current is None else current)


# --- the claims -----------------------------------------------------------------------------------------------


@pytest.fixture
def known(configured):
    return read_settings(configured)


@pytest.mark.parametrize(
    ("roles", "more", "role", "scope"),
    [
        (["gives-ssc"], {}, "ssc", ALL),
        ("gives-ssc", {}, "ssc", ALL),
        (["x", "gives-secas"], {}, "secas", Scope("aggregates")),
        (["gives-operator"], {}, "operator", Scope("operator")),
        (["gives-party"], {"party_id": "SUP01"}, "party", Scope("party", "SUP01")),
        (["gives-operator", "gives-ssc"], {}, "ssc", ALL),
    ],
)
def test_a_role_comes_from_the_claims(known, roles, more, role, scope):
    found = weighed(known, roles=roles, **more)
    assert (found.role, found.scope, found.who) == (role, scope, "reader-1")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"roles": []}, "no role"),
        ({"roles": ["ssc"]}, "no role"),
        ({"roles": None}, "no role"),
        ({"roles": [["gives-ssc"], {"gives-ssc": 1}, 7]}, "no role"),
        ({"roles": "gives-ssc gives-secas"}, "no role"),
        ({"roles": ["gives-party"]}, "which party"),
        ({"roles": ["gives-party"], "party_id": "  "}, "which party"),
        ({"roles": ["gives-party"], "party_id": ["SUP01"]}, "which party"),
        ({"roles": ["gives-ssc"], "exp": NOW}, "has ended"),
        ({"roles": ["gives-ssc"], "iat": NOW - 7200, "exp": NOW + 9e9}, "has ended"),
        ({"roles": ["gives-ssc"], "iat": NOW + 150}, "150 seconds ahead"),
        ({"roles": ["gives-ssc"], "exp": None}, "does not say"),
        ({"roles": ["gives-ssc"], "iat": "yesterday"}, "does not say"),
        ({"roles": ["gives-ssc"], "exp": True}, "does not say"),
        ({"roles": ["gives-ssc"], "sub": ""}, "does not say"),
    ],
)
def test_whatever_is_not_a_good_login_is_denied_with_a_reason(known, changes, why):
    with pytest.raises(Denied, match=why):
        weighed(known, **changes)


def test_what_the_provider_says_now_counts_and_not_what_the_cookie_holds(known):
    stale = claims(roles=["gives-ssc"])
    assert weighed(known, roles=["gives-ssc"], current=stale | {"roles": ["gives-operator"]}).role == "operator"
    with pytest.raises(Denied, match="no role"):
        weighed(known, roles=["gives-ssc"], current=stale | {"roles": []})
    with pytest.raises(Denied, match="no longer knows"):
        weighed(known, roles=["gives-ssc"], current={})
    with pytest.raises(Denied, match="no longer knows"):
        weighed(known, roles=["gives-ssc"], current=stale | {"sub": "somebody-else"})


def test_a_login_that_was_ended_stays_ended_and_another_of_the_same_reader_does_not(known, configured):
    found = weighed(known, roles=["gives-ssc"])
    access.end_session(found)
    with pytest.raises(Denied, match="logged out"):
        weighed(known, roles=["gives-ssc"])
    assert weighed(known, roles=["gives-ssc"], nonce="another").role == "ssc"
    assert found.session not in configured.read_text()


def test_a_denied_subject_is_denied_at_the_next_run(configured):
    assert weighed(read_settings(configured), roles=["gives-ssc"]).role == "ssc"
    configured.write_text(CONFIGURATION.replace("[login]", '[login]\ndenied_subjects = ["reader-1"]'))
    with pytest.raises(Denied, match="may not use"):
        weighed(access.settings(), roles=["gives-ssc"])


def test_a_claim_may_lie_deeper(configured):
    configured.write_text(CONFIGURATION.replace("[login]", '[login]\nrole_claim = "realm.roles"'))
    assert weighed(access.settings(), realm={"roles": ["gives-ssc"]}, roles=[]).role == "ssc"
    with pytest.raises(Denied, match="no role"):
        weighed(access.settings(), realm="gives-ssc", roles=["gives-ssc"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "gives nobody a role"),
        ("[roles]\nx = 'admin'", "no role 'admin'"),
        ("[roles]\nx = 'ssc'\n[login]\nrole = 'x'", "knows no 'role'"),
        ("[roles]\nx = 'ssc'\n[logins]\n", r"no table \[logins\]"),
        ("[roles]\nx = 'ssc'\n[login]\nlongest_hours = '8'", "not of the kind"),
        ("[roles]\nx = 'ssc'\n[login]\nlongest_hours = 0", "able to"),
        ("[roles]\nx = 'ssc'\n[login]\nrecheck = 1", "not of the kind"),
        ("[roles", "access.toml"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(configured, text, why):
    configured.write_text(text)
    with pytest.raises(WrongAccess, match=why):
        read_settings(configured)


SECRETS = {
    "redirect_uri": "http://127.0.0.1/oauth2callback",
    "cookie_secret": "0123456789abcdef" * 4,
    "client_id": "pco",
    "client_secret": "secret",
    "server_metadata_url": "http://127.0.0.1:9/.well-known/openid-configuration",
    "expose_tokens": ["access"],
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cookie_secret": None}, "lacks cookie_secret"),
        ({"cookie_secret": "short"}, "fewer than 32"),
        ({"client_id": ""}, "lacks client_id"),
        ({"expose_tokens": ["id"]}, "expose_tokens"),
        ({}, None),
    ],
)
def test_a_server_whose_logins_cannot_be_trusted_does_not_start(known, monkeypatch, changes, why):
    monkeypatch.setattr(access_provider, "get_secrets_auth_section", lambda: SECRETS | changes)
    if why is None:
        access.refuse_unfit()
    else:
        with pytest.raises(WrongAccess, match=why):
            access.refuse_unfit()


def test_a_clock_that_is_wrong_is_told(monkeypatch):
    monkeypatch.setattr(access_provider, "get_secrets_auth_section", lambda: SECRETS)
    monkeypatch.setattr(access_provider, "_metadata", lambda address: ({"issuer": "x"}, 150.0))
    assert "150 seconds ahead" in access_provider.what_hinders()
    monkeypatch.setattr(access_provider, "_metadata", lambda address: ({"issuer": "x"}, 2.0))
    assert access_provider.what_hinders() == ""


def test_a_provider_that_cannot_be_reached_gives_nobody_a_role(monkeypatch):
    monkeypatch.setattr(access_provider, "get_secrets_auth_section", lambda: SECRETS)
    assert access_provider._user_info("token") == {}
    assert "cannot be reached" in access_provider.what_hinders()


# --- every page as every role ---------------------------------------------------------------------------------


class Login:
    """Stands for the provider; a test sets what it says."""

    def __init__(self, monkeypatch):
        self.of_login, self.now = {}, None
        monkeypatch.setattr(access_provider, "claims", lambda: self.of_login)
        monkeypatch.setattr(access_provider, "current", lambda of, known: of if self.now is None else self.now)
        monkeypatch.setattr(access_provider, "what_hinders", lambda: "")
        monkeypatch.setattr(access_provider, "get_secrets_auth_section", lambda: SECRETS)
        monkeypatch.setattr(access.time, "time", lambda: float(NOW))

    def as_role(self, role, **more):
        self.of_login = claims(roles=[f"gives-{role}"], **more)


@pytest.fixture
def login(monkeypatch):
    return Login(monkeypatch)


@pytest.fixture
def app(demonstration_home, configured, login, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    return AppTest.from_file(APP, default_timeout=60)


@pytest.fixture(scope="module")
def outcomes(demonstration):
    return demonstration.frame("outcomes")


@pytest.fixture(scope="module")
def party(outcomes):
    """A small Supplier, beside which most is not its own, that has lost Devices to others."""
    is_moved = pl.col("supplier") != pl.col("supplier_at_commissioning")
    lost = outcomes.filter(is_moved)["supplier_at_commissioning"].value_counts(sort=True, name="n")
    return lost.row(3)[0]


def sent(app):
    """All that the page sends: every element and block, as bytes."""
    found = []

    def walk(node):
        proto = getattr(node, "proto", None)
        if proto is not None and hasattr(proto, "SerializeToString"):
            found.append(proto.SerializeToString())
        for child in getattr(node, "children", {}).values():
            walk(child)

    walk(app._tree)
    return b"\n".join(found)


def canaries(demonstration, outcomes, party=None):
    """Identifiers that no one but the SSC may have: other parties, and Devices that are not the party's."""
    parties = demonstration.frame("parties").filter(pl.col("role").is_in(["Supplier", "NetworkOperator"]))
    others = parties if party is None else parties.filter(pl.col("party_id") != party)
    ids = {text for name in ("party_id", "party_name", "eui") for text in others[name]}
    roles = ("supplier_at_commissioning", "supplier", "network_operator")
    is_own = pl.any_horizontal(pl.col(role) == (party or "") for role in roles).fill_null(False)
    return ids | {duis_form(key) for key in outcomes.filter(~is_own)["device_key"]}


# An id of a party stands for itself, not as a part of another word.
WORD = re.compile(rb"[A-Za-z0-9-]+")


def told_of(content, forbidden):
    words = {word.decode() for word in WORD.findall(content)}
    return sorted(name for name in forbidden if (name in words if " " not in name else name.encode() in content))


def drawn(app, page):
    """The page as an address asks for it, also one that the role's navigation does not have."""
    app._page_hash = calc_hash(Path(FILES[page]).stem) if FILES[page] else ""
    app.run()
    return with_open_tables(app)


@pytest.mark.parametrize("role", ["secas", "party", "operator"])
def test_every_page_as_every_role_tells_nothing_that_it_must_not(app, login, role, demonstration, outcomes, party):
    login.as_role(role, **({"party_id": party} if role == "party" else {}))
    forbidden = canaries(demonstration, outcomes, party if role == "party" else None)
    if role == "operator":
        # What was quarantined is an operator's to see, as the file had it.
        kept = json.dumps(demonstration.frame("quarantine").to_dicts()).encode()
        forbidden -= {word.decode() for word in WORD.findall(kept)}
    app.run()
    for page in FILES:
        drawn(app, page)
        assert [error.value for error in [*app.error, *app.exception]] == [], page
        assert len(forbidden) > 10_000
        assert told_of(sent(app), forbidden) == [], page
        if page in PAGES[role]:
            assert [title.value for title in app.title] == [page]
        else:
            assert [title.value for title in app.title] != [page]


def test_the_search_does_find_what_the_ssc_sees(app, login, demonstration, outcomes):
    """Without this the test above might search in vain."""
    login.as_role("ssc")
    app.run()
    names = canaries(demonstration, outcomes)
    for page in ("Parties", "One party", "Device"):
        drawn(app, page)
        assert len(told_of(sent(app), names)) >= 5, page


def test_without_a_login_or_a_role_no_page_is_drawn(app, login, demonstration, outcomes):
    login.of_login = {}
    app.run()
    assert [button.label for button in app.button] == ["Log in"]
    login.as_role("nothing")
    app.run()
    assert "no role" in app.error[0].value
    for page in FILES:
        drawn(app, page)
        assert [title.value for title in app.title] == ["Post Commissioning Outcomes"]
        assert not plots(app)
        assert told_of(sent(app), canaries(demonstration, outcomes)) == []


def test_a_role_that_is_taken_away_and_a_login_that_ends_take_effect_at_the_next_run(app, login, party):
    login.as_role("ssc")
    app.run()
    assert app.metric
    login.now = login.of_login | {"roles": []}
    app.run()
    assert not app.metric
    assert "no role" in app.error[0].value
    login.now = None
    app.run()
    assert app.metric
    login.of_login = login.of_login | {"exp": NOW - 1}
    app.run()
    assert not app.metric
    assert "has ended" in app.error[0].value


def test_logging_out_ends_the_login_for_every_copy_of_it(app, login, monkeypatch):
    monkeypatch.setattr("streamlit.logout", lambda: None)
    login.as_role("ssc")
    app.run()
    next(button for button in app.button if button.label == "Log out").click().run()
    assert "logged out" in app.error[0].value
    again = AppTest.from_file(APP, default_timeout=60).run()
    assert "logged out" in again.error[0].value
    assert not again.metric


def test_another_role_in_one_session_begins_with_nothing_of_the_one_before(app, login, party, demonstration, outcomes):
    login.as_role("ssc")
    app.run()
    drawn(app, "Parties")
    app.multiselect(key="party").set_value(["SUP01"]).run()
    login.as_role("party", party_id=party)
    app.run()
    assert told_of(sent(app), canaries(demonstration, outcomes, party)) == []
    assert app.session_state["view"].snapshot.manifest["scope"]["kind"] == "party"


def test_secrets_that_cannot_be_trusted_show_nothing(app, login, monkeypatch):
    login.as_role("ssc")
    monkeypatch.setattr(access_provider, "get_secrets_auth_section", lambda: SECRETS | {"cookie_secret": "short"})
    app.run()
    assert "not configured" in app.error[0].value
    assert not app.metric


def test_a_broken_configuration_shows_nothing(app, login, configured):
    login.as_role("ssc")
    configured.write_text("[roles]\nx = 'root'")
    app.run()
    assert "not configured" in app.error[0].value
    assert not app.metric
    assert str(configured) not in app.error[0].value


# --- one Device -----------------------------------------------------------------------------------------------


def asked_for(app, key):
    app.session_state["device"] = duis_form(key)
    return drawn(app, "Device")


def test_a_device_of_another_party_is_as_unknown_as_one_that_is_not(app, login, outcomes, party):
    roles = ("supplier_at_commissioning", "supplier", "network_operator")
    is_own = pl.any_horizontal(pl.col(role) == party for role in roles).fill_null(False)
    own, foreign = (outcomes.filter(mine)["device_key"][0] for mine in (is_own, ~is_own))
    login.as_role("party", party_id=party)
    app.run()
    told = {}
    for key in (foreign, 12345):
        asked_for(app, key)
        told[key] = [warning.value.replace(duis_form(key), "EUI") for warning in app.warning]
    assert told[foreign] == told[12345] != []
    asked_for(app, own)
    assert not app.warning
    assert duis_form(own) in app.header[0].value


def test_the_page_of_a_device_that_went_to_another_names_nobody_else(app, login, demonstration, outcomes, party):
    gone = outcomes.filter(pl.col("supplier_at_commissioning") == party, pl.col("supplier") != party)["device_key"]
    forbidden = canaries(demonstration, outcomes, party)
    login.as_role("party", party_id=party)
    app.run()
    for key in gone[: times(2, 30)]:
        asked_for(app, key)
        assert duis_form(key) in app.header[0].value
        assert told_of(sent(app), forbidden) == []
        assert b"Another party" in sent(app)


# --- files and the log ----------------------------------------------------------------------------------------


def lines(home):
    return [json.loads(line) for line in (home / audit.NAME).read_text().splitlines()]


@pytest.fixture
def logged(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "folder", lambda: tmp_path / "log")
    return tmp_path / "log"


def test_access_to_device_rows_is_logged_with_who_what_and_how_many(app, login, logged, outcomes, party):
    login.as_role("party", party_id=party)
    app.run()
    foreign = outcomes.filter(
        pl.all_horizontal(pl.col(role).ne_missing(party) for role in ("supplier", "supplier_at_commissioning"))
        & pl.col("network_operator").ne_missing(party)
    )["device_key"][0]
    asked_for(app, foreign)
    found = [line for line in lines(logged) if line["what"] == "devices"]
    assert found[-1]["filters"] == duis_form(foreign)
    assert {line["who"] for line in found} == {"reader-1"}
    assert {line["scope"] for line in found} == {Scope("party", party).key}
    assert found[-1]["snapshot"] == 1
    assert lines(logged)[0]["what"] == "login"


def test_a_file_is_logged_when_it_is_made_and_refused_once_the_login_has_ended(
    logged, configured, monkeypatch, demonstration
):
    reader = Reader("reader-2", "ssc", ALL, "session", NOW + 10)
    monkeypatch.setattr(access, "of_this_run", lambda: reader)
    monkeypatch.setattr(access.time, "time", lambda: float(NOW))
    make = audit.logged(lambda: (b"content", 7), demonstration, "rates.csv", "ESME")
    assert not logged.exists()
    assert make() == b"content"
    line = lines(logged)[-1]
    assert [line[name] for name in ("who", "what", "name", "filters", "rows")] == [
        "reader-2",
        "file",
        "rates.csv",
        "ESME",
        7,
    ]
    monkeypatch.setattr(access.time, "time", lambda: float(NOW + 11))
    with pytest.raises(Denied):
        make()
    monkeypatch.setattr(access.time, "time", lambda: float(NOW))
    access.end_session(reader)
    with pytest.raises(Denied):
        make()
    assert len(lines(logged)) == 1


def test_what_cannot_be_logged_is_refused_where_readers_log_in(configured, monkeypatch, tmp_path, demonstration):
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    monkeypatch.setattr(audit, "folder", lambda: blocked)
    with pytest.raises(audit.NotLogged):
        audit.log(Reader("r", "ssc", ALL), audit.DEVICES, demonstration)
    monkeypatch.delenv("PCO_ACCESS")
    audit.log(access.LOCAL, audit.DEVICES, demonstration)


def test_the_log_is_put_aside_when_it_has_grown_and_no_line_is_lost(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: audit.append(tmp_path, json.dumps({"n": number}), 2000), range(1000)))
    files = sorted(tmp_path.glob("audit*.jsonl"))
    assert len(files) > 3
    found = [json.loads(line)["n"] for file in files for line in file.read_text().splitlines()]
    assert sorted(found) == list(range(1000))
    assert (tmp_path / audit.NAME).stat().st_mode & 0o077 == 0


def test_names_of_files_tell_readers_scopes_snapshots_and_filters_apart(demonstration, tmp_path, monkeypatch):
    from dataclasses import replace

    from analysis.selection import Selection

    shown = [demonstration, *(scoped(demonstration, Scope("party", name), tmp_path) for name in ("SUP01", "SUP02"))]
    rebuilt = replace(demonstration, manifest=demonstration.manifest | {"build_finished_at": "2027-01-01T00:00:00"})
    names = set()
    views = [(s, chosen) for s in [*shown, rebuilt] for chosen in (Selection(), Selection(regions=("North",)))]
    for who in ("a", "b"):
        monkeypatch.setattr(access, "of_this_run", lambda who=who: Reader(who, "ssc", ALL, who))
        names |= {cards.View(s, chosen, "").file_name("rates", "csv") for s, chosen in views}
    assert len(names) == 2 * len(views)
    assert all(re.fullmatch(r"rates-snapshot-1-(all|party-[0-9a-f]{16})-[0-9a-f]{12}\.csv", name) for name in names)


def test_a_file_says_classification_scope_time_and_snapshot(demonstration, tmp_path, configured, monkeypatch):
    from analysis.selection import Selection

    monkeypatch.setattr(access, "of_this_run", lambda: access.LOCAL)
    own = scoped(demonstration, Scope("party", "SUP01"), tmp_path)
    about = cards.View(own, Selection(), "all Devices").about("Title", "How")
    assert about["classification"] == "OFFICIAL-TEST"
    assert "SUP01" in about["scope"]
    assert about["snapshot"] == "1"
    assert about["file_made"].endswith("UTC")
    monkeypatch.delenv("PCO_ACCESS")
    assert cards.View(demonstration, Selection(), "").about()["classification"] == NOT_CLASSIFIED


def test_caches_are_told_apart_by_scope(demonstration, tmp_path):
    """Each cached reading of one scope beside that of another, in one process."""
    from dashboard import reading, reading_hubs, report_choice

    parties = [scoped(demonstration, Scope("party", name), tmp_path) for name in ("SUP01", "SUP02")]
    for one in (*parties, demonstration, *parties):
        folder, wanted = one.folder, one.frame("counts")["devices"].sum()
        assert reading.counts(folder)["devices"].sum() == wanted
        assert reading.report_counts(one)["devices"].sum() == wanted
        assert reading.small_table(folder, "parties").height == one.frame("parties").height
        assert reading_hubs.incidents(one).height == one.frame("incidents").height
        assert report_choice.sources(one).snapshot.folder == folder
        assert reading.changed_findings(one, one).height == 0
        assert reading.shared_devices(one, one) == one.rows("outcomes")


def test_every_cache_is_keyed_by_a_folder_or_a_snapshot():
    """A cached function that is asked for neither would answer one scope with another's."""
    cached = re.compile(r"@st\.cache_(?:data|resource)\b[^\n]*\ndef (\w+)\(([^)]*)\)")
    found = {}
    for file in Path(APP).parent.rglob("*.py"):
        text = file.read_text()
        assert text.count("@st.cache_") == len(cached.findall(text)), file
        found |= {(file.name, name): given for name, given in cached.findall(text)}
    assert len(found) >= 8
    keyed = re.compile(r"(?<!_)\b(folder: Path|snapshot: Snapshot|earlier: Snapshot, later: Snapshot)")
    # Of what holds nothing of a snapshot there is none so far.
    assert [name for name, given in found.items() if not keyed.search(given)] == []


def test_every_download_is_logged():
    for file in Path(APP).parent.rglob("*.py"):
        text = file.read_text()
        assert text.count("st.download_button(") == text.count("audit.logged("), file


# --- snapshots ------------------------------------------------------------------------------------------------


def test_a_session_stays_on_its_snapshot_and_is_told_of_a_newer_one(demonstration_home, tmp_path, monkeypatch):
    import shutil

    marts = tmp_path / "marts"
    shutil.copytree(demonstration_home / "marts", marts)
    monkeypatch.setenv("PCO_MARTS", str(marts))
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert not [button for button in app.button if "newer" in button.label]
    publish_again(marts)
    app.run()
    assert app.session_state["view"].snapshot.number == 1
    assert "Snapshot 2 is in use" in next(info.value for info in app.info if "in use" in info.value)
    next(button for button in app.button if "newer" in button.label).click().run()
    assert app.session_state["view"].snapshot.number == 2
    assert not [button for button in app.button if "newer" in button.label]


def publish_again(marts):
    """The same tables once more, as the next snapshot."""
    from data.marts import Draft

    whole = current(marts)
    with Draft(marts) as draft:
        for table in ("counts", "parties", "quarantine", "unrecognised", "amendments", "incidents"):
            draft.write(table, whole.frame(table))
        draft.write("outcomes", whole.frame("outcomes"))
        rest = {n: v for n, v in whole.manifest.items() if n not in ("files", "snapshot", "parent", "format")}
        draft.publish(rest | {"build_finished_at": "2027-01-01T00:00:00"})

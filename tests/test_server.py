"""The server before Streamlit: who is let in, what is answered, when it is busy, and how it ends."""

import asyncio
import gc
import http.client
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import builds
import duckdb
import pytest
import websockets
from builds import pco
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import asgi, guard, health, plot, server_settings, turns
from dashboard.gate import Gate
from dashboard.server_settings import Settings
from data.marts import current
from data.watchdog import QueryTooLong, interrupted_after
from tests.browser.serving import free_port, started
from tests.load.reader import Reader, Refused

PAGES = [file.stem for file in (Path(guard.__file__).parent / "app_pages").glob("[a-z]*.py")]


@pytest.fixture(scope="module")
def marts(tmp_path_factory):
    """A small estate's marts."""
    folders = builds.folders(tmp_path_factory.mktemp("served"), builds.secure_devices())
    assert builds.pco_build(folders).status == 0
    return folders.marts


def ran(coroutine):
    """In a thread of its own: Playwright leaves a loop running in that of the tests."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class Process:
    """`pco serve` of these marts, and what it is asked by plain HTTP."""

    def __init__(self, dashboard):
        self.command, self.server, self.address = dashboard.command, dashboard.server, dashboard.address
        self.port = urlsplit(self.address).port

    def asked(self, path, method="GET", **headers):
        """Status, headers, text; the path is sent as it is."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            # A connection that the server closes is the answer's to close.
            with connection.getresponse() as answer:
                told = {name.lower(): value for name, value in answer.getheaders()}
                return answer.status, told, answer.read().decode(errors="replace")

    def is_running(self):
        try:
            return "\nState:\tZ" not in Path(f"/proc/{self.server}/status").read_text()
        except FileNotFoundError:
            return False


@contextmanager
def serving(marts, *options):
    with started(marts, *options) as dashboard:
        yield Process(dashboard)


@pytest.fixture(scope="module")
def served(marts):
    with serving(marts, "--sessions", "2") as process:
        yield process


def soon(condition, seconds=10):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


# --- what there is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", *(f"/{page}" for page in PAGES), "/healthz", "/favicon.png"])
def test_pages_and_health_are_there(served, path):
    assert served.asked(path)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/_stcore/metrics",
        "/%5fstcore/metrics",
        "/_stcore/metrics/",
        "//_stcore/metrics",
        "/parties/../_stcore/metrics",
        "/_stcore/agent/openapi.json",
        "/_stcore/agent/mcp",
        "/_stcore/agent/interact",
        "/_stcore/script-health-check",
        "/_stcore/bidi-components/picture/x.js",
        "/component/x/index.html",
        "/static/js/none.js",
        "/static/../../../../etc/passwd",
        "/app/static/x",
        "/app_pages/overview.py",
        "/index.html",
        "/auth/login",
        "/oauth2callback",
        "/.env",
    ],
)
def test_what_is_no_page_is_404_and_says_nothing(served, path):
    status, headers, text = served.asked(path)
    assert (status, text) == (404, "Not found")
    assert headers["cache-control"] == "no-store"


def test_agents_are_offered_nothing(served):
    text = served.asked("/")[2]
    assert "agent" not in text
    assert "<script>" not in text
    for method in ("POST", "PUT", "DELETE"):
        assert served.asked("/_stcore/agent/interact", method)[0] == 404
        assert served.asked("/parties", method)[0] == 405


def test_host_config_lets_nobody_steer_the_page(served):
    said = json.loads(served.asked("/_stcore/host-config")[2])
    assert (said["allowedOrigins"], said["metricsUrl"], said["enableCustomParentMessages"]) == ([], "", False)


@pytest.mark.parametrize("path", ["/", "/parties", "/nothing", "/healthz", "/media/none.csv", "/_stcore/health"])
def test_every_answer_has_the_headers(served, path):
    headers = served.asked(path)[1]
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["frame-ancestors"], policy["connect-src"]) == ("'none'", "'none'", "'self'")
    assert "unsafe-inline" not in policy["script-src"]
    assert "'unsafe-eval'" not in policy["script-src"]
    assert "*" not in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_own_files_may_be_kept(served):
    script = next(name for name in sorted(guard.files()) if name.endswith(".js"))
    status, headers, _ = served.asked(script)
    assert (status, "immutable" in headers["cache-control"]) == (200, True)


def test_the_page_asks_for_plotlys_own_script_at_once_and_may_keep_it(served):
    _, _, page = served.asked("/parties")
    assert page.count(f'<script async data-plotly src=".{plot.ADDRESS}"></script>') == 1
    status, headers, text = served.asked(plot.ADDRESS)
    assert (status, "immutable" in headers["cache-control"]) == (200, True)
    assert headers["content-type"].startswith("text/javascript")
    assert text == plot.LIBRARY.read_text(encoding="utf-8")
    assert served.asked("/plotly-0.0.0.min.js")[0] == 404
    assert served.asked(plot.ADDRESS, "POST")[0] == 405


# --- who may call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "localhost/x"]
)
def test_another_host_is_refused(served, host):
    for path in ("/", "/healthz", "/_stcore/health"):
        assert served.asked(path, Host=host)[0] == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8501", "LOCALHOST", "[::1]:8501"])
def test_loopback_is_served_by_each_of_its_names(served, host):
    assert served.asked("/", Host=host)[0] == 200


async def connects(served, host="127.0.0.1", **options):
    address = f"ws://{host}:{served.port}/_stcore/stream"
    async with websockets.connect(address, host="127.0.0.1", proxy=None, **options) as connection:
        await connection.send(b"")
        return await connection.recv()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}"])
def test_a_page_of_another_origin_gets_no_connection(served, origin):
    with pytest.raises(websockets.InvalidStatus) as refusal:
        ran(connects(served, origin=origin.format(port=served.port)))
    assert refusal.value.response.status_code == 403


def test_another_host_gets_no_connection(served):
    with pytest.raises(websockets.InvalidStatus) as refusal:
        ran(connects(served, host="evil.example"))
    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("message", [b"x" * (2 << 20), "text", b"\xff" * 50])
def test_a_message_that_is_none_ends_its_own_connection_only(served, message):
    async def sent_by(reader):
        # The connection may be closed before all is sent, or after.
        await reader.connection.send(message)
        await reader.sees()

    async def sends():
        reader = await Reader.comes(served.address)
        with pytest.raises(websockets.ConnectionClosed):
            await sent_by(reader)
        await reader.leaves()
        other = await Reader.comes(served.address)
        drawn = await other.reads()
        await other.leaves()
        return drawn

    drawn = ran(sends())
    assert (drawn.errors, drawn.is_busy) == ([], False)
    assert drawn.texts


def test_a_full_server_says_busy_and_serves_again(served):
    async def fill():
        there = [await Reader.comes(served.address) for _ in range(2)]
        with pytest.raises(Refused):
            await Reader.comes(served.address)
        full = await asyncio.to_thread(served.asked, "/parties")
        health = await asyncio.to_thread(served.asked, "/healthz")
        for reader in there:
            await reader.leaves()
        return full, health

    (status, headers, text), (healthy, _, _) = ran(fill())
    assert (status, headers["retry-after"], healthy) == (503, "10", 200)
    assert 'http-equiv="refresh" content="10"' in text
    assert "Busy" in text
    soon(lambda: served.asked("/parties")[0] == 200)


def test_strangers_are_served_only_with_access_control(marts, monkeypatch):
    monkeypatch.delenv("PCO_ACCESS", raising=False)
    for options in (["--address", "0.0.0.0"], ["--address", "::"], ["--host", "pco.example"], ["--address", "here"]):
        done = pco("serve", "--marts", marts, "--port", free_port(), *options)
        assert (done.status, len(done.problems)) == (2, 1)
        assert options[0] in done.err


def test_secrets_are_read_from_the_file_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PCO_SECRETS", str(tmp_path / "secrets.toml"))
    earlier = config.get_option("secrets.files")
    try:
        server_settings.use_secrets()
        assert config.get_option("secrets.files") == [str(tmp_path / "secrets.toml")]
    finally:
        config.set_option("secrets.files", earlier)


def test_settings_reach_the_server_as_they_are():
    settings = Settings(
        8600, "::1", ("pco.example", "b.example"), True, runs=3, patience=2.5, sessions=7, stop_within=1
    )
    assert server_settings.from_arguments(settings.arguments()) == settings
    assert server_settings.from_arguments(["--port", "1"]) == Settings(1)


# --- behind TLS ---------------------------------------------------------------------------------------------


def answered(settings, path="/", headers=(), has_login=False):
    """The first message that a guard sends for a request; the application behind it sets a cookie."""
    sent = []

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=b; Path=/")]})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"pco.example"), *headers]}
    ran(guard.Guard(application, settings, has_login)(scope, None, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_behind_tls_cookies_and_address_are_for_tls_alone():
    status, headers = answered(Settings(1, hosts=("pco.example",), tls=True), "/_stcore/health")
    assert (status, headers["set-cookie"]) == (200, "a=b; Path=/; Secure")
    assert "max-age=31536000" in headers["strict-transport-security"]
    status, headers = answered(Settings(1, hosts=("pco.example",)), "/_stcore/health")
    assert (status, headers["set-cookie"]) == (200, "a=b; Path=/")
    assert "strict-transport-security" not in headers


def test_logins_have_addresses_only_where_there_are_logins():
    settings = Settings(1, hosts=("pco.example",), tls=True)
    for path in ("/auth/login", "/auth/logout", "/oauth2callback"):
        assert answered(settings, path)[0] == 404
        assert answered(settings, path, has_login=True)[0] == 200


@pytest.mark.parametrize(
    ("tls", "origin", "is_own"),
    [
        (True, b"https://pco.example", True),
        (True, b"http://pco.example", False),
        (False, b"http://pco.example", True),
        (False, b"http://pco.example:80", False),
    ],
)
def test_the_origin_is_the_address_that_was_called(tls, origin, is_own):
    headers = guard.Headers(raw=[(b"host", b"pco.example"), (b"origin", origin)])
    assert guard.is_own_origin(headers, tls) is is_own


def test_two_hosts_or_origins_are_none():
    settings = Settings(1, hosts=("pco.example",))
    assert answered(settings, headers=[(b"host", b"pco.example")])[0] == 400
    twice = [(b"host", b"pco.example"), (b"origin", b"http://pco.example"), (b"origin", b"http://pco.example")]
    assert not guard.is_own_origin(guard.Headers(raw=twice), False)


# --- health -------------------------------------------------------------------------------------------------


def test_health_means_it(served, marts):
    snapshot = current(marts)
    largest = max((file for table in ("counts", "outcomes") for file in snapshot.files(table)), key=os.path.getsize)
    whole = largest.read_bytes()
    assert served.asked("/healthz")[::2] == (200, "ok")
    try:
        largest.write_bytes(whole[:4])
        soon(lambda: served.asked("/healthz")[0] == 503)
        text = served.asked("/healthz")[2]
        assert len(text) < 20
        assert "/" not in text
        largest.write_bytes(whole)
        soon(lambda: served.asked("/healthz")[0] == 200)
        (marts / "snapshots").rename(marts / "away")
        soon(lambda: served.asked("/healthz")[0] == 503)
        (marts / "away").rename(marts / "snapshots")
    finally:
        largest.write_bytes(whole)
    soon(lambda: served.asked("/healthz")[0] == 200)


def test_a_file_of_another_size_is_not_there(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    assert health.is_there(file, 100)
    assert health.is_there(file, None)
    assert not health.is_there(file, 99)


# --- a turn for each ----------------------------------------------------------------------------------------


def test_what_was_imported_is_not_looked_through_for_garbage(tmp_path):
    """Streamlit looks for garbage after each run of a page, and nobody else is served meanwhile."""

    async def begun():
        async with asgi._with_parts(tmp_path, None):
            return len(gc.get_objects()), gc.get_freeze_count()

    try:
        left, frozen = ran(begun())
    finally:
        gc.unfreeze()
    assert left < frozen / 50


def test_the_server_begins_with_verifying_what_is_large(marts, monkeypatch):
    verified = []
    monkeypatch.setattr("data.marts._verify", lambda path, sha256: verified.append(path))
    asgi._read_ahead(marts)
    snapshot = current(marts)
    assert {*snapshot.evidence_places("cell_reads"), snapshot.folder / "outcomes-00000.parquet"} <= {*verified}


def test_a_server_without_a_snapshot_begins_all_the_same(tmp_path):
    asgi._read_ahead(tmp_path)


def test_no_more_run_at_once_than_may():
    gate, most, now = Gate(3, 30), [], []
    lock = threading.Lock()

    def run():
        with gate.turn() as is_in:
            assert is_in
            with lock:
                now.append(1)
                most.append(len(now))
            time.sleep(0.01)
            with lock:
                now.pop()

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), len(most)) == (3, 20)
    assert (gate.running, gate.waiting) == (0, 0)


def test_a_turn_is_given_back_when_a_run_fails_or_its_reader_leaves():
    gate = Gate(1, 30)

    def left():
        raise KeyError("left")

    with pytest.raises(ValueError, match="failed"), gate.turn():
        raise ValueError("failed")
    with gate.turn(), pytest.raises(KeyError), gate.turn(left):
        pass
    assert (gate.running, gate.waiting) == (0, 0)
    with gate.turn() as is_in:
        assert is_in


def test_who_waits_too_long_is_told_and_those_behind_come_in():
    gate = Gate(1, 0.1)
    with gate.turn():
        began = time.monotonic()
        with gate.turn() as is_in:
            assert not is_in
        assert 0.1 <= time.monotonic() - began < 2
    with gate.turn() as is_in:
        assert is_in


def test_a_gate_that_is_closed_lets_nobody_in():
    gate = Gate(2, 30)
    with gate.turn():
        gate.close()
        with gate.turn() as is_in:
            assert not is_in
    assert gate.running == 0


def test_turns_come_in_the_order_of_asking():
    gate, came = Gate(1, 30), []

    def run(number):
        with gate.turn():
            came.append(number)

    with gate.turn():
        threads = [threading.Thread(target=run, args=[number]) for number in range(6)]
        for number, thread in enumerate(threads):
            thread.start()
            soon(lambda wanted=number + 1: gate.waiting == wanted)
    for thread in threads:
        thread.join()
    assert came == list(range(6))


@pytest.fixture
def narrow(monkeypatch, marts):
    """The dashboard with room for one, who waits for nothing."""
    gate = Gate(1, 0.01)
    monkeypatch.setattr(turns, "gate", gate)
    monkeypatch.setenv("PCO_MARTS", str(marts))
    return gate


def test_a_busy_dashboard_says_so_and_keeps_the_filters(narrow):
    app = AppTest.from_file(turns.APP.with_name("gated_app.py"), default_timeout=60).run()
    assert not app.exception
    app.multiselect(key="type").set_value(["ESME"]).run()
    with narrow.turn():
        app.run()
        assert [warning.value[:9] for warning in app.warning] == ["**Busy.**"]
        assert not app.multiselect
    app.run()
    assert not app.warning
    assert app.multiselect(key="type").value == ["ESME"]
    assert narrow.running == 0


def test_a_page_that_fails_gives_its_turn_back(narrow, monkeypatch):
    monkeypatch.setattr(turns, "dashboard", lambda: compile("1 / 0", "broken", "exec"))
    app = AppTest.from_file(turns.APP.with_name("gated_app.py"), default_timeout=60).run()
    assert app.exception
    assert narrow.running == 0


# --- the end ------------------------------------------------------------------------------------------------


def test_told_to_stop_a_page_is_finished_and_nothing_is_left(marts):
    with serving(marts) as process:

        async def told_while_drawing():
            reader = await Reader.comes(process.address)
            await reader.asks()
            await reader.connection.recv()
            process.command.send_signal(signal.SIGTERM)
            drawn = await reader.sees()
            await reader.leaves()
            return drawn

        drawn = ran(told_while_drawing())
        assert (drawn.errors, drawn.is_busy, drawn.charts > 0) == ([], False, True)
        assert process.command.wait(20) == 0
        soon(lambda: not process.is_running())


def test_a_server_ends_with_the_command_that_started_it(marts):
    with serving(marts) as process:
        process.command.kill()
        process.command.wait()
        soon(lambda: not process.is_running())


# --- queries ------------------------------------------------------------------------------------------------

LONG = "select count(*) from range(10000000000000) where hash(range) = 1"


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def test_a_long_query_is_ended_and_its_connection_goes_on(connection):
    began = time.monotonic()
    with pytest.raises(QueryTooLong), interrupted_after(connection, 0.2):
        connection.sql(LONG).fetchall()
    assert 0.2 <= time.monotonic() - began < 5
    assert connection.sql("select 7").fetchall() == [(7,)]


def test_a_quick_query_is_left_alone(connection):
    with interrupted_after(connection, 5):
        assert connection.sql("select 7").fetchall() == [(7,)]
    time.sleep(0.1)
    assert threading.active_count() == len([one for one in threading.enumerate() if one.name != "query-watchdog"])


def test_many_quick_queries_are_ended_too(connection):
    def ask_all():
        with interrupted_after(connection, 0.2):
            for _ in range(1_000_000):
                connection.sql("select 1").fetchall()

    with pytest.raises(QueryTooLong):
        ask_all()


def test_an_error_of_the_query_itself_stays_what_it_is(connection):
    with pytest.raises(duckdb.CatalogException), interrupted_after(connection, 5):
        connection.sql("select * from nothing").fetchall()

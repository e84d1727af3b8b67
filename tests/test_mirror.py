"""Marts in an object store: what is put and fetched, what readers see, and what two writers may not do at once."""

import hashlib
import json
import os
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from builds import device, folders, pco, response, secure_devices
from object_store import serving
from test_build import outcomes_of

from dashboard import cli_serve
from data import mirror, s3
from data.marts import Hold, Snapshot, current, locked, opened

BUCKET, PREFIX = "estate", "the/marts"
MARTS = f"s3://{BUCKET}/{PREFIX}"
FAILED = {"service_responses": [response(n, responded_at=None) for n in (1, 2, 3)]}


@pytest.fixture(scope="module")
def server():
    with serving(BUCKET) as store:
        yield store


@pytest.fixture(scope="module")
def first(server, tmp_path_factory):
    """What a first build leaves: its extracts, the mirrors, and the objects in the store."""
    folder = tmp_path_factory.mktemp("first")
    server.forget()
    with settings(server, folder):
        built(folder)
    return folder, dict(server.objects)


@pytest.fixture
def store(server, tmp_path):
    """An empty object store and its settings by their usual names, and mirrors of this machine's own."""
    server.forget()
    with settings(server, tmp_path):
        yield server


@pytest.fixture
def begun(store, first, tmp_path) -> Path:
    """The extracts of a first build of three Devices, which is in the store and its mirror."""
    folder, objects = first
    store.objects |= objects
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "extracts"


def settings(store, folder: Path):
    told = {
        "AWS_ACCESS_KEY_ID": "writer",
        "AWS_SECRET_ACCESS_KEY": "of tests",
        "AWS_REGION": "eu-west-2",
        "AWS_ENDPOINT_URL": store.address,
        "AWS_EC2_METADATA_DISABLED": "true",
        mirror.VARIABLE: str(folder / "mirrors"),
    }
    return patch.dict(os.environ, told)


@pytest.fixture
def elsewhere(tmp_path):
    """Settings of another machine, which has its own mirrors."""
    return patch.dict(os.environ, {mirror.VARIABLE: str(tmp_path / "elsewhere")})


def build(extracts: Path, *options):
    return pco("build", "--extracts", extracts, "--marts", MARTS, "--max-quarantined", 1, *options)


def built(folder: Path, devices=(1, 2, 3), **extracts) -> Path:
    here = folders(folder, secure_devices(devices) | extracts)
    ran = build(here.extracts)
    assert ran.status == 0, ran.err
    return here.extracts


def status() -> dict:
    ran = pco("status", "--marts", MARTS, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def in_mirror() -> Snapshot:
    return current(mirror.Mirror(MARTS).folder)


def keys(store, folder: str) -> set[str]:
    return {key for key in store.objects if key.startswith(f"{PREFIX}/{folder}/") and not key.endswith("/")}


def head_of(store) -> dict:
    return json.loads(store.objects[max(keys(store, "heads"))].body)


def digests(snapshot: Snapshot) -> set[str]:
    return {file["sha256"] for file in snapshot.manifest["files"]}


# --- what is published --------------------------------------------------------------------------------------


def test_what_is_built_into_a_store_is_read_on_another_machine(tmp_path, store, elsewhere):
    extracts = built(tmp_path, **FAILED)
    here = tmp_path / "marts"
    assert pco("build", "--extracts", extracts, "--marts", here, "--max-quarantined", 1).status == 0
    with elsewhere:
        assert status()["devices_in_scope"] == 3
        assert outcomes_of(in_mirror()) == outcomes_of(current(here))
        assert {row["reported"] for row in outcomes_of(in_mirror())} == {"failed"}
        exported = tmp_path / "outcomes.parquet"
        assert pco("export", "outcomes", "--marts", MARTS, "--to", exported).status == 0
        assert exported.is_file()


def test_a_build_says_where_it_published(tmp_path, store):
    ran = build(folders(tmp_path).extracts)
    assert ran.out.splitlines()[-1].endswith(f"is in use in {MARTS}")
    assert "Putting the snapshot into the store" in ran.out


def test_objects_bear_the_digest_of_what_they_hold(tmp_path, store, begun):
    objects = keys(store, "objects")
    assert {hashlib.sha256(store.objects[key].body).hexdigest() for key in objects} == {
        key.removeprefix(f"{PREFIX}/objects/") for key in objects
    }
    [manifest] = head_of(store)["snapshots"].values()
    assert {f"{PREFIX}/objects/{digest}" for digest in digests(in_mirror()) | {manifest}} == objects


def test_a_status_for_programs_is_nothing_but_json(tmp_path, store, begun, elsewhere):
    with elsewhere:
        ran = pco("status", "--marts", MARTS, "--json")
    assert json.loads(ran.out)["snapshot"] == 1
    assert "Fetching snapshots" in ran.err


# --- only what is new ---------------------------------------------------------------------------------------


def test_only_what_is_new_is_put_and_fetched(tmp_path, store, begun, elsewhere):
    extracts = begun
    with elsewhere:
        status()
        before = digests(in_mirror())
    store.received.clear()
    store.fetched.clear()
    more = folders(tmp_path / "more", {"devices": [device(4)]}).extracts / "devices" / "part-0.parquet"
    (extracts / "devices" / "more.parquet").write_bytes(more.read_bytes())
    assert build(extracts).status == 0
    new = {f"{PREFIX}/objects/{digest}" for digest in digests(in_mirror()) - before}
    manifest = f"{PREFIX}/objects/{head_of(store)['snapshots']['000002']}"
    assert new
    assert {key for key in store.received if "/objects/" in key} == new | {manifest}
    with elsewhere:
        assert status()["devices_in_scope"] == 4
        assert digests(in_mirror()) & before
    fetched = {key: times for key, times in store.fetched.items() if "/objects/" in key}
    assert fetched == dict.fromkeys(new | {manifest}, 1)


def test_what_nothing_changed_asks_for_one_head_alone(tmp_path, store, begun):
    store.fetched.clear()
    status()
    assert dict(store.fetched) == {max(keys(store, "heads")): 1}


def test_a_damaged_mirror_is_fetched_anew(tmp_path, store, begun):
    for file in in_mirror().files("counts"):
        file.write_bytes(b"PAR1")
    assert status()["devices_in_scope"] == 3
    assert in_mirror().frame("counts").height


def test_a_file_as_large_as_to_be_put_in_parts_arrives_whole(store):
    body = bytes(range(256)) * 50_000
    prefix = s3.Prefix(MARTS)
    prefix.write("objects/large", body)
    assert store.objects[f"{PREFIX}/objects/large"].body == body
    assert len(store.parts["0"]) > 1
    assert prefix.read("objects/large", len(body)) == body
    with pytest.raises(OSError, match="has more than 10 bytes"):
        prefix.read("objects/large", 10)


# --- other commands -----------------------------------------------------------------------------------------


def test_a_snapshot_put_to_use_again_is_in_use_everywhere(tmp_path, store, elsewhere):
    built(tmp_path / "1", (1, 2, 3))
    built(tmp_path / "2", (1, 2, 3, 4))
    with elsewhere:
        assert (status()["snapshot"], status()["snapshots"]) == (2, [1, 2])
    ran = pco("snapshots", "use", 1, "--marts", MARTS)
    assert (ran.status, ran.out) == (0, f"Snapshot 1 is in use in {MARTS}\n")
    with elsewhere:
        assert status()["devices_in_scope"] == 3
    built(tmp_path / "3", (1, 2))
    with elsewhere:
        assert status()["snapshot"] == 3


def test_what_was_pruned_is_gone_everywhere_and_old_objects_with_it(tmp_path, store, elsewhere):
    for number in (1, 2, 3):
        built(tmp_path / str(number), range(1, number + 1))
        if number == 1:
            with elsewhere:
                status()
    with patch.object(mirror, "UNNAMED_NS", -(10**15)):
        assert pco("snapshots", "prune", "--marts", MARTS, "--keep", 2).status == 0
    assert list(head_of(store)["snapshots"]) == ["000002", "000003"]
    kept = [opened(in_mirror().folder.with_name(f"{number:06d}")) for number in (2, 3)]
    digest_of_each = digests(kept[0]) | digests(kept[1]) | set(head_of(store)["snapshots"].values())
    named = {f"{PREFIX}/objects/{digest}" for digest in digest_of_each}
    assert keys(store, "objects") == named
    with elsewhere:
        assert status()["snapshots"] == [2, 3]
        assert outcomes_of(in_mirror())


def test_an_object_of_a_build_under_way_is_not_removed(tmp_path, store, begun):
    store.put(f"{PREFIX}/objects/{'0' * 64}", b"of a build that has not published")
    assert pco("snapshots", "prune", "--marts", MARTS, "--keep", 1).status == 0
    assert f"{PREFIX}/objects/{'0' * 64}" in store.objects


def test_keep_of_a_build_removes_in_the_store_too(tmp_path, store):
    built(tmp_path / "1")
    assert build(folders(tmp_path / "2", secure_devices((1,))).extracts, "--keep", 1).status == 0
    assert list(head_of(store)["snapshots"]) == ["000002"]


def test_heads_that_are_past_go(tmp_path, store, begun):
    built(tmp_path / "2", (1,))
    marts = mirror.Mirror(MARTS)
    for name in ["000001", "000002"] * mirror.HEADS_KEPT:
        marts.use(name)
    assert len(keys(store, "heads")) == mirror.HEADS_KEPT
    assert status()["snapshot"] == 2


def test_verify_tells_of_an_object_that_the_store_lost(tmp_path, store, begun):
    assert pco("snapshots", "verify", "--marts", MARTS).status == 0
    [counts] = [file["sha256"] for file in in_mirror().manifest["files"] if file["table"] == "counts"]
    size = len(store.objects.pop(f"{PREFIX}/objects/{counts}").body)
    ran = pco("snapshots", "verify", "--marts", MARTS)
    assert ran.status == 1
    assert ran.problems == [f"pco: {MARTS}/objects/{counts}: has no bytes and not {size:,}"]


def test_a_dashboard_follows_what_is_published_elsewhere(tmp_path, store, begun, elsewhere, capsys):
    served, end = mirror.Mirror(MARTS), threading.Event()
    with elsewhere:
        built(tmp_path / "2", (1, 2, 3, 4))
    store.refuses = lambda method, key: True
    with patch.object(cli_serve, "ASKS_EVERY", 0.01):
        follower = threading.Thread(target=cli_serve.follow, args=[served, end])
        follower.start()
        until(lambda: "ACCESS_DENIED" in (said := capsys.readouterr().err) and "fetched before is served" in said)
        assert current(served.folder).number == 1
        store.refuses = lambda method, key: False
        until(lambda: current(served.folder).number == 2)
        end.set()
        follower.join()
    assert current(served.folder).rows("outcomes") == 4


def test_the_process_that_readers_reach_has_no_keys_of_the_store(store):
    told = cli_serve.without_keys()
    assert told["PATH"] == os.environ["PATH"]
    assert not [name for name in told if name.startswith("AWS_")]


def until(holds, seconds=60):
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_a_store_without_snapshots_has_none(store):
    ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert "no snapshot has been published here; run pco build first" in ran.problems[0]


@pytest.mark.parametrize("denied", ["objects", "heads"])
def test_a_store_that_takes_nothing_leaves_all_as_it_was(tmp_path, store, begun, elsewhere, denied):
    extracts = begun
    before = dict(store.objects)
    store.refuses = lambda method, key: method in ("PUT", "POST") and f"/{denied}/" in key
    (extracts / "devices" / "part-0.parquet").unlink(missing_ok=True)
    ran = build(folders(tmp_path / "more", secure_devices((1, 2, 3, 4))).extracts)
    assert ran.status == 1
    assert "ACCESS_DENIED" in ran.problems[0]
    assert (in_mirror().number, in_mirror().rows("outcomes")) == (1, 3)
    store.refuses = lambda method, key: False
    assert head_of(store) == json.loads(before[max(k for k in before if "/heads/" in k)].body)
    assert status()["snapshots"] == [1]
    with elsewhere:
        assert status()["snapshots"] == [1]
    # Of a head that was not taken it is not known whether it comes yet.
    for claim in keys(store, "claims"):
        del store.objects[claim]
    assert build(tmp_path / "more" / "extracts").status == 0
    assert status()["devices_in_scope"] == 4


def test_a_store_that_does_not_answer_is_said_to(tmp_path, store, begun):
    with patch.dict(os.environ, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}), patch.object(s3, "TRIES", 1):
        ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert "NETWORK_CONNECTION" in ran.problems[0]


def test_an_object_that_is_not_as_it_was_written_is_not_read(tmp_path, store, begun, elsewhere):
    counts = in_mirror().files("counts")[0]
    key = f"{PREFIX}/objects/{hashlib.sha256(counts.read_bytes()).hexdigest()}"
    store.put(key, counts.read_bytes()[:-1] + b"2")
    with elsewhere:
        ran = pco("status", "--marts", MARTS)
        assert ran.status == 1
        assert ran.problems[-1] == f"pco: s3://{BUCKET}/{key}: is not as it was written"
        assert not (mirror.Mirror(MARTS).folder / "CURRENT").exists()


def test_a_file_damaged_here_is_not_put(tmp_path, store):
    here = folders(tmp_path)
    really = mirror.Mirror.publish

    def damaged_before(self, snapshot, progress):
        [file] = snapshot.glob("counts-*")
        file.write_bytes(file.read_bytes()[:-1] + b"2")
        really(self, snapshot, progress)

    with patch.object(mirror.Mirror, "publish", damaged_before):
        ran = build(here.extracts)
    assert ran.status == 1
    assert "counts-00000.parquet is not as it was written" in ran.problems[0]
    assert keys(store, "heads") == set()
    assert {hashlib.sha256(store.objects[key].body).hexdigest() for key in keys(store, "objects")} == {
        key.rpartition("/")[2] for key in keys(store, "objects")
    }


def published_as(store, manifest: dict) -> None:
    """Another head, whose one snapshot has this manifest."""
    text = json.dumps(manifest).encode()
    digest = hashlib.sha256(text).hexdigest()
    store.put(f"{PREFIX}/objects/{digest}", text)
    told = head_of(store) | {"snapshots": {"000001": digest}}
    store.put(f"{PREFIX}/heads/000000002-{'a' * 32}.json", json.dumps(told).encode())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("../../../out.parquet", 1),
        ("/out.parquet", 1),
        ("a/../out.parquet", 1),
        ("./counts-00000.parquet", 1),
        ("manifest.json", 1),
        ("a\x1b[2J.parquet", 1),
        ("a.parquet", "abc"),
        ("a.parquet", -1),
        (["a.parquet"], 1),
    ],
)
def test_a_manifest_cannot_name_what_no_build_writes(tmp_path, store, begun, elsewhere, name, size):
    store.put(f"{PREFIX}/objects/{'0' * 64}", b"x")
    published_as(store, in_mirror().manifest | {"files": [{"name": name, "bytes": size, "sha256": "0" * 64}]})
    with elsewhere:
        ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert "a manifest in the store cannot be read (" in ran.problems[-1]
    assert "\x1b" not in ran.err
    assert list(tmp_path.rglob("out.parquet")) == []


def test_a_manifest_cannot_name_a_file_twice(tmp_path, store, begun, elsewhere):
    files = in_mirror().manifest["files"]
    published_as(store, in_mirror().manifest | {"files": [*files, files[0] | {"sha256": "0" * 64}]})
    with elsewhere:
        ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert "it names a file twice" in ran.problems[-1]


@pytest.mark.parametrize("change", [{"format": 3}, {"snapshot": "000007"}])
def test_what_cannot_be_opened_here_is_not_put_to_use(tmp_path, store, begun, change):
    published_as(store, in_mirror().manifest | change)
    assert pco("status", "--marts", MARTS).status == 1
    assert (in_mirror().manifest["format"], in_mirror().manifest["snapshot"]) == (2, "000001")


def test_an_object_longer_than_its_manifest_says_is_not_fetched_to_its_end(tmp_path, store, begun, elsewhere):
    counts = in_mirror().files("counts")[0].read_bytes()
    manifest = in_mirror().manifest
    [file] = [file for file in manifest["files"] if file["table"] == "counts"]
    store.put(f"{PREFIX}/objects/{file['sha256']}", counts * 3)
    with elsewhere:
        ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert f"has {3 * len(counts)} bytes and not {len(counts):,}" in ran.problems[-1]


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"{}",
        b'{"in_use": "000009", "greatest": "000009", "snapshots": {}}',
        b'{"in_use": "../../x", "greatest": "zzzzzz", "snapshots": {"../../x": "' + b"0" * 64 + b'"}}',
        b'{"in_use": "000002", "greatest": "000001", "snapshots": {"000002": "' + b"0" * 64 + b'"}}',
    ],
)
def test_a_head_that_is_none_is_refused_by_name(tmp_path, store, begun, head):
    store.put(f"{PREFIX}/heads/000000002-{'a' * 32}.json", head)
    ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert ran.problems[0].startswith(f"pco: {MARTS}/heads/000000002-{'a' * 32}.json: is no head (")


def test_a_store_that_was_emptied_does_not_empty_the_mirror(tmp_path, store, begun):
    store.objects.clear()
    ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert "what was published here is gone from the store" in ran.problems[0]
    assert in_mirror().rows("outcomes") == 3


# --- two at once --------------------------------------------------------------------------------------------


def test_of_two_builds_at_once_the_later_is_refused(tmp_path, store, begun, elsewhere):
    really = mirror.Mirror.publish

    def after_another(self, snapshot, progress):
        with patch.object(mirror.Mirror, "publish", really), elsewhere:
            built(tmp_path / "theirs", (1, 2, 3, 4, 5))
        really(self, snapshot, progress)

    with patch.object(mirror.Mirror, "publish", after_another):
        ran = build(folders(tmp_path / "ours", secure_devices((1, 2, 3, 4))).extracts)
    assert (ran.status, ran.problems) == (
        1,
        [f"pco: {MARTS}: something else was published there meanwhile; run the command again"],
    )
    assert status()["devices_in_scope"] == 5
    assert build(tmp_path / "ours" / "extracts").status == 0
    with elsewhere:
        assert (status()["snapshot"], status()["devices_in_scope"]) == (3, 4)


def test_who_finds_another_claim_gives_up(tmp_path, store, begun):
    store.put(f"{PREFIX}/claims/000000002-{'f' * 32}", b"1")
    ran = build(folders(tmp_path / "ours", secure_devices((1, 2, 3, 4))).extracts)
    assert ran.status == 1
    assert "something else is being published there" in ran.problems[0]
    assert len(keys(store, "heads")) == 1
    assert status()["devices_in_scope"] == 3


def test_a_claim_of_a_process_that_died_does_not_last(tmp_path, store, begun):
    claim = f"{PREFIX}/claims/000000002-{'f' * 32}"
    store.put(claim, b"1")
    old = store.objects[claim]
    store.objects[claim] = old._replace(at=old.at - timedelta(hours=1))
    built(tmp_path / "ours", (1, 2, 3, 4))
    assert status()["devices_in_scope"] == 4
    assert keys(store, "claims") == set()


def test_a_head_that_may_come_yet_keeps_its_number_claimed(tmp_path, store, begun):
    store.refuses = lambda method, key: method == "PUT" and "/heads/" in key
    more = folders(tmp_path / "more", secure_devices((1, 2, 3, 4))).extracts
    assert build(more).status == 1
    store.refuses = lambda method, key: False
    [claim] = keys(store, "claims")
    assert "15 minutes" in build(more).problems[-1]
    assert keys(store, "claims") == {claim}
    old = store.objects[claim]
    store.objects[claim] = old._replace(at=old.at - timedelta(hours=1))
    assert build(more).status == 0
    assert keys(store, "claims") == set()
    assert status()["devices_in_scope"] == 4


def test_a_claim_left_behind_does_not_keep_old_objects(tmp_path, store, begun):
    store.put(f"{PREFIX}/claims/000000001-{'f' * 32}", b"1")
    stray = f"{PREFIX}/objects/{'0' * 64}"
    store.put(stray, b"of a build that died")
    with patch.object(mirror, "UNNAMED_NS", -(10**15)):
        assert pco("snapshots", "prune", "--marts", MARTS, "--keep", 1).status == 0
    assert stray not in store.objects


def test_who_claims_after_a_head_of_his_number_gives_up(tmp_path, store, begun):
    told = {name: head_of(store)[name] for name in ("in_use", "greatest", "snapshots")}
    with pytest.raises(RuntimeError, match="something else was published there meanwhile"):
        mirror.Mirror(MARTS)._replace(None, **told)
    assert (len(keys(store, "heads")), keys(store, "claims")) == (1, set())


def test_a_number_is_not_used_again_after_an_earlier_snapshot_was_put_to_use(tmp_path, store, elsewhere):
    built(tmp_path / "1", (1,))
    with elsewhere:
        status()
    built(tmp_path / "2", (1, 2))
    assert pco("snapshots", "use", 1, "--marts", MARTS).status == 0
    with elsewhere:
        assert (status()["snapshot"], status()["snapshots"]) == (1, [1, 2])
        store.fetched.clear()
        assert status()["snapshots"] == [1, 2]
        assert [key for key in store.fetched if "/objects/" in key] == []
        built(tmp_path / "3", (1, 2, 3))
        assert (status()["snapshot"], status()["snapshots"]) == (3, [1, 2, 3])
    assert status()["snapshots"] == [1, 2, 3]


def test_who_prunes_stops_once_something_is_published(tmp_path, store, elsewhere):
    first = built(tmp_path / "1", (1, 2, 3))
    built(tmp_path / "2", (1, 2))
    removed, really = [], s3.Prefix.remove

    def then_the_same_again(self, name):
        really(self, name)
        removed.extend([name] * name.startswith("objects/"))
        if len(removed) == 1:
            with patch.object(s3.Prefix, "remove", really), elsewhere:
                assert build(first).status == 0

    with patch.object(mirror, "UNNAMED_NS", -(10**15)), patch.object(s3.Prefix, "remove", then_the_same_again):
        assert pco("snapshots", "prune", "--marts", MARTS, "--keep", 1).status == 0
    assert len(removed) == 1
    assert status()["snapshots"] == [2, 3]
    assert pco("snapshots", "verify", "--marts", MARTS).status == 0


def test_what_the_store_lost_is_put_again_by_the_next_build(tmp_path, store, begun, elsewhere):
    extracts = begun
    evidence = [file for file in in_mirror().manifest["files"] if file["table"].startswith("evidence/")]
    del store.objects[f"{PREFIX}/objects/{evidence[0]['sha256']}"]
    with elsewhere:
        assert pco("status", "--marts", MARTS).status == 1
    assert build(extracts).status == 0
    with elsewhere:
        assert status()["snapshot"] == 2


def test_an_old_snapshot_that_the_store_lost_holds_up_no_reader(tmp_path, store, elsewhere):
    built(tmp_path / "1", (1, 2))
    counts = hashlib.sha256(in_mirror().files("counts")[0].read_bytes()).hexdigest()
    built(tmp_path / "2", (3, 4, 5))
    del store.objects[f"{PREFIX}/objects/{counts}"]
    with elsewhere:
        ran = pco("status", "--marts", MARTS, "--json")
        assert (ran.status, json.loads(ran.out)["snapshots"]) == (0, [2])


@pytest.mark.parametrize("whose", ["manifest", "counts"])
def test_an_old_snapshot_that_the_store_lost_can_be_pruned(tmp_path, store, begun, elsewhere, whose):
    counts = in_mirror().files("counts")[0].read_bytes()
    lost = {"counts": hashlib.sha256(counts).hexdigest(), "manifest": head_of(store)["snapshots"]["000001"]}[whose]
    built(tmp_path / "2", (3, 4, 5, 6))
    del store.objects[f"{PREFIX}/objects/{lost}"]
    assert lost in pco("snapshots", "verify", "--marts", MARTS).problems[0]
    with elsewhere:
        assert status()["snapshots"] == [2]
        # It is not asked for again and again.
        store.fetched.clear()
        assert status()["snapshots"] == [2]
        assert [key for key in store.fetched if "/objects/" in key] == []
        assert pco("snapshots", "prune", "--marts", MARTS, "--keep", 5).status == 0
        built(tmp_path / "3", (3, 4))
        assert status()["snapshots"] == [2, 3]
    assert status()["snapshots"] == [2, 3]
    assert pco("snapshots", "verify", "--marts", MARTS).problems == []


def test_verify_takes_nothing_away_that_it_cannot_fetch(tmp_path, store, begun):
    counts, outcomes = (in_mirror().files(table)[0] for table in ("counts", "outcomes"))
    del store.objects[f"{PREFIX}/objects/{hashlib.sha256(counts.read_bytes()).hexdigest()}"]
    outcomes.write_bytes(outcomes.read_bytes()[:-5] + b"x" + outcomes.read_bytes()[-4:])
    assert pco("snapshots", "verify", "--marts", MARTS).status == 1
    assert counts.is_file()
    assert status()["snapshot"] == 1


def test_damage_that_keeps_the_size_is_told_and_mended_by_verify(tmp_path, store, begun):
    counts = in_mirror().files("counts")[0]
    body = counts.read_bytes()
    counts.write_bytes(body[:-5] + b"x" + body[-4:])
    assert pco("snapshots", "verify", "--marts", MARTS).status == 1
    assert pco("snapshots", "verify", "--marts", MARTS).status == 0
    assert in_mirror().files("counts")[0].read_bytes() == body


def test_a_damaged_snapshot_that_a_process_reads_is_left_alone(tmp_path, store, begun):
    held = Hold(in_mirror().folder)
    in_mirror().files("counts")[0].write_bytes(b"PAR1")
    ran = pco("status", "--marts", MARTS)
    assert ran.status == 1
    assert "snapshot 1 is damaged here, and a process reads it" in ran.problems[-1]
    del held
    assert status()["devices_in_scope"] == 3


def test_who_finds_nothing_new_needs_no_lock(tmp_path, store, begun):
    with locked(in_mirror().folder.parent.parent):
        mirror.Mirror(MARTS).pull()
        assert status()["snapshot"] == 1


def test_who_reads_while_it_is_built_here_sees_what_was_in_use(tmp_path, store, begun):
    really, seen = mirror.Mirror.publish, []

    def looked_at(self, snapshot, progress):
        seen.append(status()["snapshot"])
        really(self, snapshot, progress)

    with patch.object(mirror.Mirror, "publish", looked_at):
        built(tmp_path / "2", (1, 2, 3, 4))
    assert seen == [1]
    assert status()["snapshot"] == 2

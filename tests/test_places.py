"""Where extracts are: paths, file: URLs, and an object store, from which only what changed is fetched."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from builds import device, folders, pco, pco_build, response, secure_devices
from object_store import serving
from test_build import outcomes_of

from data import places, s3
from data.marts import current

BUCKET, PREFIX = "estate", "of/the month"


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ("/a/b", "/a/b"),
        ("a:b/c", "a:b/c"),
        ("file:/a/b", "/a/b"),
        ("file:///a%20b", "/a b"),
        ("file://localhost/a", "/a"),
    ],
)
def test_a_place_is_a_path_or_a_file_url(named, place):
    assert places.place(named) == Path(place)


@pytest.mark.parametrize(("extracts", "marts"), [("hdfs://name/extracts", "marts"), ("/e", "hdfs://n/m")])
def test_a_url_of_another_kind_is_refused_by_name(tmp_path, extracts, marts):
    ran = pco("build", "--extracts", extracts, "--marts", marts if ":" in marts else tmp_path / marts)
    [problem] = ran.problems
    assert ran.status == 1
    assert "only paths, file: and s3: are known; mount the store, or copy it" in problem
    assert list(tmp_path.iterdir()) == []


def test_a_check_looks_at_folders_only():
    ran = pco("check", "--extracts", "s3://bucket/extracts")
    [problem] = ran.problems
    assert ran.status == 1
    assert "is taken by --marts and by --extracts of pco build alone" in problem


# --- an object store ----------------------------------------------------------------------------------------


@pytest.fixture
def store():
    """An object store, and its settings in the environment by their usual names."""
    with serving(BUCKET) as store:
        settings = {
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "of tests",
            "AWS_REGION": "eu-west-2",
            "AWS_ENDPOINT_URL": store.address,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with patch.dict(os.environ, settings):
            yield store


@pytest.fixture(autouse=True)
def at_rest():
    """An object that was put a moment ago is known again all the same."""
    with patch.object(places, "SETTLED_SECONDS", -3600):
        yield


def put(store, prefix, extracts):
    for file in filter(Path.is_file, extracts.rglob("*")):
        store.put(f"{prefix}/{file.relative_to(extracts).as_posix()}", file.read_bytes())


def build(prefix, marts, *options):
    return pco("build", "--extracts", f"s3://{BUCKET}/{prefix}", "--marts", marts, "--max-quarantined", 1, *options)


def fetched(marts):
    return {file.relative_to(marts / "fetched").as_posix() for file in (marts / "fetched").rglob("*.parquet")}


def asked_for(store):
    """The objects below the prefix that were fetched since this was last asked, and how often each was."""
    found = {key.removeprefix(f"{PREFIX}/"): times for key, times in store.fetched.items()}
    store.fetched.clear()
    return found


def test_a_build_from_a_store_is_that_of_the_folder(tmp_path, store):
    extracts = secure_devices() | {"service_responses": [response(n, responded_at=None) for n in (1, 2, 3)]}
    here = folders(tmp_path / "here", extracts, months=True)
    put(store, PREFIX, here.extracts)
    assert pco_build(here).status == 0
    ran = build(PREFIX, tmp_path / "marts")
    assert (ran.status, ran.problems) == (0, [])
    assert "Fetching the extracts" in ran.out
    ours, theirs = current(tmp_path / "marts"), current(here.marts)
    assert outcomes_of(ours) == outcomes_of(theirs)
    assert {row["reported"] for row in outcomes_of(ours)} == {"failed"}
    of_files = [
        {f["name"]: f["sha256"] for f in found.manifest["extracts"]["devices"]["files"]} for found in (ours, theirs)
    ]
    assert of_files[0] == of_files[1]
    assert fetched(tmp_path / "marts") == {
        p.relative_to(here.extracts).as_posix() for p in here.extracts.rglob("*.parquet")
    }


def test_only_what_changed_is_fetched(tmp_path, store):
    here, marts = folders(tmp_path / "here", months=True), tmp_path / "marts"
    put(store, PREFIX, here.extracts)
    assert build(PREFIX, marts).status == 0
    assert asked_for(store) == dict.fromkeys(fetched(marts), 1)
    assert build(PREFIX, marts).status == 0
    assert asked_for(store) == {}
    more = folders(tmp_path / "more", {"devices": [device(4)]}).extracts / "devices" / "part-0.parquet"
    store.put(f"{PREFIX}/devices/more.parquet", more.read_bytes())
    assert build(PREFIX, marts).status == 0
    assert asked_for(store) == {"devices/more.parquet": 1}
    assert current(marts).rows("outcomes") == 4


def test_what_is_gone_from_the_store_is_gone(tmp_path, store):
    here, marts = folders(tmp_path / "here", secure_devices(), files=2), tmp_path / "marts"
    put(store, PREFIX, here.extracts)
    assert build(PREFIX, marts).status == 0
    del store.objects[f"{PREFIX}/devices/part-1.parquet"]
    assert build(PREFIX, marts).status == 0
    assert "devices/part-1.parquet" not in fetched(marts)
    assert current(marts).rows("outcomes") == 2


def test_what_was_changed_or_lost_here_is_fetched_anew(tmp_path, store):
    here, marts = folders(tmp_path / "here"), tmp_path / "marts"
    put(store, PREFIX, here.extracts)
    assert build(PREFIX, marts).status == 0
    (marts / "fetched" / "devices" / "part-0.parquet").write_bytes(b"PAR1")
    (marts / "fetched" / "parties" / "part-0.parquet").unlink()
    (marts / "fetched" / "stray").write_text("of nobody", encoding="utf-8")
    asked_for(store)
    assert build(PREFIX, marts).status == 0
    assert asked_for(store) == {"devices/part-0.parquet": 1, "parties/part-0.parquet": 1}
    assert not (marts / "fetched" / "stray").exists()


def test_an_object_that_may_have_changed_within_the_hour_is_fetched_again(tmp_path, store):
    here, marts = folders(tmp_path / "here"), tmp_path / "marts"
    put(store, PREFIX, here.extracts)
    with patch.object(places, "SETTLED_SECONDS", 3600):
        assert build(PREFIX, marts).status == 0
        assert build(PREFIX, marts).status == 0
    assert set(asked_for(store).values()) == {2}


def test_another_prefix_takes_the_place_of_the_one_before(tmp_path, store):
    marts = tmp_path / "marts"
    for number, devices in enumerate([(1, 2, 3), (4, 5)]):
        put(store, f"{PREFIX}/{number}", folders(tmp_path / str(number), secure_devices(devices)).extracts)
        assert build(f"{PREFIX}/{number}", marts).status == 0
        assert current(marts).rows("outcomes") == len(devices)


# --- what cannot be fetched ---------------------------------------------------------------------------------


def test_a_prefix_without_objects_is_no_folder(tmp_path, store):
    ran = build("nothing/here", tmp_path / "marts")
    assert (ran.status, ran.problems) == (3, [f"pco: s3://{BUCKET}/nothing/here: no such folder"])
    assert not (tmp_path / "marts").exists()


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, store):
    put(store, PREFIX, folders(tmp_path / "here").extracts)
    store.put(f"{PREFIX}/../out.parquet", b"PAR1")
    ran = build(PREFIX, tmp_path / "marts")
    assert ran.status == 3
    assert ran.problems == ["pco: ../out.parquet: its name is not that of a file below the folder"]


def test_an_object_that_changes_while_it_is_fetched_refuses_the_build(tmp_path, store):
    here, marts = folders(tmp_path / "here"), tmp_path / "marts"
    put(store, PREFIX, here.extracts)
    assert build(PREFIX, marts).status == 0
    store.put(f"{PREFIX}/devices/part-0.parquet", b"PAR1 of another time")
    listed = places._listed

    def and_changes(*asked):
        found = listed(*asked)
        store.put(f"{PREFIX}/devices/part-0.parquet", b"PAR1 of still another time")
        return found

    with patch.object(places, "_listed", and_changes):
        ran = build(PREFIX, marts)
    assert (ran.status, ran.problems) == (3, ["pco: devices/part-0.parquet: changed while it was fetched"])
    assert current(marts).number == 1


def test_a_store_that_does_not_answer_leaves_all_as_it_was(tmp_path, store):
    here, marts = folders(tmp_path / "here"), tmp_path / "marts"
    put(store, PREFIX, here.extracts)
    assert build(PREFIX, marts).status == 0
    before = fetched(marts)
    with patch.dict(os.environ, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}), patch.object(s3, "TRIES", 1):
        ran = build(PREFIX, marts)
    [problem] = ran.problems
    assert ran.status == 1
    assert "NETWORK_CONNECTION" in problem
    assert (current(marts).number, fetched(marts)) == (1, before)

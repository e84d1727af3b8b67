"""What is damaged is never read as if it were whole: an error in plain words, or the snapshot before it serves."""

import random
import shutil

import polars as pl
import pytest
from builds import pco
from faulty import whole, whole_folder
from thorough import times

from data import marts as marts_module
from data.marts import Draft, NoSnapshot, SnapshotDamaged, current, digest_of, opened, snapshots

BUCKETS = 3


@pytest.fixture(autouse=True)
def as_a_new_process():
    """A process verifies a file once; each test begins as one that has read nothing."""
    forget()


def forget():
    marts_module._checked.clear()
    marts_module._told.clear()


def publish(folder, value):
    with Draft(folder) as draft:
        for table, rows in (("counts", 20), ("parties", 5), ("outcomes", 300)):
            draft.write(table, pl.DataFrame({"value": [value] * rows, "row": range(rows)}))
        for bucket in range(BUCKETS):
            file = draft.work / f"{bucket}.parquet"
            pl.DataFrame({"value": [value] * 50}).write_parquet(file)
            draft.take("evidence/attempts", file, f"evidence/attempts/{bucket}/attempts.parquet", 50, digest_of(file))
        return draft.publish({"value": value})


@pytest.fixture
def two(tmp_path):
    """A marts folder with two snapshots of small tables, each of whose values is the snapshot's number."""
    for number in (1, 2):
        publish(tmp_path / "marts", number)
    return tmp_path / "marts"


def values(snapshot):
    """Every value that a reader finds, by table; None where the table is said to be damaged."""
    wanted = {name: (lambda name=name: snapshot.files(name)) for name in ("counts", "parties", "outcomes")}
    wanted["evidence"] = lambda: snapshot.evidence_files("attempts")
    found = {"manifest": {snapshot.manifest["value"]}}
    for name, files in wanted.items():
        try:
            found[name] = {*pl.read_parquet(files(), glob=False, hive_partitioning=False)["value"].to_list()}
        except SnapshotDamaged:
            found[name] = None
    return found


POINTERS = {
    "empty": b"",
    "blank": b"\n",
    "half": b"0000",
    "the greatest gone": b"000002\n000002",
    "of others": b"000001\n000002 0123456789abcdef\n",
    "zeros": bytes(7),
    "no text": b"\xff\xfe0002",
    "a path": b"../../etc\n",
    "lines": b"000001\n000002\n",
    "gone": None,
}


@pytest.mark.parametrize("content", POINTERS)
def test_without_a_sound_pointer_the_newest_snapshot_serves_and_the_next_build_mends_it(two, content):
    if POINTERS[content] is None:
        (two / "CURRENT").unlink()
    else:
        (two / "CURRENT").write_bytes(POINTERS[content])
    snapshot = current(two)
    assert snapshot.number == 2
    assert "CURRENT names no snapshot" in snapshot.instead_of
    assert [one.number for one in snapshots(two)] == [1, 2]
    done = pco("snapshots", "verify", "--marts", two)
    assert (done.status, len(done.problems)) == (1, 1)
    assert publish(two, 3).number == 3
    assert (whole(two)[0], current(two).instead_of) == (3, None)
    assert current(two).manifest["parent"] == "000002"


def test_a_pointer_that_is_a_folder_or_names_nothing(two):
    (two / "CURRENT").write_text("000007\n")
    assert current(two).number == 2
    assert publish(two, 8).number == 8
    (two / "CURRENT").unlink()
    (two / "CURRENT").mkdir()
    assert current(two).number == 8


DAMAGE = {
    "manifest truncated": lambda folder: cut(folder / "manifest.json"),
    "manifest empty": lambda folder: (folder / "manifest.json").write_bytes(b""),
    "manifest gone": lambda folder: (folder / "manifest.json").unlink(),
    "manifest of another": lambda folder: swap(folder),
    "manifest changed": lambda folder: change(folder / "manifest.json", b'"value": 2', b'"value": 9'),
    "digest gone": lambda folder: (folder / "manifest.sha256").unlink(),
    "digest changed": lambda folder: (folder / "manifest.sha256").write_text("0" * 64 + "  manifest.json\n"),
    "counts gone": lambda folder: (folder / "counts-00000.parquet").unlink(),
    "counts cut": lambda folder: cut(folder / "counts-00000.parquet"),
    "counts of another": lambda folder: shutil.copy(folder.parent / "000001" / "counts-00000.parquet", folder),
    "parties a folder": lambda folder: [
        (folder / "parties-00000.parquet").unlink(),
        (folder / "parties-00000.parquet").mkdir(),
    ],
    "outcomes gone": lambda folder: (folder / "outcomes-00000.parquet").unlink(),
    "outcomes cut": lambda folder: cut(folder / "outcomes-00000.parquet"),
    "evidence gone": lambda folder: shutil.rmtree(folder / "evidence" / "attempts" / "1"),
    "all gone": lambda folder: [path.unlink() for path in folder.iterdir() if path.is_file()],
    "folder gone": shutil.rmtree,
    "a link in its place": lambda folder: [
        (folder / "outcomes-00000.parquet").unlink(),
        (folder / "outcomes-00000.parquet").symlink_to(folder.parent / "000001" / "outcomes-00000.parquet"),
    ],
}


NEED_ANOTHER = ("manifest of another", "manifest changed", "counts of another", "a link in its place")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change(path, before, after):
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after))


def swap(folder):
    for name in ("manifest.json", "manifest.sha256"):
        shutil.copy(folder.parent / "000001" / name, folder)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_snapshot_is_not_opened_and_the_one_before_it_serves(two, damage, caplog):
    DAMAGE[damage](two / "snapshots" / "000002")
    snapshot = current(two)
    assert snapshot.number == 1
    assert "snapshot 1 is read in its place" in snapshot.instead_of
    assert values(snapshot) == {key: {1} for key in values(snapshot)}
    assert snapshot.instead_of in caplog.text
    caplog.clear()
    current(two)
    assert caplog.text == ""
    # And the next build recovers by itself.
    newer = publish(two, 3)
    assert (newer.number, newer.manifest["parent"], current(two).instead_of) == (3, "000001", None)
    assert values(current(two)) == {key: {3} for key in values(snapshot)}


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name not in NEED_ANOTHER])
def test_without_another_snapshot_the_damage_is_an_error(tmp_path, damage):
    publish(tmp_path / "marts", 1)
    DAMAGE[damage](tmp_path / "marts" / "snapshots" / "000001")
    with pytest.raises(NoSnapshot):
        current(tmp_path / "marts")
    done = pco("status", "--marts", tmp_path / "marts")
    assert (done.status, len(done.problems)) == (1, 1)
    assert publish(tmp_path / "marts", 2).number == 2


def test_a_large_table_is_verified_when_it_is_asked_for(two):
    file = two / "snapshots" / "000002" / "outcomes-00000.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    snapshot = current(two)
    assert (snapshot.number, snapshot.instead_of) == (2, None)
    assert values(snapshot) == {name: None if name == "outcomes" else {2} for name in values(snapshot)}
    with pytest.raises(SnapshotDamaged, match=r"outcomes-00000.parquet is not as it was written.*ask the operator"):
        snapshot.files("outcomes")
    done = pco("snapshots", "verify", "--marts", two)
    assert done.status == 1
    assert done.problems == ["pco: snapshot 2: outcomes-00000.parquet is not as it was written"]
    assert done.out.splitlines() == ["snapshot 1: whole", "snapshot 2: damaged"]
    done = pco("snapshots", "use", "2", "--marts", two)
    assert (done.status, len(done.problems)) == (1, 1)
    assert pco("snapshots", "use", "1", "--marts", two).status == 0
    assert current(two).number == 1


def test_damage_after_a_file_was_verified_is_seen_when_the_file_changes(two):
    snapshot = current(two)
    assert values(snapshot) == {key: {2} for key in values(snapshot)}
    (snapshot.folder / "outcomes-00000.parquet").unlink()
    shutil.copy(two / "snapshots" / "000001" / "outcomes-00000.parquet", snapshot.folder)
    assert values(snapshot)["outcomes"] is None


def test_no_flipped_bit_is_ever_read_as_data(two, tmp_path):
    chance = random.Random(11)
    kept = shutil.copytree(two, tmp_path / "kept")
    files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file() and path.name != "LOCK")
    told = {"served the one before": 0, "said to be damaged": 0, "the pointer not believed": 0}
    for _ in range(times(60, 1_500)):
        name = chance.choice([file for file in files if "000001" not in file.parts])
        content = bytearray((kept / name).read_bytes())
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        (two / name).write_bytes(content)
        forget()
        snapshot = current(two)
        found = values(snapshot)
        assert all(value in (None, {snapshot.number}) for value in found.values()), (name, place)
        if name.name == "CURRENT":
            assert (snapshot.number, len(snapshots(two))) == (2, 2)
            assert "CURRENT names no snapshot" in snapshot.instead_of
            told["the pointer not believed"] += 1
        elif snapshot.number == 1:
            assert snapshot.instead_of
            told["served the one before"] += 1
        else:
            assert [name for name, value in found.items() if value is None] != []
            told["said to be damaged"] += 1
        del snapshot
        (two / name).write_bytes((kept / name).read_bytes())
    assert min(told.values()) > 0
    forget()
    whole_folder(two / "snapshots" / "000002")
    assert values(current(two)) == {key: {2} for key in found}
    print(f"\n{told}")


def test_a_manifest_may_not_name_files_outside_its_snapshot(two):
    folder = two / "snapshots" / "000002"
    change(folder / "manifest.json", b'"counts-00000.parquet"', b'"../000001/counts-00000.parquet"')
    marts_module.seal(folder)
    with pytest.raises(SnapshotDamaged, match="its manifest names"):
        opened(folder)


def test_a_snapshot_of_a_later_version_is_told(two):
    folder = two / "snapshots" / "000002"
    change(folder / "manifest.json", b'"format": 2', b'"format": 3')
    marts_module.seal(folder)
    with pytest.raises(SnapshotDamaged, match="of a later version"):
        opened(folder)


def test_a_snapshot_of_the_first_format_is_opened(two):
    """It had no digest of its manifest and no sizes."""
    folder = two / "snapshots" / "000002"
    change(folder / "manifest.json", b'"format": 2', b'"format": 1')
    (folder / "manifest.sha256").unlink()
    assert values(current(two)) == {key: {2} for key in values(current(two))}
    (folder / "counts-00000.parquet").write_bytes(b"PAR1")
    assert current(two).number == 1

"""What each scope's folder holds, reckoned anew from the published snapshot, and what it must not hold."""

import json
import math
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from thorough import times

from analysis import peers
from analysis.anonymous_peers import anonymous, beside
from analysis.disclosure import policy
from analysis.one_device import as_party_sees
from analysis.protected import NOT_TOLD, OUTCOME, WHERE, protected
from analysis.scopes import ANOTHER, scoped
from data.history import history
from data.reduction import duis_form
from data.scopes import ALL, Scope, ScopeDamaged, prune, scope_key

ROLES = ("supplier_at_commissioning", "supplier", "network_operator")
AGGREGATES, OPERATOR = Scope("aggregates"), Scope("operator")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("scopes")


@pytest.fixture(scope="module")
def outcomes(demonstration):
    return demonstration.frame("outcomes")


@pytest.fixture(scope="module")
def party(outcomes):
    """A Supplier that also lost Devices to others, and took some over."""
    moved = outcomes.filter(pl.col("supplier") != pl.col("supplier_at_commissioning"))
    return moved["supplier_at_commissioning"].value_counts(sort=True, name="n").row(2)[0]


@pytest.fixture(scope="module")
def own(demonstration, party, root):
    return scoped(demonstration, Scope("party", party), root)


def of_party(rows, party):
    return [row for row in rows if party in (row[role] for role in ROLES)]


def test_the_published_snapshot_is_the_scope_of_all(demonstration, root):
    assert scoped(demonstration, ALL, root) is demonstration
    assert scope_key(demonstration) == "all"


def test_a_party_has_the_devices_that_are_or_were_its_own_and_no_other(own, outcomes, party):
    wanted = of_party(outcomes.to_dicts(), party)
    found = own.frame("outcomes")
    assert sorted(found["device_key"]) == sorted(row["device_key"] for row in wanted)
    assert 0 < found.height < outcomes.height
    for role in ROLES:
        assert set(found[role].drop_nulls()) <= {party, ANOTHER}
        assert (found[role] == party).sum() == sum(row[role] == party for row in wanted)


def test_a_partys_counts_are_of_its_rows(own, outcomes, party):
    wanted = of_party(outcomes.to_dicts(), party)
    counts = own.frame("counts")
    assert counts["devices"].sum() == len(wanted)
    for finding in {row["finding"] for row in wanted}:
        told = counts.filter(pl.col("finding") == finding)["devices"].sum()
        assert told == sum(row["finding"] == finding for row in wanted), finding
    incidents = own.frame("incidents")
    assert set(incidents["device_key"]) <= {row["device_key"] for row in wanted}
    assert incidents.height > 0


def bytes_of(folder):
    """Every file as text of its values, as compressed bytes hide what they hold."""
    texts = []
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".parquet":
            texts.append(json.dumps(pl.read_parquet(file, glob=False).rows(), default=str))
        elif file.is_file():
            texts.append(file.read_text())
    return "\n".join(texts)


def names_of_others(demonstration, party):
    parties = demonstration.frame("parties").filter(pl.col("party_id") != party)
    peers = parties.filter(pl.col("role").is_in(["Supplier", "NetworkOperator"]))
    return {text for name in ("party_id", "party_name", "eui") for text in peers[name]}


def test_no_file_of_a_party_names_another(own, demonstration, party):
    told = bytes_of(own.folder)
    canaries = names_of_others(demonstration, party)
    assert len(canaries) > 50
    assert [name for name in canaries if f'"{name}"' in told or (name in told and len(name) > 6)] == []
    assert f'"{party}"' in told


def quarters_of_peers(outcomes, role, party):
    """Quarter -> [(due, failed)] of each other party in the role, counted Device by Device."""
    seen = {}
    for row in outcomes.to_dicts():
        moment, other = row["commissioned_at"], row[role]
        if other in (None, party) or row["reported"] == "not_due":
            continue
        found = seen.setdefault(f"{moment.year} Q{(moment.month - 1) // 3 + 1}", {}).setdefault(other, [0, 0])
        found[0] += 1
        found[1] += row["reported"] == "failed"
    return {quarter: list(parties.values()) for quarter, parties in seen.items()}


def test_a_partys_peers_are_deciles_within_the_policy(own, outcomes, party):
    told = own.frame("peers")
    assert told.height > 0
    rules = policy()
    for role in ROLES:
        seen = quarters_of_peers(outcomes, role, party)
        rows = {row["quarter"]: row for row in told.filter(pl.col("role") == role).to_dicts()}
        large = {quarter: [(d, f) for d, f in peers if d >= rules.fewest_devices] for quarter, peers in seen.items()}
        assert set(rows) == {quarter for quarter, peers in large.items() if len(peers) >= 10}
        for quarter, row in rows.items():
            rates = sorted(
                min((0 if f < rules.threshold else rules.rounded(f)) / rules.rounded(d), 1) for d, f in large[quarter]
            )
            assert row["peers"] == len(rates) // 5 * 5
            place = 0.5 * (len(rates) - 1)
            below, above = rates[math.floor(place)], rates[math.ceil(place)]
            median = (below + above) / 2
            if row["decile_5"] is None:
                assert round(median, 2) in (0, 1)
            else:
                assert row["decile_5"] == pytest.approx(median, abs=0.0051)
                assert row["decile_5"] * 100 == pytest.approx(round(row["decile_5"] * 100))


def test_few_peers_are_told_of_in_no_way():
    rows = [
        {"supplier": f"S{number}", "commissioned_month": "2021-01", "reported": "failed", "actual": "secure"}
        | {"device_keys": "in_use", "devices": 40, "supplier_at_commissioning": f"S{number}", "network_operator": "N"}
        for number in range(10)
    ]
    assert anonymous(pl.DataFrame(rows), "S0").is_empty()
    [supplier, _] = anonymous(pl.DataFrame(rows), "OTHER").to_dicts()
    assert (supplier["peers"], supplier["decile_5"]) == (10, None)


def test_aggregates_hold_no_device_and_no_party(demonstration, root, outcomes):
    found = scoped(demonstration, AGGREGATES, root)
    assert {file["table"] for file in found.manifest["files"]} == {"counts", "amendments", "parties"}
    told = bytes_of(found.folder)
    everyone = names_of_others(demonstration, "")
    assert [name for name in everyone if name in told] == []
    assert found.manifest["extracts"] == {}
    assert "device_key" not in told


def test_an_operator_has_quarantine_and_no_outcomes(demonstration, root):
    found = scoped(demonstration, OPERATOR, root)
    assert found.files("outcomes") == []
    assert found.frame("quarantine").equals(demonstration.frame("quarantine"))
    assert found.manifest["extracts"] == demonstration.manifest["extracts"]
    assert found.rows("outcomes") == demonstration.rows("outcomes")


def test_a_folder_is_sealed_and_made_once(own, demonstration, party, root):
    files = [path for path in own.folder.iterdir() if path.is_file()]
    assert all(path.stat().st_mode & 0o222 == 0 for path in [*files, own.folder])
    before = {path: path.stat().st_mtime_ns for path in files}
    again = scoped(demonstration, Scope("party", party), root)
    assert again.folder == own.folder
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert own.folder.is_relative_to(root)
    assert demonstration.folder not in own.folder.parents


def test_each_party_has_a_folder_of_its_own_whatever_its_id(demonstration, tmp_path):
    odd = ["../../etc", "a/b", "A", "a", "é", "x" * 4000]
    folders = [scoped(demonstration, Scope("party", name), tmp_path).folder for name in odd]
    assert len(set(folders)) == len(odd)
    assert all(folder.resolve().is_relative_to(tmp_path) for folder in folders)
    assert all(pl.read_parquet(folder / "outcomes-00000.parquet").is_empty() for folder in folders)


@pytest.mark.parametrize("wrong", [("party", None), ("party", ""), ("all", "SUP01"), ("everything", None)])
def test_no_other_scope_can_be_asked_for(wrong):
    with pytest.raises(ValueError, match="no such scope"):
        Scope(*wrong)


def test_many_at_once_make_one_folder(demonstration, party, tmp_path):
    scope, start = Scope("party", party), threading.Barrier(8)

    def make(_):
        start.wait()
        return scoped(demonstration, scope, tmp_path).manifest

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(make, range(8)))
    assert all(manifest == found[0] for manifest in found)
    assert [path.name for path in next(tmp_path.iterdir()).iterdir() if not path.name.endswith(".lock")] == [scope.key]


def test_a_torso_of_a_process_that_died_is_made_anew(demonstration, tmp_path):
    whole = scoped(demonstration, AGGREGATES, tmp_path)
    home = whole.folder.parents[1]
    whole.folder.chmod(0o700)
    (whole.folder / "manifest.json").unlink()
    (home / ".draft-aggregates" / "000001").mkdir(parents=True)
    again = scoped(demonstration, AGGREGATES, tmp_path)
    assert again.manifest == whole.manifest
    assert not (home / ".draft-aggregates").exists()


def test_a_changed_file_is_refused(demonstration, tmp_path):
    found = scoped(demonstration, AGGREGATES, tmp_path)
    file = found.folder / "counts-00000.parquet"
    file.chmod(0o600)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ScopeDamaged, match="not as it was sealed"):
        scoped(demonstration, AGGREGATES, tmp_path)


def test_other_rules_are_another_folder(demonstration, tmp_path, monkeypatch):
    first = scoped(demonstration, AGGREGATES, tmp_path)
    rules = tmp_path / "disclosure.toml"
    rules.write_text("threshold = 9")
    monkeypatch.setattr("analysis.scopes.FILE", rules)
    assert scoped(demonstration, AGGREGATES, tmp_path).folder != first.folder


def test_scopes_of_snapshots_that_are_gone_are_removed(demonstration, tmp_path):
    found = scoped(demonstration, AGGREGATES, tmp_path)
    assert prune(tmp_path, [demonstration]) == []
    assert found.folder.exists()
    assert len(prune(tmp_path, [])) == 1
    assert not found.folder.exists()


# --- one Device -----------------------------------------------------------------------------------------------


def test_a_partys_view_of_a_device_names_nobody_else(demonstration, outcomes, party):
    canaries = names_of_others(demonstration, party)
    moved = [row for row in of_party(outcomes.to_dicts(), party) if row["supplier"] != row["supplier_at_commissioning"]]
    assert len(moved) >= 5
    for row in moved[: times(5, 50)]:
        found = history(demonstration, row["device_key"])
        told = as_party_sees(found, party)
        shown = json.dumps(
            [told.outcome, *(frame.rows() for frame in (told.cell_reads, told.spells, told.parties))], default=str
        )
        assert [name for name in canaries if f'"{name}"' in shown] == []
        assert party in shown
        # What is said of the Device is the same but for the names.
        assert told.outcome["finding"] == row["finding"]
        assert told.cell_reads.height == found.cell_reads.height
        kept = told.cell_reads.filter(pl.col("subject_unique_id") == duis_form(row["device_key"]))
        assert kept.height == found.cell_reads.filter(pl.col("is_own_key"), pl.col("subject_unique_id") != "").height


# --- the disclosure policy ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counts(demonstration):
    return demonstration.frame("counts")


def as_at(snapshot):
    from datetime import datetime

    return datetime.fromisoformat(snapshot.manifest["as_at"])


def test_every_published_group_is_within_the_policy(demonstration, counts):
    """Each row's Devices are at most the fine groups that it may be made of: enough of them, of enough parties."""
    rules = policy()
    told = protected(counts, as_at(demonstration), 7)
    assert told.counts.height > 20
    assert (told.counts["devices"] % rules.round_to == 0).all()
    assert told.counts["devices"].min() >= rules.fewest_devices
    for name in ("supplier", "supplier_at_commissioning", "network_operator", "manufacturer", "model"):
        assert told.counts[name].null_count() == told.counts.height
    may_be_of = counts.filter(pl.col("supplier").is_not_null())
    for row in told.counts.to_dicts():
        same = [pl.col(name) == row[name] for name in ("reported", "actual")]
        same += [pl.col(name) == row[name] for name in WHERE if row[name] != NOT_TOLD]
        group = may_be_of.filter(same)
        assert group["devices"].sum() >= rules.fewest_devices
        assert group["supplier"].n_unique() >= rules.fewest_parties


def test_totals_are_near_the_truth_and_the_share_left_out_is_said(demonstration, counts):
    told = protected(counts, as_at(demonstration), 7)
    truth, shown = counts["devices"].sum(), told.counts["devices"].sum()
    assert abs(shown - truth * (1 - told.left_out)) <= 2.5 * told.counts.height
    assert f"{told.left_out:.1%}".replace("%", "\u00a0%") in told.in_words()
    assert told.left_out < 0.05


def one_group(numbers, **rest):
    """Counts of one group, so many Devices of each Supplier."""
    row = {
        "commissioned_month": "2021-01",
        "device_type": "ESME",
        "csp_region": "North",
        "network_operator": "N",
        "manufacturer": "M",
        "model": "X",
        "reported": "failed",
        "actual": "secure",
        "finding": "over_reported",
        "device_keys": "in_use",
        "cause": "timeout",
        "causes": "timeout",
        "unmet": 1,
        "signature": 1,
    } | rest
    rows = [row | {"supplier_at_commissioning": p, "supplier": p, "devices": n} for p, n in numbers.items() if n]
    types = {"unmet": pl.UInt8, "signature": pl.UInt32, "devices": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=types)


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ({"A": 4, "B": 4, "C": 4}, 10),
        ({"A": 4, "B": 4, "C": 5}, 15),
        ({"A": 3, "B": 3, "C": 3}, 0),
        ({"A": 500, "B": 500}, 0),
        ({"A": 901, "B": 50, "C": 49}, 0),
        ({"A": 900, "B": 50, "C": 50}, 1000),
        ({None: 500, "A": 10, "B": 10}, 0),
    ],
)
def test_a_group_is_told_from_ten_devices_of_three_parties_none_dominant(numbers, shown):
    from datetime import datetime

    columns = ["commissioned_month", *WHERE, "supplier_at_commissioning", "supplier", "network_operator"]
    table = one_group(numbers).select(*columns, "manufacturer", "model", *OUTCOME, "devices")
    told = protected(table, datetime(2021, 6, 1), 7)
    assert told.counts["devices"].sum() == shown


SELECTED_BY = ([], ["commissioned_month"], list(WHERE), ["reported", "actual"], ["cause"], ["finding", "causes"])
# No multiple of what numbers are rounded to, which a difference may be by chance.
SMALL = (1, 2, 3, 4, 6, 7)


def differences(before, after):
    """Every sum that the filters and charts allow, of one table less the other."""
    for by in SELECTED_BY:
        keyed = [table.with_columns(one=pl.lit(1)) for table in (before, after)]
        first, second = (table.group_by("one", *by).agg(pl.col("devices").sum()) for table in keyed)
        joined = first.join(second, on=["one", *by], how="full", nulls_equal=True)
        yield from (joined["devices"].fill_null(0) - joined["devices_right"].fill_null(0)).to_list()


def small_cells_left_out(counts):
    """The usual way that is not enough: exact numbers, those below 5 not shown."""
    by = ["commissioned_month", *WHERE, *OUTCOME]
    return counts.group_by(by).agg(pl.col("devices").sum()).filter(pl.col("devices") >= 5)


def test_a_differencing_attack_recovers_nothing(counts, demonstration):
    """Some Devices less in a second estate: whoever subtracts every sum of one from the other's finds how many.

    With the small cells alone left out he does; of the protected table never, as each difference is a multiple.
    """
    rules, when = policy(), as_at(demonstration)
    protect = {"left out": small_cells_left_out, "protected": lambda table: protected(table, when, 7).counts}
    before = {name: make(counts) for name, make in protect.items()}
    chance, found = random.Random(1), dict.fromkeys(protect, 0)
    large = [row for row, devices in enumerate(counts["devices"]) if devices > max(SMALL)]
    for _ in range(times(6, 100)):
        row, small = chance.choice(large), chance.choice(SMALL)
        changed = pl.when(pl.int_range(pl.len()) == row).then(pl.col("devices") - small).otherwise("devices")
        for name, make in protect.items():
            gaps = list(differences(before[name], make(counts.with_columns(devices=changed))))
            found[name] += small in gaps
            if name == "protected":
                assert all(gap % rules.round_to == 0 for gap in gaps)
    assert found["protected"] == 0
    assert found["left out"] > 0


def test_no_two_sums_of_one_table_differ_by_a_small_number(demonstration, root):
    """Within one snapshot: any two selections of the filters differ by nothing, or by a whole group or more."""
    table = scoped(demonstration, AGGREGATES, root).frame("counts")
    chance, rules = random.Random(2), policy()
    values = {name: sorted(table[name].unique()) for name in ("commissioned_month", *WHERE)}
    for _ in range(times(200, 5000)):
        kept = {name: set(chance.sample(every, chance.randint(1, len(every)))) for name, every in values.items()}
        name = chance.choice(list(kept))
        fewer = kept | {name: set(list(kept[name])[1:])}
        sums = [
            table.filter([pl.col(one).is_in(list(wanted)) for one, wanted in chosen.items()])["devices"].sum()
            for chosen in (kept, fewer)
        ]
        gap = sums[0] - sums[1]
        assert gap == 0 or gap >= rules.fewest_devices
        assert gap % rules.round_to == 0


def test_threads_of_mixed_scopes_read_each_their_own(demonstration, outcomes, root):
    parties = [name for name, _ in outcomes["supplier"].value_counts(sort=True, name="n").head(6).rows()]
    wanted = {name: len(of_party(outcomes.select(ROLES).to_dicts(), name)) for name in parties}

    def read(number):
        name = parties[number % len(parties)]
        found = scoped(demonstration, Scope("party", name), root).frame("outcomes")
        others = {one for role in ROLES for one in found[role].drop_nulls()} - {name, ANOTHER}
        return name, found.height, others

    with ThreadPoolExecutor(32) as pool:
        for name, rows, others in pool.map(read, range(times(64, 1000))):
            assert (rows, others) == (wanted[name], set()), name


# --- the sealed database --------------------------------------------------------------------------------------


def test_readers_without_rights_cannot_write(own):
    assert not os.access(own.folder / "manifest.json", os.W_OK) or os.geteuid() == 0
    assert Path(own.folder / "manifest.json").stat().st_mode & 0o777 == 0o400


def test_a_partys_page_can_put_its_peers_beside_it(own, party):
    counts, role = own.frame("counts"), "supplier"
    trend = peers.beside_peers(peers.by_quarter(counts, role), role, party)
    assert trend["decile_5"].null_count() == trend.height
    found = beside(trend, own.frame("peers"), role)
    assert found.columns == trend.columns
    assert found.select("quarter", "due", "reported_failures").equals(
        trend.select("quarter", "due", "reported_failures")
    )
    told = dict(own.frame("peers").filter(pl.col("role") == role).select("quarter", "decile_5").rows())
    assert found["decile_5"].to_list() == [told.get(quarter) for quarter in found["quarter"]]
    assert found["decile_9"].drop_nulls().len() > 0

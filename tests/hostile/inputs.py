"""Broken, odd and hostile extracts, each made by code, with the verdict that a build must come to.

Each spoils a copy of one good estate of 20 Devices, all reported passed and secure. Whatever is not refused must
leave the outcome of each of these 20 as it was.
"""

import gzip
import hashlib
import os
import socket
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import builds
import pyarrow as pa
import pyarrow.parquet as pq
from builds import march
from hostile import footers

DEVICES = 20
ROWS = {
    "devices": 20,
    "service_responses": 100,
    "dsp_checks": 40,
    "registrations": 20,
    "credential_reads": 100,
    "certificates": 5,
    "parties": 4,
    "incidents": 0,
}
FILE = "dsp_checks/part-0.parquet"


@dataclass(frozen=True)
class Verdict:
    """What a build must say: refused, with (file, words) a problem; or built, with the rows beyond the good ones, the
    quarantined rows by (file, rule), and the oddities named, as (kind, where)."""

    refused: list[tuple[str, str]] = field(default_factory=list)
    more_rows: dict[str, int] = field(default_factory=dict)
    more_devices: int = 0
    quarantined: dict[tuple[str, str], int] = field(default_factory=dict)
    warned: list[tuple[str, str]] = field(default_factory=list)


INPUTS: dict[str, tuple] = {}


def refused(words, file=FILE):
    return hostile(Verdict(refused=[(file, words)]))


def built(more_devices=0, warned=(), quarantined=None, **more_rows):
    return hostile(Verdict([], more_rows, more_devices, quarantined or {}, list(warned)))


def hostile(verdict):
    def keep(make):
        INPUTS[make.__name__.replace("_", " ")] = (make, verdict)
        return make

    return keep


def good_estate(folder: Path) -> None:
    builds.folders(folder.parent, builds.secure_devices(range(1, DEVICES + 1)))


def add(folder, extract, name, rows, **types):
    return builds.write(builds.table_of(extract, rows, **types), folder / extract / name)


def rewrite(folder, change=lambda table: table, file=FILE, **options):
    return builds.write(change(pq.ParquetFile(folder / file).read()), folder / file, **options)


def lie(folder, how, file=FILE):
    footers.lying(folder / file, how)


# -- bytes that are no Parquet -----------------------------------------------------------------------


@refused("it has no bytes")
def no_bytes(folder):
    (folder / FILE).write_bytes(b"")


@refused("PAR1")
def one_byte(folder):
    (folder / FILE).write_bytes(b"P")


@refused("PAR1")
def text_under_the_name_of_parquet(folder):
    (folder / FILE).write_text("device_id,check\n" * 9)


@refused("cannot be read as Parquet")
def the_magic_and_nothing_else(folder):
    (folder / FILE).write_bytes(b"PAR1" + bytes(4) + b"PAR1")


@refused("PAR1")
def cut_at_its_end(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-1])


@refused("PAR1")
def cut_at_its_beginning(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[1:])


@refused("cannot be read as Parquet")
def cut_in_its_middle(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:100] + content[-200:])


@refused("PAR1")
def the_mark_of_an_encrypted_footer(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(b"PARE" + content[4:-4] + b"PARE")


@refused("PAR1")
def packed_by_gzip(folder):
    (folder / FILE).write_bytes(gzip.compress((folder / FILE).read_bytes()))


@refused("PAR1")
def packed_by_zip(folder):
    content = (folder / FILE).read_bytes()
    with zipfile.ZipFile(folder / FILE, "w") as packed:
        packed.writestr("part-0.parquet", content)


@refused("cannot be read as Parquet")
def a_footer_longer_than_the_file(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")


@refused("cannot be read as Parquet")
def a_footer_of_no_length(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-8] + bytes(4) + b"PAR1")


@refused("cannot be read as Parquet")
def a_footer_of_noise(folder):
    content = bytearray((folder / FILE).read_bytes())
    size = int.from_bytes(content[-8:-4], "little")
    content[-8 - size : -8] = hashlib.shake_128(b"noise").digest(size)
    (folder / FILE).write_bytes(content)


# -- footers that lie --------------------------------------------------------------------------------


@refused("rows, where 0 to")
def a_claim_of_two_to_the_sixty_rows(folder):
    def claim(tree):
        footers.put(tree, 3, 2**60)
        footers.put(footers.row_groups(tree)[0], 3, 2**60)

    lie(folder, claim)


@refused("rows, where 0 to")
def a_claim_of_less_than_no_rows(folder):
    lie(folder, lambda tree: footers.put(tree, 3, -1))


@refused("its footer says 41 rows, its row groups 40")
def a_row_more_than_its_row_groups_have(folder):
    lie(folder, lambda tree: footers.put(tree, 3, 41))


@refused("its footer says 39 rows of a row group whose columns say otherwise")
def a_row_less_than_its_columns_have(folder):
    def claim(tree):
        footers.put(tree, 3, 39)
        footers.put(footers.row_groups(tree)[0], 3, 39)

    lie(folder, claim)


@refused("cannot be read as Parquet")
def a_row_more_than_its_pages_have(folder):
    def claim(tree):
        footers.put(tree, 3, 41)
        group = footers.row_groups(tree)[0]
        footers.put(group, 3, 41)
        for column in footers.columns(group):
            footers.put(column, 5, 41)

    lie(folder, claim)


@refused("lies where the file has no bytes")
def pages_beyond_the_end_of_the_file(folder):
    rewrite(folder, use_dictionary=False)
    lie(folder, lambda tree: footers.put(footers.columns(footers.row_groups(tree)[0])[0], 9, 2**40))


@refused("cannot be read as Parquet")
def a_codec_that_is_not_the_one_used(folder):
    lie(folder, lambda tree: footers.put(footers.columns(footers.row_groups(tree)[0])[0], 4, 2))


@refused("cannot be read as Parquet")
def a_codec_that_nobody_knows(folder):
    lie(folder, lambda tree: footers.put(footers.columns(footers.row_groups(tree)[0])[0], 4, 99))


@refused("whose columns say otherwise")
def a_column_of_another_type_than_its_schema(folder):
    lie(folder, lambda tree: footers.put(footers.columns(footers.row_groups(tree)[0])[0], 1, 1))


@refused("whose columns say otherwise")
def a_row_group_without_columns(folder):
    def claim(tree):
        group = footers.row_groups(tree)[0]
        group[1] = (group[1][0], (footers.STRUCT, []))

    lie(folder, claim)


@refused("columns, where 0 to")
def columns_by_the_thousand(folder):
    def widened(table):
        more = {f"extra_{number}": pa.nulls(table.num_rows, pa.int8()) for number in range(5_000)}
        return pa.table({**{name: table[name] for name in table.column_names}, **more})

    rewrite(folder, widened)


@refused("cannot be read as Parquet")
def a_page_of_noise(folder):
    rewrite(folder, use_dictionary=False, compression="zstd")
    content = bytearray((folder / FILE).read_bytes())
    start = pq.ParquetFile(folder / FILE).metadata.row_group(0).column(0).data_page_offset
    content[start + 8 : start + 60] = bytes(52)
    (folder / FILE).write_bytes(content)


# -- what is no regular file -------------------------------------------------------------------------


@refused("is a link")
def a_link_to_nowhere(folder):
    (folder / FILE).unlink()
    (folder / FILE).symlink_to(folder / "nowhere.parquet")


@refused("is a link")
def a_link_to_a_good_file(folder):
    moved = (folder / FILE).rename(folder.parent / "moved.parquet")
    (folder / FILE).symlink_to(moved)


@refused("is a link")
def a_link_to_endless_zeros(folder):
    (folder / FILE).unlink()
    (folder / FILE).symlink_to("/dev/zero")


@refused("is a link", "dsp_checks/month=2021-03")
def a_link_to_a_folder_outside(folder):
    (folder / "dsp_checks" / "month=2021-03").symlink_to(folder.parent, target_is_directory=True)


@refused("is a link", "dsp_checks")
def an_extract_that_is_a_link(folder):
    moved = (folder / "dsp_checks").rename(folder.parent / "moved")
    (folder / "dsp_checks").symlink_to(moved, target_is_directory=True)


@refused("is no regular file", "dsp_checks/pipe.parquet")
def a_pipe(folder):
    os.mkfifo(folder / "dsp_checks" / "pipe.parquet")


@refused("is no regular file", "dsp_checks/pipe")
def a_pipe_of_another_name(folder):
    os.mkfifo(folder / "dsp_checks" / "pipe")


@refused("is no regular file", "dsp_checks/s.parquet")
def a_socket(folder):
    here = Path.cwd()
    # The address of a socket holds about a hundred characters.
    os.chdir(folder / "dsp_checks")
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("s.parquet")
    finally:
        os.chdir(here)


@refused("has no Parquet file", "dsp_checks")
def an_extract_that_is_a_file(folder):
    moved = (folder / FILE).rename(folder / "moved.parquet")
    (folder / "dsp_checks").rmdir()
    moved.rename(folder / "dsp_checks")


@refused("has no Parquet file", "dsp_checks")
def an_extract_that_is_not_there(folder):
    (folder / FILE).unlink()
    (folder / "dsp_checks").rmdir()


@refused("is no UTF-8", "dsp_checks/\\udcff.parquet")
def a_name_that_is_no_text(folder):
    (folder / FILE).rename(os.fsdecode(os.fsencode(folder / "dsp_checks") + b"/\xff.parquet"))


# -- columns -----------------------------------------------------------------------------------------


@refused("lacks the required column passed")
def a_column_that_is_missing(folder):
    rewrite(folder, lambda table: table.drop_columns(["passed"]))


@refused("lacks the required column device_id")
def a_column_in_another_case(folder):
    rewrite(folder, lambda table: table.rename_columns({"device_id": "Device_ID"}))


@refused("stand twice: device_id")
def a_column_that_stands_twice(folder):
    rewrite(folder, lambda table: table.append_column("device_id", table["device_id"]))


@refused("differ by case only or stand twice: PASSED, passed")
def a_column_in_two_cases(folder):
    rewrite(folder, lambda table: table.append_column("PASSED", table["passed"]))


@refused("cannot be read as Parquet")
def a_time_that_no_microsecond_holds(folder):
    rewrite(folder, lambda table: table.set_column(2, "checked_at", pa.array([2**62] * 40, pa.timestamp("ms"))))


# -- the sender's digests ----------------------------------------------------------------------------


def sums(folder, marker=" ", prefix="", change=lambda lines: lines):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()} {marker}{prefix}{name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(change(lines)))


@built()
def digests_that_are_right(folder):
    sums(folder)


@built()
def digests_in_binary_mode_of_names_below_a_dot(folder):
    sums(folder, marker="*", prefix="./")


@built()
def digests_with_the_line_ends_of_windows(folder):
    sums(folder, change=lambda lines: [line.upper().replace("\n", "\r\n")[:64] + line[64:] for line in lines])


@refused("its SHA-256 differs")
def a_digest_of_another_file(folder):
    sums(folder)
    rewrite(folder, compression="gzip")


@refused("is not listed in SHA256SUMS", "dsp_checks/more.parquet")
def a_file_that_the_digests_do_not_list(folder):
    sums(folder)
    add(folder, "dsp_checks", "more.parquet", [builds.dsp_check()])


@refused("is listed in SHA256SUMS and cannot be read here", "dsp_checks/part-1.parquet")
def a_listed_file_that_is_not_there(folder):
    sums(folder, change=lambda lines: [*lines, f"{'0' * 64}  dsp_checks/part-1.parquet\n"])


@refused("line 1 is no digest", "SHA256SUMS")
def a_digest_that_is_too_short(folder):
    sums(folder, change=lambda lines: [lines[0][1:], *lines])


@refused("is no digest and name of a file below the folder", "SHA256SUMS")
def a_digest_of_a_file_elsewhere(folder):
    sums(folder, change=lambda lines: [*lines, f"{'0' * 64}  ../outside.parquet\n"])


@refused("with another digest", "SHA256SUMS")
def two_digests_of_one_file(folder):
    sums(folder, change=lambda lines: [*lines, f"{'0' * 64}{lines[0][64:]}"])


@refused("lists no file", "SHA256SUMS")
def digests_without_a_line(folder):
    (folder / "SHA256SUMS").write_text("\n")


@refused("is no UTF-8", "SHA256SUMS")
def digests_of_noise(folder):
    (folder / "SHA256SUMS").write_bytes(b"\xff\xfe" * 99)


@refused("cannot be read", "SHA256SUMS")
def digests_by_way_of_a_link(folder):
    sums(folder)
    moved = (folder / "SHA256SUMS").rename(folder.parent / "sums")
    (folder / "SHA256SUMS").symlink_to(moved)


@refused("cannot be read", "SHA256SUMS")
def digests_that_are_a_pipe(folder):
    os.mkfifo(folder / "SHA256SUMS")


# -- rows --------------------------------------------------------------------------------------------


def bad_rows(rule, rows=1, extract="dsp_checks"):
    return built(quarantined={(f"{extract}/bad.parquet", rule): rows}, **{extract: rows})


@bad_rows("device_id_is_present", 3)
def rows_of_no_device(folder):
    add(folder, "dsp_checks", "bad.parquet", 3 * [builds.dsp_check(device_id=None)])


@bad_rows("device_id_is_well_formed", 2)
def rows_of_a_malformed_device(folder):
    ids = ["90-b3-d5-1f-30-01-00-01", "=cmd|' /C calc'!A0"]
    add(folder, "dsp_checks", "bad.parquet", [builds.dsp_check(device_id=text) for text in ids])


@bad_rows("checked_at_is_within_era")
def a_row_of_the_future(folder):
    add(folder, "dsp_checks", "bad.parquet", [builds.dsp_check(checked_at=datetime(2999, 1, 1))])


@bad_rows("passed_is_a_flag", 2)
def text_for_flags(folder):
    rows = [builds.dsp_check(passed=text) for text in ("perhaps", "2")]
    add(folder, "dsp_checks", "bad.parquet", rows, passed=pa.string())


@bad_rows("checked_at_is_a_timestamp")
def integers_for_times(folder):
    add(folder, "dsp_checks", "bad.parquet", [builds.dsp_check(checked_at=1)], checked_at=pa.int64())


@bad_rows("originator_counter_is_a_counter", 3, "service_responses")
def doubles_for_counters(folder):
    rows = [builds.response(originator_counter=value) for value in (0.5, float("inf"), -1.0)]
    add(folder, "service_responses", "bad.parquet", rows, originator_counter=pa.float64())


@bad_rows("device_id_is_a_eui", 1)
def a_struct_for_text(folder):
    kind = pa.struct([("device_id", pa.string())])
    row = builds.dsp_check(device_id={"device_id": builds.eui(1)})
    add(folder, "dsp_checks", "bad.parquet", [row], device_id=kind)


@bad_rows("check_is_a_code", 1)
def a_list_for_text(folder):
    add(folder, "dsp_checks", "bad.parquet", [builds.dsp_check(check=["communicating"])], check=pa.list_(pa.string()))


@bad_rows("check_is_a_code", 1)
def bytes_that_are_no_text(folder):
    add(folder, "dsp_checks", "bad.parquet", [builds.dsp_check(check=b"\xff\xfe")], check=pa.binary())


@bad_rows("spell_ends_after_it_starts", 1, "registrations")
def a_spell_that_ends_before_it_starts(folder):
    spell = builds.spell(effective_from=date(2021, 3, 2), effective_to=date(2021, 3, 1))
    add(folder, "registrations", "bad.parquet", [spell])


@built(quarantined={("devices/bad.parquet", "one_row_a_device"): 2}, devices=2)
def a_device_of_which_two_things_are_said(folder):
    add(folder, "devices", "bad.parquet", [builds.device(99), builds.device(99, model="M2")])


# -- odd and good ------------------------------------------------------------------------------------


@built(dsp_checks=1)
def a_folder_key_of_the_name_of_a_column(folder):
    add(folder, "dsp_checks", "passed=false/device_id=1/check=x/part.parquet", [builds.dsp_check()])


@built(dsp_checks=3)
def names_that_are_patterns(folder):
    for number, name in enumerate(("*.parquet", "[a-z].parquet", "**/?.parquet"), 1):
        add(folder, "dsp_checks", name, [builds.dsp_check(number)])


@built(dsp_checks=2)
def names_with_control_characters(folder):
    for number, name in enumerate(("a\nb.parquet", "\x1b[31m\u202e.parquet"), 1):
        add(folder, "dsp_checks", name, [builds.dsp_check(number)])


@built(dsp_checks=1)
def a_folder_of_the_name_of_a_file(folder):
    add(folder, "dsp_checks", "all.parquet/part.parquet", [builds.dsp_check()])


@built(dsp_checks=40, warned=[("copy", "dsp_checks/part-0 (1).parquet")])
def the_copy_that_a_browser_makes(folder):
    (folder / "dsp_checks" / "part-0 (1).parquet").write_bytes((folder / FILE).read_bytes())


@built(dsp_checks=40, warned=[("copy", "dsp_checks/part-0.parquet")])
def the_same_bytes_under_another_name(folder):
    (folder / "dsp_checks" / "before.parquet").write_bytes((folder / FILE).read_bytes())


@built(dsp_checks=2, warned=[("month twice", "2021-03")])
def a_month_in_two_folders(folder):
    for number, name in enumerate(("month=2021-03", "resent/month=2021-03")):
        add(folder, "dsp_checks", f"{name}/part.parquet", [builds.dsp_check(number + 1)])


@built(dsp_checks=2, warned=[("month missing", "2021-02")])
def a_month_that_is_missing(folder):
    for number, month in enumerate(("2021-01", "2021-03")):
        add(folder, "dsp_checks", f"month={month}/part.parquet", [builds.dsp_check(number + 1)])


@built(dsp_checks=301, warned=[("small month", "2021-03")])
def a_month_of_almost_no_rows(folder):
    for month, rows in (("2021-01", 149), ("2021-02", 151), ("2021-03", 1)):
        add(folder, "dsp_checks", f"month={month}/part.parquet", rows * [builds.dsp_check()])


@built(dsp_checks=1)
def text_as_a_dictionary(folder):
    kind = pa.dictionary(pa.int32(), pa.string())
    add(folder, "dsp_checks", "odd.parquet", [builds.dsp_check()], device_id=kind, check=kind)


@built(dsp_checks=3)
def times_of_other_units_and_zones(folder):
    kinds = (pa.timestamp("ns"), pa.timestamp("ms"), pa.timestamp("us", "Europe/London"))
    for number, kind in enumerate(kinds):
        moment = march(3).replace(tzinfo=UTC) if kind.tz else march(3)
        add(folder, "dsp_checks", f"{number}.parquet", [builds.dsp_check(checked_at=moment)], checked_at=kind)


@built(dsp_checks=1)
def text_of_great_length(folder):
    add(folder, "dsp_checks", "odd.parquet", [builds.dsp_check()], device_id=pa.large_string())


@built()
def a_file_without_rows(folder):
    add(folder, "dsp_checks", "empty.parquet", [])


@built(dsp_checks=1)
def a_column_more(folder):
    table = builds.table_of("dsp_checks", [builds.dsp_check()])
    builds.write(table.append_column("month", pa.array(["2021-03"])), folder / "dsp_checks" / "more.parquet")


@built()
def row_groups_of_one_row(folder):
    rewrite(folder, row_group_size=1)


@built(dsp_checks=5)
def every_codec(folder):
    for codec in ("none", "gzip", "brotli", "lz4", "zstd"):
        file = folder / "dsp_checks" / f"{codec}.parquet"
        builds.write(builds.table_of("dsp_checks", [builds.dsp_check()]), file, compression=codec)


@built()
def pages_of_the_second_version_without_statistics(folder):
    rewrite(folder, data_page_version="2.0", write_statistics=False, use_dictionary=False)


@built()
def columns_in_another_order(folder):
    rewrite(folder, lambda table: table.select(table.column_names[::-1]))


@built()
def much_that_is_no_extract(folder):
    for name in ("README.txt", "dsp_checks/_SUCCESS", "dsp_checks/.part.crc", "duckdb.py", "~", "s3:"):
        (folder / name).write_text("raise SystemExit(99)")


@built(more_devices=1, devices=1)
def a_bomb_in_a_column_that_nobody_reads(folder):
    table = builds.table_of("devices", [builds.device(99)])
    bomb = pa.array(["0" * (64 << 20)])
    builds.write(table.append_column("bomb", bomb), folder / "devices" / "bomb.parquet", compression="zstd")


@built(more_devices=1, devices=1)
def text_of_eight_million_letters(folder):
    rows = [builds.device(99, model="0" * (8 << 20))]
    builds.write(builds.table_of("devices", rows), folder / "devices" / "long.parquet", compression="zstd")

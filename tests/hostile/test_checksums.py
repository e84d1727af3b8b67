"""A flipped bit is found where the writer left checksums, and changes no verdict."""

from unittest.mock import patch

import builds
import pyarrow.parquet as pq
import pytest
from builds import pco, pco_build

from analysis.pipeline import build
from data import digests, extracts, partials
from data.checksums import WRONG
from data.extracts import InputRefused
from data.marts import current

EXTRACT, COLUMN = "dsp_checks", "passed"


@pytest.fixture
def folders(tmp_path):
    return builds.folders(tmp_path)


def written_anew(folders, **options):
    """The one file of an extract, written in another way."""
    [file] = (folders.extracts / EXTRACT).rglob("*.parquet")
    pq.write_table(pq.read_table(file, partitioning=None), file, **options)
    return file


def flip(file, bytes_from_end):
    """One bit of the last page of a column, so many bytes before its end."""
    footer = pq.read_metadata(file).row_group(0)
    [column] = [c for c in map(footer.column, range(footer.num_columns)) if c.path_in_schema == COLUMN]
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    content = bytearray(file.read_bytes())
    content[end - bytes_from_end] ^= 1
    file.write_bytes(content)


WITH_CHECKSUMS = {
    "page": ({"compression": "none", "write_page_checksum": True}, 1),
    "page of the newer kind": ({"compression": "none", "write_page_checksum": True, "data_page_version": "2.0"}, 1),
    "compressed page": ({"compression": "zstd", "write_page_checksum": True}, 1),
    # Beside texts that pyarrow cannot read as codes.
    "page beside other encodings": (
        {
            "compression": "none",
            "write_page_checksum": True,
            "use_dictionary": False,
            "column_encoding": {"device_id": "DELTA_BYTE_ARRAY", "dsp_check": "DELTA_LENGTH_BYTE_ARRAY"},
        },
        1,
    ),
    # The last eight bytes are gzip's own checksum and length.
    "gzip": ({"compression": "gzip"}, 8),
    "gzip of one column": ({"compression": {"device_id": "snappy", COLUMN: "gzip"}}, 8),
}


@pytest.mark.parametrize("how", WITH_CHECKSUMS)
def test_a_flipped_bit_refuses_the_file_and_names_it(how, folders):
    options, place = WITH_CHECKSUMS[how]
    file = written_anew(folders, **options)
    assert pco_build(folders).status == 0
    before = current(folders.marts)
    flip(file, place)
    line = f"{file.relative_to(folders.extracts)}: cannot be read as Parquet ({WRONG}, in {COLUMN})"
    done = pco_build(folders)
    assert (done.status, done.problems) == (3, [f"pco: {line}"])
    assert current(folders.marts).number == before.number
    checked = pco("check", "--extracts", folders.extracts)
    assert checked.status == 3
    assert line in checked.err + checked.out


def test_what_another_version_digested_is_verified(folders):
    """It remembers files by their digests alone."""
    file = written_anew(folders, compression="none", write_page_checksum=True)
    flip(file, 1)
    before = (
        patch.multiple(extracts, has_checksums=lambda *of: False),
        patch.object(partials, "DIGESTS", "digests.json"),
    )
    with builds.in_this_process(), patch.object(digests, "SETTLED_NANOSECONDS", 0):
        with before[0], before[1]:
            build(folders.extracts, folders.marts)
        with patch.object(partials, "reading", lambda: "other"), pytest.raises(InputRefused, match=WRONG):
            build(folders.extracts, folders.marts)


def test_without_checksums_nothing_is_claimed(folders):
    """Only the sender's digests would tell: the bit reads as another value."""
    flip(written_anew(folders, compression="none", use_dictionary=False), 1)
    assert pco_build(folders).status == 0


def test_a_file_with_a_wrong_page_can_be_left_out(folders):
    file = written_anew(folders, compression="none", write_page_checksum=True)
    other = file.with_name("other.parquet")
    other.write_bytes(file.read_bytes())
    flip(file, 1)
    assert pco_build(folders, "--quarantine-files").status == 0
    [(name, reason)] = current(folders.marts).manifest["left_out"]
    assert name == str(file.relative_to(folders.extracts))
    assert WRONG in reason

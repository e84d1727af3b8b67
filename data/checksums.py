"""Whether the pages of a Parquet file are as their writer's checksums say.

A flipped bit reads as other data in DuckDB and polars, which pass over the checksums that Spark and others write: a CRC
in the header of a page, and the one at the end of what gzip compressed. pyarrow, asked to, verifies them.
"""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data.digests import opened

WRONG = "a page is not as its checksum says"
# A header's first fields are type and sizes, each a byte that says so and a number of up to five; the checksum is next.
WITH_CHECKSUM = re.compile(rb"(?:\x15[\x80-\xff]{0,4}[\x00-\x7f]){3}\x15")
HEADER_BYTES = 19
ROWS_AT_ONCE = 65_536
BUFFER_BYTES = 1 << 20


def has_checksums(path: Path, footer: pq.FileMetaData) -> bool:
    """Told by the first page alone: a writer writes checksums or does not."""
    if not footer.num_rows:
        return False
    column = footer.row_group(0).column(0)
    if column.compression == "GZIP":
        return True
    with opened(path) as content:
        content.seek(column.dictionary_page_offset or column.data_page_offset)
        return bool(WITH_CHECKSUM.match(content.read(HEADER_BYTES)))


def wrong_pages(path: Path, columns: tuple[str, ...]) -> str | None:
    """The first of these columns of which some page is not as its checksum says.

    Raises OSError or pyarrow's ArrowException when the file cannot be read at all.
    """
    texts = [column.name for column in pq.read_schema(path) if pa.types.is_string(column.type)]
    # Texts as codes: no text need be made.
    how = {"page_checksum_verification": True, "read_dictionary": texts, "buffer_size": BUFFER_BYTES}
    with pq.ParquetFile(path, **how) as file:
        if _can_be_read(file, *columns):
            return None
        return next((name for name in columns if not _can_be_read(file, name)), None)


def _can_be_read(file: pq.ParquetFile, *columns: str) -> bool:
    try:
        for _ in file.iter_batches(ROWS_AT_ONCE, columns=columns):
            pass
    except pa.ArrowNotImplementedError:
        # Not to be verified; DuckDB may read it all the same.
        return True
    except (pa.ArrowException, OSError):
        return False
    return True

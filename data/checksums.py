"""Whether the pages of a Parquet file are as their writer's checksums say.

A flipped bit reads as other data in DuckDB and polars, which pass over the checksums that Spark and others write: a CRC
in the header of a page, and the one at the end of what gzip compressed. pyarrow, asked to, verifies them.
"""

import re
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from data.digests import opened

WRONG = "a page is not as its checksum says"
# What pyarrow says of it; of anything else that it cannot read DuckDB decides.
SAID = re.compile("CRC checksum verification failed|GZipCodec failed")
# A header's first fields are type and sizes, each a byte that says so and a number of up to five; the checksum is next.
WITH_CHECKSUM = re.compile(rb"(?:\x15[\x80-\xff]{0,4}[\x00-\x7f]){3}\x15")
HEADER_BYTES = 19
ROWS_AT_ONCE = 65_536
BUFFER_BYTES = 1 << 20


def has_checksums(path: Path, footer: pq.FileMetaData) -> bool:
    """Told by the first page of each column: a writer writes checksums in all groups of rows or in none."""
    if not footer.num_rows:
        return False
    group = footer.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    if any(column.compression == "GZIP" for column in columns):
        return True
    with opened(path) as content:
        return any(WITH_CHECKSUM.match(_start_of(content, column)) for column in columns)


def _start_of(content: BinaryIO, column: pq.ColumnChunkMetaData) -> bytes:
    content.seek(column.dictionary_page_offset or column.data_page_offset)
    return content.read(HEADER_BYTES)


def wrong_pages(path: Path, columns: list[str]) -> str | None:
    """The first of these columns of which some page is not as its checksum says."""
    with pq.ParquetFile(path, page_checksum_verification=True, buffer_size=BUFFER_BYTES) as file:
        # All at once is quicker, on several cores; only where that fails it matters which.
        if _complaint(file, columns) is None:
            return None
        return next((name for name in columns if SAID.search(_complaint(file, [name]) or "")), None)


def _complaint(file: pq.ParquetFile, columns: list[str]) -> str | None:
    try:
        for _ in file.iter_batches(ROWS_AT_ONCE, columns=columns):
            pass
    except (pa.ArrowException, OSError) as error:
        return str(error)
    return None

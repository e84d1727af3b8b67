"""The floor of the benchmark: DuckDB reads every contract column of every extract, and does nothing with it.

python tests/bench/floor.py EXTRACTS
"""

import sys
from pathlib import Path

import duckdb

from data.contracts import Contract, contracts


def scan(connection: duckdb.DuckDBPyConnection, extracts: Path, contract: Contract) -> int | None:
    """One number that depends on every value; None when the extract is empty.

    A count or a minimum would be answered from the files' footers, and a column that nothing asks for is
    never read: only a hash of all columns makes DuckDB decode every value.
    """
    columns = ", ".join(column.quoted for column in contract.columns)
    query = f"select bit_xor(hash({columns})) from read_parquet($files, hive_partitioning = false)"
    files = [str(file) for file in sorted((extracts / contract.extract).rglob("*.parquet"))]
    return connection.sql(query, params={"files": files}).fetchall()[0][0] if files else None


def main() -> None:
    extracts = Path(sys.argv[1])
    # DuckDB's default is one thread a core.
    with duckdb.connect() as connection:
        for contract in contracts().values():
            print(contract.extract, scan(connection, extracts, contract))


if __name__ == "__main__":
    main()

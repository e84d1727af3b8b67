"""The sealed database against whoever may put any statement to it: it tells its own tables and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import polars as pl
import pytest
from thorough import times

from data.sealed import TooManyRows, connect_sealed, seal_tables

SECRET = "CANARY-OF-ANOTHER-SCOPE"


@pytest.fixture(scope="module")
def scopes(tmp_path_factory):
    """Two scopes' databases and a few files beside them, each of which holds the other's secret."""
    tmp_path = tmp_path_factory.mktemp("sealed")
    seal_tables({"own": pl.DataFrame({"n": [1, 2, 3], "told": ["a", "b", "c"]})}, tmp_path / "own.duckdb")
    seal_tables({"theirs": pl.DataFrame({"told": [SECRET]})}, tmp_path / "theirs.duckdb")
    pl.DataFrame({"told": [SECRET]}).write_parquet(tmp_path / "theirs.parquet")
    pl.DataFrame({"told": [SECRET]}).write_csv(tmp_path / "theirs.csv")
    (tmp_path / "theirs.json").write_text(f'[{{"told": "{SECRET}"}}]')
    return tmp_path


# Each is tried on its own connection; {at} is the folder of the files.
ATTACKS = [
    "select * from read_parquet('{at}/theirs.parquet')",
    "select * from '{at}/theirs.parquet'",
    "from '{at}/theirs.csv'",
    "select * from read_csv('{at}/theirs.csv')",
    "select * from read_json('{at}/theirs.json')",
    "select * from read_text('{at}/theirs.csv')",
    "select * from read_blob('{at}/*')",
    "select * from glob('{at}/*')",
    "select * from parquet_metadata('{at}/theirs.parquet')",
    "select * from parquet_schema('{at}/theirs.parquet')",
    "select * from parquet_file_metadata('{at}/theirs.parquet')",
    "select * from parquet_kv_metadata('{at}/theirs.parquet')",
    "select * from sniff_csv('{at}/theirs.csv')",
    "attach '{at}/theirs.duckdb' as theirs",
    "attach '{at}/theirs.duckdb' as theirs (read_only)",
    "attach ':memory:' as m; copy from database own to m",
    "copy own to '{at}/stolen.parquet'",
    "copy own to '{at}/stolen.csv'",
    "copy (select 1) to '{at}/stolen.json'",
    "export database '{at}/stolen'",
    "import database '{at}/stolen'",
    "copy own from '{at}/theirs.csv'",
    "insert into own values (4, 'd')",
    "update own set n = 0",
    "delete from own",
    "with x as (delete from own returning *) select * from x",
    "with x as (insert into own values (9, 'x') returning *) select * from x",
    "drop table own",
    "alter table own add column stolen text",
    "create table mine as select 1",
    "create view mine as select 1",
    "create macro mine() as 1",
    "truncate own",
    "install httpfs",
    "load httpfs",
    "install '{at}/evil.duckdb_extension'",
    "load '{at}/evil.duckdb_extension'",
    "set enable_external_access = true",
    "reset enable_external_access",
    "set lock_configuration = false",
    "pragma lock_configuration = false",
    "set temp_directory = '{at}'",
    "set max_temp_directory_size = '1TB'",
    "set memory_limit = '1TB'",
    "set threads = 64",
    "set allowed_directories = ['{at}']",
    "set allowed_paths = ['{at}/theirs.parquet']",
    "set allow_community_extensions = true",
    "set autoload_known_extensions = true",
    "set python_enable_replacements = true",
    "set file_search_path = '{at}'",
    "set home_directory = '{at}'",
    "set secret_directory = '{at}'",
    "create secret s (type s3, key_id 'x', secret 'y')",
    "create persistent secret s (type http)",
    "set log_query_path = '{at}/log'",
    "set profiling_output = '{at}/profile'",
    "pragma enable_profiling = 'json'",
    "select getenv('HOME')",
    "select * from given_frame",
    "checkpoint",
    "force checkpoint",
    "vacuum own",
    "use theirs",
    "select * from theirs.theirs",
    "detach own",
    "call load_aws_credentials()",
    "select * from read_parquet('http://127.0.0.1:9/x.parquet')",
    "select * from sqlite_scan('{at}/theirs.duckdb', 'theirs')",
    "select * from postgres_scan('host=127.0.0.1', 'public', 'x')",
]


def shown(connection):
    return connection.rows("select n, told from own order by n")


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_statement_reaches_beyond_the_file_or_changes_it(scopes, attack):
    given_frame = pl.DataFrame({"told": [SECRET]})
    assert given_frame.height == 1
    files = {path: path.read_bytes() for path in scopes.iterdir()}
    with connect_sealed(scopes / "own.duckdb") as connection:
        try:
            told = connection.rows(attack.format(at=scopes))
        except duckdb.Error as error:
            told = str(error)
        assert SECRET not in str(told)
        assert shown(connection) == [(1, "a"), (2, "b"), (3, "c")]
        # Whatever the statement did, nothing can be reached after it either.
        with pytest.raises(duckdb.Error):
            connection.rows(f"select * from read_csv('{scopes}/theirs.csv')")
    assert {path: path.read_bytes() for path in scopes.iterdir()} == files


def test_most_attacks_are_refused_outright(scopes):
    """So that the test above does not pass because the statements were misspelt and did nothing."""
    with connect_sealed(scopes / "own.duckdb") as connection:
        for attack in ATTACKS:
            if "theirs." in attack and attack.startswith(("select", "from", "attach", "copy")):
                with pytest.raises(duckdb.Error):
                    connection.rows(attack.format(at=scopes))
    with duckdb.connect() as unsealed:
        reads = [attack for attack in ATTACKS if attack.startswith(("select * from read_", "from '"))][:4]
        for attack in reads:
            assert SECRET in str(unsealed.execute(attack.format(at=scopes)).fetchall())


def test_spilling_is_limited_and_its_folder_is_nobody_elses(scopes):
    with connect_sealed(scopes / "own.duckdb", memory="64MB", spill="1MB") as connection:
        folder = connection.rows("select current_setting('temp_directory')")[0][0]
        with connect_sealed(scopes / "theirs.duckdb") as other:
            assert other.rows("select current_setting('temp_directory')")[0][0] != folder
        with pytest.raises(duckdb.Error, match=r"(?i)memory|temp"):
            connection.rows("select r, md5(r::text) m from range(20000000) t(r) order by m", most=10**9)
        assert shown(connection) == [(1, "a"), (2, "b"), (3, "c")]


def test_an_answer_has_at_most_so_many_rows(scopes):
    with connect_sealed(scopes / "own.duckdb") as connection:
        assert len(connection.rows("from range(100)", most=100)) == 100
        with pytest.raises(TooManyRows):
            connection.rows("from range(101)", most=100)


def test_values_are_bound(scopes):
    with connect_sealed(scopes / "own.duckdb") as connection:
        found = connection.rows("select n from own where told = $told", {"told": "a' or '1' = '1"})
        assert found == []
        assert connection.rows("select n from own where told = $told", {"told": "b"}) == [(2,)]


def test_threads_that_share_a_connection_get_each_their_own_answer(scopes):
    start = threading.Barrier(32)
    with connect_sealed(scopes / "own.duckdb") as connection:

        def ask(number):
            if number < 32:
                start.wait()
            return number, connection.rows("select $n::bigint, sum(n)::bigint, count(*) from own", {"n": number})

        with ThreadPoolExecutor(32) as pool:
            for number, told in pool.map(ask, range(times(200, 4000))):
                assert told == [(number, 6, 3)]


def test_a_question_can_be_ended_by_another_thread(scopes):
    with connect_sealed(scopes / "own.duckdb") as connection, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            connection.rows, "select sum(a.range * b.range % 7) from range(1000000) a, range(1000000) b"
        )
        for _ in range(200):
            if asked.done():
                break
            connection.interrupt()
            threading.Event().wait(0.05)
        with pytest.raises(duckdb.Error, match=r"(?i)interrupt"):
            asked.result(timeout=20)


def test_a_file_that_is_there_is_not_written_again(scopes):
    with pytest.raises(FileExistsError):
        seal_tables({"own": pl.DataFrame({"n": [1]})}, scopes / "own.duckdb")

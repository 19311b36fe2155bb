"""Attempts to get out: every one must fail, nothing may be read, nothing written, no connection made."""

import socket
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tapeline as tl
from tapeline.errors import TapelineError, UsageError
from tapeline.lake import database
from tapeline.lake.lake import Lake
from tapeline.lake.sql import Limits, QueryError, QueryStopped, Question
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.sqlite import SqliteSink
from tests.sinks.helpers import one_of_each

SECRET = "the-secret-of-this-machine"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake, and beside it all that is not for readers, each with the secret in it."""
    data = tmp_path_factory.mktemp("safe")
    for sink in (LakeSink(data), SqliteSink(data)):
        sink.open()
        sink.commit("s", 0, one_of_each())
        sink.close()
    pq.write_table(pa.table({"a": [SECRET]}), data / "other.parquet")
    pq.write_table(pa.table({"a": [SECRET]}), data / "lake" / "other.parquet")
    (data / "secret.csv").write_text(f"a\n{SECRET}\n")
    (data / "secret.json").write_text(f'{{"a": "{SECRET}"}}')
    (data / "link.parquet").symlink_to(data / "other.parquet")
    return data


@pytest.fixture(scope="module")
def lake(data: Path) -> Lake:
    return tl.open(data)


READ = [
    "select * from read_csv('{d}/secret.csv')",
    "select * from read_text('{d}/secret.csv')",
    "select * from read_blob('{d}/secret.csv')",
    "select * from read_json('{d}/secret.json')",
    "select * from read_json_objects('{d}/secret.json')",
    "select * from read_parquet('{d}/other.parquet')",
    "select * from read_parquet('{d}/lake/other.parquet')",
    "select * from read_parquet(['{d}/other.parquet'])",
    "select * from read_parquet('{d}/link.parquet')",
    "select * from read_parquet('{d}/*.parquet')",
    "select * from parquet_scan('{d}/other.parquet')",
    "select * from parquet_metadata('{d}/other.parquet')",
    "select * from parquet_schema('{d}/other.parquet')",
    "select * from parquet_kv_metadata('{d}/other.parquet')",
    "select * from '{d}/secret.csv'",
    'select * from "{d}/other.parquet"',
    "from '{d}/other.parquet'",
    "select * from query_table('{d}/other.parquet')",
    "select * from query('select * from read_text(''{d}/secret.csv'')')",
    "select * from sniff_csv('{d}/secret.csv')",
    "select * from glob('{d}/*')",
    "select * from glob('/etc/*')",
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/proc/self/environ')",
    "select * from read_text('/dev/stdin')",
    "select * from read_text('{d}/lake/../secret.csv')",
    "select * from trades, read_text('{d}/secret.csv')",
    "select (select content from read_text('{d}/secret.csv'))",
    "with a as (select * from read_csv('{d}/secret.csv')) select * from a",
    "explain analyze select * from read_csv('{d}/secret.csv')",
    "describe select * from read_csv('{d}/secret.csv')",
    "summarize '{d}/secret.csv'",
    "summarize select * from read_csv('{d}/secret.csv')",
    "select * from sqlite_scan('{d}/tapeline.sqlite', 'trades')",
    "select * from read_duckdb('{d}/other.parquet')",
    "select * from duckdb_secrets()",
    "select getenv('HOME')",
    "select * from data",
    "select * from lake",
    "select * from SECRET",
]
NETWORK = [
    "select * from read_csv('http://127.0.0.1:{port}/x')",
    "select * from read_parquet('http://127.0.0.1:{port}/x')",
    "select * from read_parquet('https://127.0.0.1:{port}/x')",
    "select * from read_text('s3://127.0.0.1:{port}/x')",
    "select * from 'http://127.0.0.1:{port}/x.parquet'",
    "install httpfs from 'http://127.0.0.1:{port}'",
]
WRITE = [
    "copy trades to '{d}/out.csv'",
    "copy (select 1) to '{d}/out.parquet' (format parquet)",
    "explain copy (select 1) to '{d}/out.csv'",
    "explain analyze copy (select 1) to '{d}/out.csv'",
    "explain /* a comment */ analyze copy (select 1) to '{d}/out.csv'",
    "explain -- a comment\n copy (select 1) to '{d}/out.csv'",
    "export database '{d}/out'",
    "import database '{d}'",
    "attach '{d}/out.db'",
    "attach '{d}/tapeline.sqlite' (type sqlite)",
    "create table a as select 1",
    "create view trades as select 1",
    "create or replace macro ts(x) as 1",
    "create secret (type s3)",
    "insert into trades select * from trades",
    "delete from trades",
    "drop view trades",
    "install httpfs",
    "load httpfs",
    "force install httpfs",
    "set threads = 64",
    "set memory_limit = '1TB'",
    "set enable_external_access = true",
    "set allowed_paths = ['/etc/passwd']",
    "set variable a = 1",
    "reset lock_configuration",
    "pragma memory_limit = '1TB'",
    "pragma database_list",
    "call pragma_version()",
    "checkpoint",
    "vacuum",
    "use memory",
    "prepare a as select 1",
    "execute a",
    "begin",
    "select 1; copy (select 1) to '{d}/out.csv'",
    "select 1; select * from read_csv('/etc/passwd')",
]


@pytest.mark.parametrize("attack", [*READ, *WRITE])
def test_nothing_else_is_read_or_written(lake, data, attack):
    before = sorted(data.rglob("*"))
    with pytest.raises(TapelineError) as refused:
        lake.ask(Question(attack.format(d=data), limits=Limits(memory_mb=200)))
    assert SECRET not in str(refused.value)
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize("attack", NETWORK)
def test_nobody_is_called(lake, attack):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(TapelineError):
            lake.sql(attack.format(port=listener.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_files_that_a_question_does_not_need_are_shut_too(lake):
    """Even of the lake itself: a view is the only way in."""
    (quotes, *_) = [f for f in lake.catalogue().files if f.kind == "quote"]
    with pytest.raises(TapelineError, match="disabled by configuration"):
        lake.sql(f"select * from read_parquet('{lake.catalogue().path(quotes)}')")


def test_settings_stay_as_they_are(lake):
    rows = lake.sql("select name, value from duckdb_settings()").to_pylist()
    settings = {row["name"]: row["value"] for row in rows}
    assert settings["enable_external_access"] == "false"
    assert settings["lock_configuration"] == "true"
    assert settings["autoload_known_extensions"] == "false"
    assert settings["autoinstall_known_extensions"] == "false"


def test_a_venues_name_cannot_become_sql(tmp_path):
    """A quote in a path or in a parameter is a character like any other."""
    folder = tmp_path / "it's"
    sink = LakeSink(folder)
    sink.open()
    sink.commit("it's", 0, one_of_each())
    sink.close()
    lake = tl.open(folder)
    assert lake.sql("select count(*) c from trades where id = $id", id="' or true --")["c"].to_pylist() == [0]
    with pytest.raises(UsageError, match=r"nothing of a:b;drop-view-trades\."):
        lake.trades("a:b;drop-view-trades")
    assert lake.sql("select distinct session_id s from trades")["s"].to_pylist() == ["it's"]


def test_a_question_leaves_nothing_on_the_disk(lake, tmp_path, monkeypatch):
    """A sort that does not fit into memory fails; it does not spill into the folder where one happens to be."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TapelineError):
        lake.ask(Question("select * from range(50000000) t(a) order by hash(a)", limits=Limits(memory_mb=60, seconds=60)))
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_in_the_middle_of_an_answer_is_told_as_at_its_beginning(lake):
    """By then Arrow hands out the rows, and passes errors on as its own."""
    with pytest.raises(QueryError, match="late"):
        lake.sql("select case when a = 5000000 then error('late') else a end from range(10000000) t(a)")
    slow = Question("select a from range(100000000) t(a)", limits=Limits(memory_mb=500))
    slow._check = lambda: slow.stop("enough")  # type: ignore[method-assign]  # with the first rows in hand
    with pytest.raises(QueryStopped, match="enough"):
        lake.ask(slow)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Out of Memory Error: ArrowBuffer: failed to allocate 2097152 bytes", duckdb.OutOfMemoryException),
        ("Invalid Input Error: Arrow Appender: The maximum total string size for …", duckdb.OutOfMemoryException),
        ("IO Error: No files found that match the pattern", duckdb.IOException),
    ],
)
def test_errors_that_arrow_passes_on(said, kind):
    """Their words are DuckDB's; a value larger than memory is not made here."""
    schema = pa.schema([("a", pa.int64())])

    def answer():
        yield pa.record_batch([pa.array([1])], schema)
        raise OSError(said)

    found = database.batches(pa.RecordBatchReader.from_batches(schema, answer()))
    assert next(found).num_rows == 1
    with pytest.raises(kind):
        next(found)

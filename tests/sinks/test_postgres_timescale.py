"""TimescaleDB, which cannot be installed where these tests run: its functions are stood in for, in a database of their own.

The stand-in takes `create_hypertable` with TimescaleDB's own parameter names and refuses what it refuses: a table with rows, a time column that
may be null, a unique index without the time column. That a real one takes the same statement is not proved here.
"""

from collections.abc import Iterator

import psycopg
import pytest

from tapeline.config import PostgresSettings
from tapeline.sinks.postgres import PostgresSink
from tests.services import postgres
from tests.services.postgres import Server
from tests.sinks.helpers import in_order, one_of_each
from tests.sinks.subjects.postgres_subject import latest_bars, read

DATABASE = "timescale"
KINDS = {"trades", "quotes", "bars", "book_updates", "metrics", "tickers", "liquidations", "status", "alerts"}
EXTENSION = [
    "CREATE SCHEMA ts; CREATE SCHEMA timescaledb_information",
    "CREATE TABLE timescaledb_information.hypertables (hypertable_schema name, hypertable_name name, chunk interval)",
    """
CREATE FUNCTION ts.create_hypertable(relation regclass, time_column_name name, chunk_time_interval anyelement,
                                     create_default_indexes boolean DEFAULT true, if_not_exists boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE filled boolean; at smallint;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', relation) INTO filled;
    IF filled THEN RAISE 'table "%" is not empty', relation; END IF;
    SELECT attnum INTO at FROM pg_attribute WHERE attrelid = relation AND attname = time_column_name AND attnotnull
        AND atttypid = 'timestamptz'::regtype;
    IF at IS NULL THEN RAISE 'no time column'; END IF;
    IF EXISTS (SELECT FROM pg_index WHERE indrelid = relation AND indisunique AND NOT at = ANY(indkey)) THEN
        RAISE 'cannot create a unique index without the column "%" (used in partitioning)', time_column_name;
    END IF;
    INSERT INTO timescaledb_information.hypertables
        SELECT n.nspname, c.relname, chunk_time_interval FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    RETURN relation::text;
END $$""",
    "SET allow_system_table_mods = on",
    """INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
       SELECT 987654, 'timescaledb', 10, oid, false, '2.0' FROM pg_namespace WHERE nspname = 'ts'""",
]


@pytest.fixture
def server() -> Iterator[Server]:
    server = postgres.shared()
    server.run(f"CREATE DATABASE {DATABASE}")
    server.run(*EXTENSION, database=DATABASE)
    yield server
    server.run(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def opened(server: Server, schema: str = "market") -> PostgresSink:
    sink = PostgresSink(PostgresSettings(url=server.url(DATABASE), schema=schema))
    sink.open()
    return sink


def hypertables(server: Server, schema: str) -> list[tuple[object, ...]]:
    wanted = (
        f"SELECT hypertable_name, chunk::text FROM timescaledb_information.hypertables WHERE hypertable_schema = '{schema}'"
    )
    return server.run(wanted, database=DATABASE)


def test_new_tables_become_hypertables_of_a_day_once_and_have_no_brin(server: Server) -> None:
    for _ in range(2):
        opened(server, "odd name").close()
    assert {*hypertables(server, "odd name")} == {(name, "1 day") for name in KINDS}
    assert len(hypertables(server, "odd name")) == len(KINDS)
    assert server.run("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '% brin %'", database=DATABASE) == []
    sink = opened(server, "odd name")
    sink.commit("s", 0, one_of_each())
    sink.close()
    assert in_order(read(server, "odd name", DATABASE)) == in_order(latest_bars([one_of_each()]))


def test_plain_tables_that_hold_rows_stay_plain(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.run("UPDATE pg_extension SET extname = 'away' WHERE oid = 987654", database=DATABASE)
    sink = opened(server)
    sink.commit("s", 0, [e for e in one_of_each() if "Trade" in type(e).__name__])
    sink.close()
    server.run("UPDATE pg_extension SET extname = 'timescaledb' WHERE oid = 987654", database=DATABASE)
    opened(server).close()
    assert {name for name, _ in hypertables(server, "market")} == KINDS - {"trades"}


def test_the_stand_in_refuses_what_timescale_refuses(server: Server) -> None:
    server.run("CREATE TABLE k (time timestamptz NOT NULL, id int PRIMARY KEY)", database=DATABASE)
    with pytest.raises(psycopg.errors.RaiseException, match="unique index without the column"):
        server.run("SELECT ts.create_hypertable('k', 'time', interval '1 day')", database=DATABASE)

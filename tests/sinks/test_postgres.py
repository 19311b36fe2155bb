"""What is PostgreSQL's own: its types, its bars, its outages. A real server, read by psql and by SQL of the test's own."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import PostgresSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Alert, Bar, BookUpdate, Event, Quote, Status, Trade
from tapeline.sinks import postgres_rows
from tapeline.sinks.postgres import PATIENCE, PostgresSink
from tapeline.sinks.postgres_link import Patience
from tests.services import postgres
from tests.services.postgres import Server
from tests.sinks.helpers import BTC, T0, frames, in_order, one_of_each
from tests.sinks.subjects.postgres_subject import latest_bars, read, schema_of

DOWN = Patience(connect=2, statement=5.0, call=0.5, lock=5.0)


@pytest.fixture(scope="module")
def server() -> Server:
    return postgres.shared()


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return schema_of(tmp_path)


@pytest.fixture
def sink(server: Server, schema: str) -> Iterator[PostgresSink]:
    made = PostgresSink(PostgresSettings(url=server.url(), schema=schema))
    made.open()
    yield made
    made.close()


@pytest.fixture
def frail() -> Iterator[Server]:
    """A server of this test's own, to be stopped and stunned."""
    server = postgres.own("frail")
    yield server
    server.remove()


def flat(made: list[list[Event]]) -> list[Event]:
    return [e for events in made for e in events]


def holds(server: Server, schema: str, *sessions: list[Event]) -> None:
    assert in_order(read(server, schema)) == in_order(latest_bars(sessions))


def test_psql_reads_the_tables(server, sink, schema):
    book = BookUpdate(BTC, T0 + 1999, T0, 0, [(61800.1, 0.5), (61800.0, 2.0)], [(61800.2, 0.1)], True, 7, None)
    bar = Bar(BTC, T0, T0, 0, "1m", T0 - 59_000_000_000, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, None, 3, True, 0, "trades")
    sink.commit("s", 0, [book, Trade(BTC, T0 + 1_234_567, T0, 128, 0.1, 1e-8, "buy", "☂,\"'\n"), bar])
    done = subprocess.run(
        [postgres.program("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", server.url()],
        input=f"""
            SET search_path = {schema}; SET timezone = 'UTC';
            SELECT time, ts_event, instrument, price, size, side, id, session_id, n FROM trades WHERE flags & 128 <> 0;
            SELECT bid_prices[1], ask_sizes[1] FROM book_updates;
            SELECT price, size FROM book_updates, unnest(bid_prices, bid_sizes) AS level (price, size) ORDER BY price DESC;
            SELECT time, open, trades FROM bars WHERE instrument = '{BTC}' AND interval = '1m';
        """,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "SET",
        "SET",
        f"2026-11-19 23:59:59.001234+00|{T0 + 1_234_567}|{BTC}|0.1|1e-08|buy|☂,\"'",
        "|s|1",
        "61800.1|0.1",
        "61800.1|0.5",
        "61800|2",
        "2026-11-19 23:59:00+00|1|3",
    ]


def test_times_that_cannot_be_true_stand_at_the_time_of_receipt(server, sink, schema):
    far, flagged, early = T0 * 3, T0 - 5, 17_000_000
    trades = [
        Trade(BTC, ts, T0, flags, 1.0, 1.0, "buy", "") for ts, flags in [(far, 0), (flagged, 256), (early, 0), (T0 - 9000, 0)]
    ]
    sink.commit("s", 0, trades)
    received = datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC)
    rows = server.run(f'SELECT ts_event, time FROM "{schema}".trades ORDER BY n')
    assert rows[:3] == [(far, received), (flagged, received), (early, received)]
    assert rows[3] == (T0 - 9000, received.replace(second=58, microsecond=999_991))


def test_texts_and_numbers_that_copy_does_not_like(server, sink, schema):
    odd: list[Event] = [
        Status(BTC, T0, T0, 0, "gap", "binance", "book", "a line\n\\.\nand one more", None, None, None),
        Alert(BTC, T0, T0, 0, "\\N", "", float("inf"), "\\."),
        Alert(BTC, T0, T0, 0, '"', "", -0.0, "tab\tcr\r\\n"),
        Quote(BTC, T0, T0, 0, float("-inf"), 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -(1 << 63), "venue"),
    ]
    sink.commit("s", 0, odd)
    holds(server, schema, odd)
    sink.commit("s", 1, [Alert(BTC, T0, T0, 0, "nul\0", "\0", float("nan"), "")])
    (found,) = server.run(f"SELECT rule, state, value::text, text FROM \"{schema}\".alerts WHERE value = 'nan'")
    assert found == ("nul\ufffd", "\ufffd", "NaN", "")


def test_of_two_sessions_halves_of_a_bar_the_whole_one_stands_whichever_came_first(server, tmp_path):
    def bar(ts_open: int, trades: int, revision: int = 0, *, complete: bool = True) -> Bar:
        numbers = (1.0, 2.0, 0.5, 1.5, 10.0, None, None, None)
        return Bar(BTC, T0, T0, 0, "1m", ts_open, *numbers, trades, complete, revision, "trades")

    early = [bar(60, 5, complete=False), bar(120, 9), bar(120, 10, 1), bar(180, 4), bar(240, 5, 2), bar(240, 6, 1)]
    late = [bar(60, 3), bar(120, 7), bar(180, 4)]
    for name, order in {"forth": "es", "back": "se"}.items():
        sink = PostgresSink(PostgresSettings(url=server.url(), schema=schema_of(tmp_path / name)))
        sink.open()
        for session in order:
            sink.commit(session, 0, list(early if session == "e" else late))
        sink.close()
        rows = server.run(f'SELECT ts_open, trades, session_id FROM "{schema_of(tmp_path / name)}".bars ORDER BY ts_open')
        assert rows == [(60, 3, "s"), (120, 10, "e"), (180, 4, "s"), (240, 5, "e")]


def test_every_event_has_the_number_it_has_in_the_lake(server, sink, schema, tmp_path):
    from tests.sinks.subjects import subject

    lake = subject("lake").make(tmp_path)
    lake.open()
    made = frames(200)
    for a in range(0, 200, 40):
        for one in (lake, sink):
            one.commit("s", a + 39, flat(made[a : a + 40]))
    lake.close()
    import duckdb

    theirs = duckdb.sql(f"SELECT n, id FROM read_parquet('{tmp_path}/lake/kind=trade/**/*.parquet') ORDER BY n").fetchall()
    assert server.run(f'SELECT n, id FROM "{schema}".trades ORDER BY n') == theirs


def test_a_connection_killed_within_copy_leaves_nothing_of_that_commit(server, sink, schema):
    """One that stands still, for want of a lock, until it is killed: a quick one could be missed."""
    made = frames(20_000)
    sink.commit("s", 0, made[0])
    killed = threading.Event()

    def kill() -> None:
        with server.connect() as db:
            statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s AND state = 'active'"
            while not killed.is_set() and not db.execute(statement, (f'COPY "{schema}".%',)).fetchall():
                pass

    killer = threading.Thread(target=kill, daemon=True)
    with server.connect() as other, other.transaction():
        other.execute(f'LOCK TABLE "{schema}".quotes IN ACCESS EXCLUSIVE MODE')
        killer.start()
        with pytest.raises(OSError, match=r"terminating connection|closed the connection"):
            sink.commit("s", len(made) - 1, flat(made[1:]))
    killed.set()
    killer.join()
    holds(server, schema, made[0])
    assert sink.position("s") == 0
    sink.commit("s", len(made) - 1, flat(made[1:]))
    holds(server, schema, flat(made))


def test_a_server_that_crashes_and_comes_back(frail):
    sink = PostgresSink(PostgresSettings(url=frail.url(), schema="market"))
    sink.open()
    made = frames(300)
    sink.commit("s", 99, flat(made[:100]))
    frail.stop("immediate")
    for _ in range(2):
        with pytest.raises(OSError, match="PostgreSQL at postgresql://"):
            sink.commit("s", 199, flat(made[100:200]))
    with pytest.raises(OSError, match="PostgreSQL at"):
        sink.position("s")
    frail.start()
    assert sink.position("s") == 99
    sink.commit("s", 299, flat(made[100:]))
    sink.close()
    holds(frail, "market", flat(made))


def test_a_server_that_is_killed_while_it_commits(frail):
    """Each commit is in whole or not at all, and the position says which."""
    sink = PostgresSink(PostgresSettings(url=frail.url(), schema="market"))
    sink.open()
    made, reached = frames(5000), -1

    def write() -> None:
        nonlocal reached
        while True:
            sink.commit("s", reached + 2, flat(made[reached + 1 : reached + 3]))
            reached += 2

    for crash in range(4):
        crasher = threading.Timer(0.02 * crash, frail.stop, ("immediate",))
        crasher.start()
        with pytest.raises(OSError, match="PostgreSQL at"):
            write()
        crasher.join()
        frail.start()
        stands = sink.position("s")
        assert stands in (reached, reached + 2)
        reached = stands
    sink.close()
    holds(frail, "market", flat(made[: reached + 1]))


def test_a_server_that_stands_still_is_given_up_and_what_it_does_later_is_not_done_twice(frail):
    sink = PostgresSink(PostgresSettings(url=frail.url(), schema="market"))
    sink.open()
    made = frames(200)
    sink.commit("s", 99, flat(made[:100]))
    sink._patience = DOWN  # from now on: before, a busy machine may take its time
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(frail.pid)], capture_output=True, text=True, check=True)
    stunned = [frail.pid, *map(int, children.stdout.split())]
    for pid in stunned:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(OSError, match=r"did not answer within 0.5 s"):
            sink.commit("s", 199, flat(made[100:]))
        with pytest.raises(OSError, match="timeout expired"):
            sink.position("s")
        with pytest.raises(ConfigError, match=r"cannot be reached.*timeout expired"):
            PostgresSink(PostgresSettings(url=frail.url(), schema="market"), DOWN).open()
    finally:
        for pid in stunned:
            os.kill(pid, signal.SIGCONT)
    sink._patience = PATIENCE
    if sink.position("s") == 99:
        sink.commit("s", 199, flat(made[100:]))
    sink.close()
    holds(frail, "market", flat(made))


@pytest.mark.parametrize(
    ("trouble", "end", "said"),
    [
        ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off", "read-only transaction"),
        ("SET statement_timeout = 1", "SET statement_timeout = 0", "statement timeout"),
    ],
)
def test_a_server_that_says_no_for_a_while(server, sink, schema, trouble, end, said):
    made = frames(5000)
    sink.commit("s", 0, made[0])
    assert sink._db is not None
    sink._db.execute(trouble)
    with pytest.raises(OSError, match=said):
        sink.commit("s", len(made) - 1, flat(made[1:]))
    if sink._db is not None:
        sink._db.execute(end)
    holds(server, schema, made[0])
    sink.commit("s", len(made) - 1, flat(made[1:]))
    holds(server, schema, flat(made))


def test_a_table_that_cannot_grow_is_an_outage(server, sink, schema):
    """As a full disk is: the server refuses rows of one table after it took those of others."""
    server.run(
        f'CREATE FUNCTION "{schema}".full() RETURNS trigger LANGUAGE plpgsql AS '
        "$$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$",
        f'CREATE TRIGGER no_space BEFORE INSERT ON "{schema}".alerts EXECUTE FUNCTION "{schema}".full()',
    )
    with pytest.raises(OSError, match="No space left on device"):
        sink.commit("s", 0, one_of_each())
    holds(server, schema)
    assert sink.position("s") == -1
    server.run(f'DROP TRIGGER no_space ON "{schema}".alerts')
    sink.commit("s", 0, one_of_each())
    holds(server, schema, one_of_each())


def test_a_writer_past_the_lock_is_stopped_by_the_position(server, sink, schema, monkeypatch):
    """As behind a pooler, where locks of a session mean nothing: somebody moves the position between our look and our commit."""
    sink.commit("s", 3, one_of_each())
    standing = sink._standing

    def looked(*arguments: Any) -> tuple[int, int]:
        found = standing(*arguments)
        server.run(f"UPDATE \"{schema}\".positions SET seq = 5 WHERE session_id = 's'")
        return found

    monkeypatch.setattr(sink, "_standing", looked)
    with pytest.raises(IntegrityError, match="no longer at frame 3"):
        sink.commit("s", 5, one_of_each())
    holds(server, schema, one_of_each())


def test_rows_that_get_lost_on_the_way_are_noticed(server, sink, schema, monkeypatch):
    csv = postgres_rows.csv
    monkeypatch.setattr(postgres_rows, "csv", lambda rows: csv(rows.slice(0, max(1, len(rows) - 1))))
    with pytest.raises(IntegrityError, match="1 of 2 trades arrived"):
        sink.commit("s", 0, one_of_each())
    holds(server, schema)

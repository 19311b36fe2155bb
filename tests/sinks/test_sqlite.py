"""SQLite's own promises: readable by hand, one row a bar, nothing repeated, read while written."""

import sqlite3

import pytest

from tapeline.errors import ConfigError
from tapeline.events import Bar, Event, Flag, Quote, Ticker, Trade
from tapeline.sinks import sqlite
from tapeline.sinks.sqlite import SqliteSink
from tests.sinks.helpers import BTC, T0


@pytest.fixture
def sink(tmp_path):
    made = SqliteSink(tmp_path)
    made.open()
    yield made
    made.close()


def ask(sink: SqliteSink, sql: str) -> list[tuple]:
    db = sqlite3.connect(f"file:{sink.path}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def bar(revision: int = 0, complete: bool = True, trades: int | None = 3, close: float = 1.0, origin: str = "trades") -> Bar:
    return Bar(BTC, T0, T0, 0, "1m", T0, 1.0, 2.0, 0.5, close, 9.0, None, None, None, trades, complete, revision, origin)


def test_the_iso_views_are_readable_and_keep_all_nine_digits(sink):
    sink.commit("s", 0, [Trade(BTC, T0 + 7, T0 + 1_234_567_890, int(Flag.SIMULATED | Flag.LATE), 1.5, 2.0, "buy", "7")])
    assert ask(sink, "SELECT event_time, recv_time, price, flags, flag_names FROM trades_iso") == [
        ("2026-11-19T23:59:59.000000007Z", "2026-11-20T00:00:00.234567890Z", 1.5, 130, "LATE SIMULATED")
    ]
    sink.commit("s", 1, [bar(), Ticker(BTC, T0, T0, 0, next_funding=T0 + 1_000_000_000), Ticker(BTC, T0, T0, 0)])
    assert ask(sink, "SELECT open_time, flag_names FROM bars_iso") == [("2026-11-19T23:59:59.000000000Z", "")]
    assert ask(sink, "SELECT next_funding_time FROM tickers_iso") == [("2026-11-20T00:00:00.000000000Z",), (None,)]


def test_prices_are_numbers_times_are_integers_and_lookups_use_the_index(sink):
    sink.commit("s", 0, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "7")])
    assert ask(sink, "SELECT typeof(price), typeof(ts_event), typeof(flags), typeof(id) FROM trades") == [
        ("real", "integer", "integer", "text")
    ]
    for table in ("trades", "quotes_iso", "status"):
        plan = ask(sink, f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE instrument = 'x' AND ts_event > 5")
        assert "USING INDEX" in plan[0][3]
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        sink._db.execute("INSERT INTO trades VALUES ('a', 'yesterday', 1, 0, 1.0, 1.0, 'buy', '', NULL)")


def test_it_can_be_read_while_a_reader_holds_on(sink):
    sink.commit("s", 0, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "7")])
    reader = sqlite3.connect(f"file:{sink.path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM trades").fetchone() == (1,)
    sink.commit("s", 1, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "8")])
    assert reader.execute("SELECT count(*) FROM trades").fetchone() == (1,)
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM trades").fetchone() == (2,)
    reader.close()


@pytest.mark.parametrize(
    ("given", "close"),
    [
        ([("a", bar(0, close=1)), ("a", bar(1, close=2))], 2),
        ([("a", bar(0, complete=True, close=1)), ("a", bar(1, complete=False, close=2))], 2),  # its own correction counts
        ([("a", bar(complete=True, close=1)), ("b", bar(complete=False, trades=9, close=2))], 1),
        ([("b", bar(complete=False, trades=9, close=2)), ("a", bar(complete=True, close=1))], 1),
        ([("a", bar(complete=False, trades=5, close=1)), ("b", bar(complete=False, trades=9, close=2))], 2),
        ([("b", bar(complete=False, trades=9, close=2)), ("a", bar(complete=False, trades=5, close=1))], 2),
        ([("a", bar(close=1)), ("b", bar(close=2))], 2),
        ([("b", bar(close=2)), ("a", bar(close=1))], 2),
        ([("a", bar(trades=None, close=1)), ("b", bar(trades=1, close=2))], 2),
    ],
)
def test_a_bar_is_one_row_whichever_session_comes_first(sink, given, close):
    for seq, (session, event) in enumerate(given):
        sink.commit(session, seq, [event])
    assert ask(sink, "SELECT close FROM bars") == [(close,)]


def test_bars_of_different_origins_stand_side_by_side(sink):
    sink.commit("s", 0, [bar(), bar(origin="venue")])
    assert len(ask(sink, "SELECT * FROM bars")) == 2


def quote(bid: float, seq: int, origin: str = "book", flags: int = 0) -> Event:
    return Quote(BTC, T0 + seq, T0 + seq, flags, bid, 1.0, None, None, seq, origin)


def test_an_unchanged_touch_is_kept_once_also_across_a_restart(sink):
    sink.commit("s", 0, [quote(1, 0), quote(1, 1), quote(2, 2)])
    sink.close()
    sink.open()
    sink.commit("s", 1, [quote(2, 3), quote(2, 4, flags=2048), quote(2, 5, flags=2048), quote(2, 6, origin="venue")])
    sink.commit("s", 2, [quote(2, 7, origin="venue"), quote(1, 8), quote(2, 9)])
    assert ask(sink, "SELECT seq FROM quotes ORDER BY rowid") == [(n,) for n in (0, 2, 4, 6, 7, 8, 9)]


def test_a_failed_commit_leaves_no_trace_in_what_stands(sink, monkeypatch):
    sink.commit("s", 0, [quote(1, 0)])
    monkeypatch.setattr(sqlite, "_rows", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        sink.commit("s", 1, [quote(2, 1)])
    monkeypatch.undo()
    sink.commit("s", 1, [quote(2, 1)])
    assert ask(sink, "SELECT seq FROM quotes") == [(0,), (1,)]


def test_what_stands_is_forgotten_with_the_finished_session(sink):
    sink.commit("s", 0, [quote(1, 0)])
    sink.commit("t", 0, [quote(1, 1)])
    sink.finish("s")
    assert ask(sink, "SELECT session FROM standing") == [("t",)]


def test_a_locked_file_is_an_error_and_then_goes_on(sink, monkeypatch):
    other = sqlite3.connect(sink.path, isolation_level=None)
    sink._db.execute("PRAGMA busy_timeout = 10")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError, match="locked"):
        sink.commit("s", 0, [quote(1, 0)])
    other.execute("ROLLBACK")
    other.close()
    sink.commit("s", 0, [quote(1, 0)])
    assert sink.position("s") == 0


def test_tables_of_another_version_are_refused(sink, tmp_path):
    sink._db.execute("PRAGMA user_version = 99")
    sink.close()
    with pytest.raises(ConfigError, match=r"tables of version 99.*made anew from the tape"):
        SqliteSink(tmp_path).open()
    (tmp_path / "tapeline.sqlite").write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match="cannot be used"):
        SqliteSink(tmp_path).open()


def test_a_file_that_is_removed_while_it_is_written(sink):
    """SQLite goes on writing what nobody will find; the runner is told instead, and the next start begins anew."""
    sink.commit("s", 0, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "7")])
    sink.path.unlink()
    with pytest.raises(OSError, match="removed while it was written"):
        sink.commit("s", 1, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "8")])


def test_a_file_of_an_earlier_release_gets_the_columns_that_it_lacks(sink):
    """Trades had no conditions and tickers no session: what stands stays, what comes has its place."""
    sink.commit("s", 0, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "7")])
    for table, column in (("trades", "conditions"), ("tickers", "session")):
        sink._db.execute(f"DROP VIEW {table}_iso")
        sink._db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    sink.close()
    sink.open()
    sink.commit("s", 1, [Trade(BTC, T0, T0, 0, 2.0, 2.0, "buy", "8", "1,12")])
    assert ask(sink, "SELECT id, conditions FROM trades_iso ORDER BY id") == [("7", None), ("8", "1,12")]

"""SQLite and lake made anew from the tape: what the tape does not have any more stays, and a crash at the end harms nobody."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tapeline.audit.audit import audit
from tapeline.events import Event, Trade
from tapeline.lake import catalogue
from tapeline.sinks import rebuild
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.rebuild import OnTape
from tapeline.sinks.sqlite import FILE, SqliteSink
from tests.sinks.fakes import Tape
from tests.sinks.helpers import BTC, T0

SECOND, YEAR = 10**9, 365 * 86_400 * 10**9


def trades(first: int, count: int) -> list[list[Event]]:
    """One a frame and second, from that time on."""
    times = range(first, first + count * SECOND, SECOND)
    return [[Trade(BTC, ts, ts, 0, 100.0, 1.0, "buy", str(ts))] for ts in times]


def written(data: Path, **sessions: list[list[Event]]) -> None:
    sink = SqliteSink(data)
    sink.open()
    for session, made in sessions.items():
        sink.commit(session, len(made) - 1, [event for events in made for event in events])
    sink.close()


def kept(data: Path) -> list[int]:
    with closing(sqlite3.connect(data / FILE)) as db:
        return [row[0] for row in db.execute("SELECT ts_recv FROM trades ORDER BY ts_recv")]


def test_rows_that_only_sqlite_has_stay_whatever_was_imported(tmp_path: Path) -> None:
    """A recording of years ago makes no row of since then one that the tape has."""
    imported, gone, recorded = trades(T0 - 5 * YEAR, 5), trades(T0, 5), trades(T0 + 3600 * SECOND, 5)
    written(tmp_path, imported=imported, gone=gone, recorded=recorded)
    before = kept(tmp_path)
    on_tape = {
        "imported": OnTape(4, T0 - 5 * YEAR, T0 - 5 * YEAR + 4 * SECOND, True),
        "recorded": OnTape(4, T0 + 3600 * SECOND, T0 + 3604 * SECOND, True),
    }
    tape = Tape(imported=imported, recorded=recorded)
    rebuild.rebuild(tmp_path, ["sqlite"], on_tape, tape.catch_up, lambda _: None)
    assert kept(tmp_path) == before
    assert len(before) == 15


def test_a_day_that_retention_took_stays_taken_where_the_tape_cannot_bring_it_back(tmp_path: Path) -> None:
    """Whoever folds a bar of it, or verifies it, must know that it is gone."""
    gone = trades(T0 - 24 * 3600 * SECOND, 5) + trades(T0, 5)
    sink = LakeSink(tmp_path)
    sink.open()
    sink.commit("gone", len(gone) - 1, [event for events in gone for event in events])
    first, *_ = sorted(sink.store.state.files(), key=lambda f: f.date)
    sink.store.swap([first], [], retired=first.date)
    sink.close()
    before = catalogue.read(tmp_path)
    rebuild.rebuild(tmp_path, ["lake"], {}, Tape().catch_up, lambda _: None)
    after = catalogue.read(tmp_path)
    assert (after.retired, after.sessions) == (before.retired, before.sessions)
    assert [(f.date, f.rows) for f in after.files] == [(f.date, f.rows) for f in before.files]
    assert not audit(tmp_path).points[1:]


def test_a_crash_while_the_old_one_is_thrown_away_harms_no_commit_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trades(T0, 5)
    written(tmp_path, s=made)
    remove = shutil.rmtree

    def half(path: Path, **_: bool) -> None:
        if (path / rebuild.OLD).exists():
            remove(path / rebuild.OLD)
            raise KeyboardInterrupt

    monkeypatch.setattr(rebuild.shutil, "rmtree", half)
    on_tape = {"s": OnTape(4, T0, T0 + 4 * SECOND, True)}
    with pytest.raises(KeyboardInterrupt):
        rebuild.rebuild(tmp_path, ["sqlite"], on_tape, Tape(s=made).catch_up, lambda _: None)
    monkeypatch.undo()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:  # a commit that stands in the log as yet
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("DELETE FROM trades WHERE ts_recv = ?", (T0,))
        db.commit()
        rebuild.settle(tmp_path)
        assert (tmp_path / f"{FILE}-wal").exists()
    assert kept(tmp_path) == [T0 + n * SECOND for n in range(1, 5)]
    assert not (tmp_path / rebuild.FOLDER).exists()

"""SQLite beside a session that goes on: what it has when the audit begins is proved, what comes meanwhile is not asked for."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tapeline.audit.audit import audit
from tapeline.engine.replay import batches
from tapeline.sinks.sqlite import FILE, SqliteSink
from tests.audit.recorded import bring_in, market, record

NAME = "20261121T100500Z-aaaa"


def in_part(data: Path) -> None:
    """Half of the session, which ends within a block of the tape."""
    record(data, NAME, market(1))
    sink = SqliteSink(data)
    sink.open()
    half = [batch for batch in batches(data, NAME, single=True) if batch.seq <= 611]
    sink.commit(NAME, half[-1].seq, [event for batch in half for event in batch.events])
    sink.close()


def states(data: Path, *, meanwhile: bool = False) -> list[str]:
    steps = iter(range(1000))
    report = audit(data, lambda *_: bring_in(data) if meanwhile and next(steps) == 0 else None)
    return [p.state for p in report.points if p.what == "sqlite"]


def test_a_part_is_proved_whatever_comes_meanwhile(tmp_path):
    in_part(tmp_path)
    assert states(tmp_path) == ["noted", "holds"]
    assert states(tmp_path, meanwhile=True) == ["noted", "holds"]
    assert states(tmp_path) == ["holds"]


def test_a_row_that_a_part_lacks_is_found(tmp_path):
    in_part(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("DELETE FROM trades WHERE rowid = (SELECT max(rowid) FROM trades)")
    assert states(tmp_path) == ["noted", "broken"]

"""What can be wrong with a lake whose files are all there and whole."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tapeline.audit.audit import audit
from tapeline.audit.lake import LakeFiles, LakeRows
from tapeline.audit.report import Report
from tapeline.audit.words import page
from tapeline.cli import main
from tapeline.config import KeepSettings
from tapeline.events import TYPES
from tapeline.lake import database
from tapeline.lake.catalogue import read
from tapeline.lake.layout import DAY
from tapeline.lake.store import Store
from tapeline.lake.turns import reading, swapping
from tapeline.sinks.lake import LakeSink
from tests.audit.recorded import bring_in, lake_file, market, record
from tests.engine.feeds import T0
from tests.lake.upkeep_helpers import Hands, upkeep
from tests.sinks.helpers import one_of_each

FIRST, SECOND = "20261121T100500Z-aaaa", "20261121T110500Z-bbbb"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("sound")
    record(data, FIRST, market(1))
    record(data, SECOND, market(2))
    bring_in(data)
    return data


def change(data: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(data / "lake" / "_state.sqlite")) as db, db:
        assert db.execute(statement, values).rowcount


def spoil_a_page(data: Path) -> None:
    """The footer stays whole."""
    path = lake_file(data, "trade")
    about = pq.read_metadata(path).row_group(0)
    price = next(c for c in map(about.column, range(about.num_columns)) if c.path_in_schema == "price")
    raw = bytearray(path.read_bytes())
    for at in range(price.data_page_offset + 20, price.data_page_offset + 40):
        raw[at] ^= 0xFF
    path.write_bytes(raw)


def lie_of_the_time(data: Path) -> None:
    change(data, "UPDATE files SET last_ts = first_ts WHERE kind = 'trade'")


def tell_a_position_too_far_on(data: Path) -> None:
    change(data, "UPDATE positions SET events = events - 7 WHERE session = ?", FIRST)


def tell_a_position_too_far_back(data: Path) -> None:
    change(data, "UPDATE positions SET seq = seq - 50 WHERE session = ?", FIRST)


def move_to_another_day(data: Path) -> None:
    path = lake_file(data, "quote")
    place = path.relative_to(data / "lake").as_posix()
    other = place.replace("date=2026-11-21", "date=2026-11-20")
    (data / "lake" / other).parent.mkdir(parents=True)
    path.rename(data / "lake" / other)
    change(data, "UPDATE files SET path = ?, date = '2026-11-20' WHERE path = ?", other, place)


def list_a_file_under_two_names(data: Path) -> None:
    path = lake_file(data, "quote")
    place = path.relative_to(data / "lake").as_posix()
    shutil.copy(path, path.with_name("again.parquet"))
    columns = "kind, venue, symbol, date, first_ts, last_ts, rows, bytes, compacted"
    again = place.rpartition("/")[0] + "/again.parquet"
    change(data, f"INSERT INTO files (path, {columns}) SELECT ?, {columns} FROM files WHERE path = ?", again, place)


SPOILED: list[tuple[Callable[[Path], None], str]] = [
    (spoil_a_page, "damaged"),
    (lie_of_the_time, "other times than the list says"),
    (tell_a_position_too_far_on, "past the position"),
    (tell_a_position_too_far_back, "the tape makes"),
    (move_to_another_day, "on 2026-11-20"),
    (list_a_file_under_two_names, "more than once"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILED, ids=[s[0].__name__ for s in SPOILED])
def test_it_is_found_and_repaired(data, spoil, words, capsys):
    spoil(data)
    report = audit(data)
    assert {p.what for p in report.broken} == {"lake"}
    assert words in page(report)
    assert main(["repair", str(data), "--anew", "lake"]) == 0
    assert "holds together" in capsys.readouterr().out


def test_a_day_that_retention_takes_while_it_is_read_is_no_finding(data):
    sink = LakeSink(data)
    sink.open()
    keeper = upkeep(sink, Hands(T0 + 3 * DAY), [], keep=KeepSettings(lake_days=1))
    steps = iter(range(1000))
    report = audit(data, lambda *_: keeper.run_once() if next(steps) == 1 else None)
    assert not sink.store.state.files()
    sink.close()
    assert not report.broken


def test_a_session_that_is_not_on_the_tape_any_more_is_counted(data):
    shutil.rmtree(data / "tape" / FIRST)
    assert not [p for p in audit(data).points if p.session == FIRST]
    store = Store(data)
    store.open()
    gone = next(f for f in store.state.files() if f.kind == "trade" and FIRST in f.path)
    store.swap([gone], [])
    store.close()
    (lost,) = [p for p in audit(data).points if p.session == FIRST]
    assert (lost.state, lost.count) == ("noted", gone.rows)


def test_every_kind_of_event_is_compared(tmp_path):
    sink, events = LakeSink(tmp_path), one_of_each()
    sink.open()
    sink.commit("s", 0, events)
    sink.close()
    for given, state in ((events, "holds"), (events[:-1], "broken")):
        wanted, report = LakeRows("s", read(tmp_path).sessions["s"]), Report(data="d")
        wanted.take(0, given)
        wanted.flush()
        LakeFiles(tmp_path, report).compare([wanted])
        assert [(p.state, p.session) for p in report.points] == [(state, "s")]
    assert {type(e) for e in events} == set(TYPES.values())


def test_a_file_that_a_swap_is_taking_away_is_not_strange(data, monkeypatch):
    """It is out of the list already, and still lies there."""
    place, waits, there = lake_file(data, "quote").with_name("going.parquet"), threading.Event(), threading.Event()

    def swap() -> None:
        with swapping(data / "lake", threading.Event()):
            shutil.copy(lake_file(data, "quote"), place)
            there.set()
            waits.wait(30)
            place.unlink()

    def told(root: Path) -> AbstractContextManager[None]:
        waits.set()
        return reading(root)

    monkeypatch.setattr("tapeline.audit.lake.reading", told)
    swapper = threading.Thread(target=swap)
    swapper.start()
    there.wait(30)
    report = Report(data="d")
    LakeFiles(data, report)
    swapper.join()
    assert not report.points


@pytest.mark.parametrize(("room", "name"), [(database, "roomy"), (pq, "ParquetFile")])
def test_a_file_that_comes_to_its_place_while_it_is_read_is_read_there(data, monkeypatch, room, name):
    """It is committed and waits in `_pending` when the list is read; once for its footer, once for its rows."""
    before = getattr(room, name)
    place = lake_file(data, "quote")
    waiting = data / "lake" / "_pending" / "x.tmp"
    place.rename(waiting)
    change(data, "INSERT INTO intents VALUES (?, ?)", waiting.name, place.relative_to(data / "lake").as_posix())

    def moved(*given: Any) -> Any:
        if waiting.exists():
            waiting.rename(place)
        return before(*given)

    monkeypatch.setattr(room, name, moved)
    points = audit(data).points
    assert not waiting.exists()
    assert {p.state for p in points if p.what == "lake"} == {"holds"}

"""A lake of version 1 becomes one of version 2 when it is opened, whatever happens meanwhile, and is whole."""

import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tapeline.errors import ConfigError, IntegrityError
from tapeline.lake import catalogue, migration, tables
from tapeline.sinks.lake import LakeSink
from tests.lake.older import write_version_1
from tests.lake.upkeep_helpers import Hands, flat, folders, listed, rows, upkeep
from tests.sinks.helpers import T0, frames, in_order, one_of_each, row
from tests.sinks.subjects.lake_subject import read_lake

ODD = "20261119T235959Z-ab 1/é"  # a name that has to be encoded, and ends like the frames that follow it


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def old(tmp_path):
    """Two sessions; the last commit of the second waits to be moved."""
    write_version_1(tmp_path, "20261119T230000Z-0001", [one_of_each(), *frames(40)], 20)
    write_version_1(tmp_path, ODD, frames(60, seed=2), 20, unmoved=True)
    return tmp_path


def all_rows() -> list[str]:
    return in_order([row(e) for e in (*one_of_each(), *flat(frames(40)), *flat(frames(60, seed=2)))])


def open_and_close(data: Path) -> None:
    sink = LakeSink(data)
    try:
        sink.open()
    finally:
        sink.close()


def check_whole(data: Path) -> None:
    assert in_order(read_lake(data)) == all_rows()
    folders(data)
    first, second = len(one_of_each()) + len(flat(frames(40))), len(flat(frames(60, seed=2)))
    expected = [("20261119T230000Z-0001", n) for n in range(first)] + [(ODD, n) for n in range(second)]
    assert listed(data) == sorted(expected)
    for path in (data / "lake").rglob("*.parquet"):
        about = pq.read_schema(path).metadata
        assert about[b"tapeline.lake"] == b"2"
        assert about[b"tapeline.session"].decode() in {"20261119T230000Z-0001", ODD}
    assert list((data / "lake" / "_pending").iterdir()) == []


def test_every_event_is_kept_and_knows_its_session(old):
    with pytest.raises(IntegrityError, match="is of version 1, not 2"):
        catalogue.read(old)
    open_and_close(old)
    check_whole(old)
    again = {p: p.stat().st_mtime_ns for p in (old / "lake").rglob("*.parquet")}
    open_and_close(old)
    assert again == {p: p.stat().st_mtime_ns for p in (old / "lake").rglob("*.parquet")}


def test_the_sessions_go_on_where_they_stood(old):
    sink = LakeSink(old)
    sink.open()
    assert sink.position(ODD) == 59
    more = frames(80, seed=2)[60:]
    sink.commit(ODD, 79, flat(more))
    upkeep(sink, Hands(T0 + 3 * 86_400 * 10**9), []).run_once()
    sink.close()
    assert set(folders(old).values()) == {1}
    assert in_order(read_lake(old)) == sorted(all_rows() + rows(flat(more)))


@pytest.mark.parametrize("at", [0, 1, 7])
@pytest.mark.parametrize(("where", "name"), [(tables, "write"), (migration, "sync_file"), (migration, "sync_folder")])
def test_a_crash_at_any_step_is_begun_again(old, monkeypatch, where, name, at):
    real, calls = getattr(where, name), iter(range(1000))

    def crash(*arguments):
        if next(calls) == at:
            raise Crash
        return real(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(where, name, crash)
        with pytest.raises(Crash):
            open_and_close(old)
    db = sqlite3.connect(old / "lake" / "_state.sqlite")
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()
    open_and_close(old)
    check_whole(old)


def test_what_cannot_be_read_is_left_and_said(old, capsys):
    victim = max((old / "lake").rglob("kind=trade/**/*.parquet"), key=lambda p: p.stat().st_size)
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    open_and_close(old)
    said = capsys.readouterr()
    assert victim.name in said.out + said.err
    assert "tapeline repair" in said.out + said.err
    assert victim.stat().st_size == len(whole) // 2
    assert victim.relative_to(old / "lake").as_posix() not in {f.path for f in catalogue.read(old).files}


def test_a_newer_lake_is_refused(old):
    open_and_close(old)
    db = sqlite3.connect(old / "lake" / "_state.sqlite")
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(ConfigError, match="is of version 3, this program writes 2"):
        open_and_close(old)

"""The thread that keeps the lake in order: it works beside commits, ends when asked, and says what goes wrong once."""

from threading import Event, current_thread

from tapeline.clock import LiveClock
from tapeline.config import KeepSettings, LakeSettings, Settings
from tapeline.lake import merging
from tapeline.lake import upkeep as room
from tapeline.lake.upkeep import Upkeep, beside
from tapeline.sinks.registry import make
from tests.lake.upkeep_helpers import DAY, Hands, fill, flat, folders, rows, upkeep
from tests.sinks.helpers import T0, frames, in_order
from tests.sinks.subjects.lake_subject import read_lake
from tests.waiting import wait_until

LATER = T0 + 2 * DAY


def test_it_works_by_itself_beside_commits_and_ends(sink, tmp_path):
    said: list[str] = []
    keeper = upkeep(sink, Hands(LATER), said, fan=2)
    keeper.start()
    made = frames(200)
    for at in range(0, 200, 20):
        sink.commit("s", at + 19, flat(made[at : at + 20]))
    wait_until(lambda: keeper.stats.made_files)
    assert keeper.join(30)
    assert said == []
    assert in_order(read_lake(tmp_path)) == rows(flat(made))
    folders(tmp_path)


def test_asked_to_stop_it_throws_away_what_is_not_finished(sink, tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "ROW_GROUP", 10)
    made = fill(sink)
    files = sink.store.state.files()
    keeper = upkeep(sink, Hands(LATER), [])
    groups = iter(range(1000))
    real = merging.conform

    def conform(*arguments):
        if next(groups) == 3:
            keeper.ask_to_stop()  # in the midst of the first merges
        return real(*arguments)

    monkeypatch.setattr(merging, "conform", conform)
    assert not keeper.run_once()
    assert len(files) - len(sink.store.state.files()) <= 5, "no more than the merge it was in was done"
    assert list(sink.store.pending.iterdir()) == []
    assert in_order(read_lake(tmp_path)) == rows(made)


def test_a_lake_that_is_closed_under_it_is_no_failure(sink, monkeypatch):
    fill(sink)
    said: list[str] = []
    keeper = upkeep(sink, Hands(LATER), said)
    working, closed = Event(), Event()
    real = merging.write_merged

    def slow(*arguments):
        working.set()
        assert closed.wait(30)
        return real(*arguments)

    monkeypatch.setattr(merging, "write_merged", slow)
    keeper.start()
    assert working.wait(30)
    assert not keeper.join(0.01)
    sink.close()
    closed.set()
    assert keeper.join(30)
    assert said == []
    assert keeper.stats.errors == 0


def test_a_fault_of_its_own_is_told_and_does_not_end_it(sink, monkeypatch):
    fill(sink)
    told, again = Event(), Event()
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(f"{current_thread().name}: {text}")
        told.set()

    store, lake = sink.store, LakeSettings(compact_seconds=0.01)
    keeper = Upkeep(store, lake=lake, keep=KeepSettings(), clock=Hands(LATER), tell=tell, busy=True)
    calls = iter(range(1000))

    def plan(*_, **__):
        if next(calls) == 3:
            again.set()
        raise KeyError("a fault")

    monkeypatch.setattr(room, "plan", plan)
    keeper.start()
    assert told.wait(30)
    assert again.wait(30)
    assert keeper.join(30)
    assert said == ["upkeep: upkeep of the lake failed: KeyError: 'a fault'; tried again later"]
    assert keeper.stats.errors >= 3


def test_a_day_that_somebody_took_away_is_told_in_one_line_a_folder(sink, tmp_path):
    fill(sink)
    trades = [f for f in sink.store.state.files() if f.kind == "trade"]
    for file in trades:
        (sink.store.root / file.path).unlink()
    said: list[str] = []
    keeper = upkeep(sink, Hands(LATER), said)
    keeper.run_once()
    keeper.run_once()
    places = {f.path.rpartition("/")[0] for f in trades}
    assert len(said) <= len(places) < len(trades)
    assert keeper.stats.left >= len(trades) - len(places)


def test_beside_which_sinks_there_is_upkeep(tmp_path):
    def of(**switches: bool) -> Upkeep | None:
        settings = Settings(sinks=Settings().sinks.__class__(**switches), keep=KeepSettings(sqlite_days=1))
        sinks = make(tmp_path, settings)
        for one in sinks:
            one.open()
        try:
            return beside(sinks, settings, LiveClock(), print)
        finally:
            for one in sinks:
                one.close()

    assert of(lake=True, sqlite=False) is not None
    assert of(lake=False, sqlite=True) is not None
    assert of(lake=False, sqlite=False) is None

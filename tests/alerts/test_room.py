"""The room: what is committed before it is published, what the next start finds, and rules that come and go while it runs."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tapeline.alerts.room import Room
from tapeline.alerts.store import Store
from tapeline.clock import LiveClock
from tapeline.config import AlertsSettings, RuleSettings, TargetSettings
from tapeline.errors import ConfigError, UsageError
from tapeline.events import from_json
from tapeline.frames import Frame, FrameKind
from tests.alerts.making import T0, FakeWatch, Recorder, alert
from tests.waiting import until

SETTINGS = AlertsSettings(
    rules={"btc-high": RuleSettings(rule="mid > 1", notify=("ops",))}, targets={"ops": TargetSettings(url="fake://ops")}
)


class House:
    """A room, its watch, the frames it has delivered, and the messages of the target `ops`."""

    def __init__(self, data: Path, settings: AlertsSettings, recorder: Recorder, session: str) -> None:
        self.frames: list[Frame] = []
        self.watch, self.recorder = FakeWatch(), recorder
        self.room = Room(data, settings, LiveClock(), session=session, deliver=self._deliver)

    def _deliver(self, frames: list[Frame]) -> int:
        self.frames += frames
        return len(self.frames)

    def published(self) -> list[Any]:
        assert all(f.kind == FrameKind.ALERT for f in self.frames)
        return [(e.id, e.state) for e in (from_json(f.data) for f in self.frames)]


@pytest.fixture
def recorder(monkeypatch) -> Recorder:
    """Every target is this one."""
    recorder = Recorder()
    monkeypatch.setattr("tapeline.alerts.targets.make", lambda _: recorder)
    for module in ("room", "keeper"):  # what is under way is waited for, however busy the machine
        monkeypatch.setattr(f"tapeline.alerts.{module}.CLOSE_SECONDS", 30.0)
    return recorder


@asynccontextmanager
async def opened(
    data: Path,
    recorder: Recorder,
    settings: AlertsSettings = SETTINGS,
    reached: dict[str, int] | None = None,
    session: str = "s1",
) -> AsyncIterator[House]:
    house = House(data, settings, recorder, session)
    await house.room.open(house.watch)
    await house.room.begin(reached or {})
    try:
        yield house
    finally:
        await house.room.rest()
        await house.room.close()


async def test_an_alert_is_kept_published_and_sent(tmp_path, recorder):
    async with opened(tmp_path, recorder) as house:
        house.room.take([alert(1)], {"btc-high": b"up"})
        await until(lambda: recorder.messages)
        assert house.published() == [("a1", "raised")]
        assert [m.id for m in recorder.messages] == ["a1"]
        status = house.room.status()
        assert (status["raised"], status["resolved"], status["lost"], status["error"]) == (1, 0, 0, "")
    async with opened(tmp_path, recorder, session="s2") as house:
        assert house.watch.kept == {"btc-high": b"up"}
        assert (house.published(), len(recorder.messages)) == ([], 1), "neither published nor sent twice"


async def test_the_status_names_the_rules_that_are_raised_now(tmp_path, recorder):
    async with opened(tmp_path, recorder) as house:

        def now():
            return house.room.status()["raised_now"]

        assert now() == []
        house.room.take([alert(1), alert(2)], {})
        house.room.take([alert(1, "resolved")], {})
        assert now() == ["btc-high"], "one of its instruments still is"
        house.room.take([alert(2, "resolved"), alert(3, rule="gone")], {})
        assert now() == []


async def test_what_was_raised_in_an_earlier_session_is_raised_until_it_ends(tmp_path, recorder):
    house = House(tmp_path, SETTINGS, recorder, "s2")
    house.watch.raised = {"btc-high"}
    await house.room.open(house.watch)
    await house.room.begin({})
    house.room.take([alert(1, "resolved")], {})
    assert house.room.status()["raised_now"] == ["btc-high"], "another one goes on"
    house.watch.raised = set()
    house.room.take([alert(2, "resolved")], {})
    assert house.room.status()["raised_now"] == []
    await house.room.rest()
    await house.room.close()


async def test_the_end_is_sent_only_where_it_was_asked_for(tmp_path, recorder):
    async with opened(tmp_path, recorder) as house:
        house.room.take([alert(1), alert(1, "resolved")], {})
        await until(lambda: recorder.messages)
    assert [m.id for m in recorder.messages] == ["a1"]
    told = AlertsSettings(
        rules={"btc-high": RuleSettings(rule="mid > 1", notify=("ops",), resolved=True)}, targets=SETTINGS.targets
    )
    async with opened(tmp_path, recorder, told, session="s2") as house:
        house.room.take([alert(2, "resolved")], {})
        await until(lambda: len(recorder.messages) == 2)
    assert [m.id for m in recorder.messages] == ["a1", "a2-resolved"]
    assert recorder.messages[1].title == "SIMULATED [warning] btc-high resolved"


async def test_a_target_takes_only_what_matters_enough(tmp_path, recorder):
    picky = AlertsSettings(rules=SETTINGS.rules, targets={"ops": TargetSettings(url="fake://ops", severity="critical")})
    async with opened(tmp_path, recorder, picky) as house:
        house.room.take([alert(1), alert(2, severity="critical")], {})
        await until(lambda: recorder.messages)
    assert [m.id for m in recorder.messages] == ["a2"]


async def test_what_was_committed_and_is_not_on_the_tape_is_published_by_the_next_start(tmp_path, recorder):
    store = Store(tmp_path)
    store.commit([(alert(n), []) for n in range(3)], {}, T0, outbox=10, history=1000)
    store.placed([alert(0)], "killed", 50)
    store.placed([alert(1)], "killed", 60)
    store.close()
    async with opened(tmp_path, recorder, reached={"killed": 55}) as house:
        assert house.published() == [("a1", "raised"), ("a2", "raised")]
    async with opened(tmp_path, recorder, reached={"killed": 55, "s1": 2}, session="s2") as house:
        assert house.published() == []


async def test_a_store_that_cannot_be_written_holds_alerts_back_until_it_can(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr("tapeline.alerts.room.STORE_PAUSE", 0.01)
    async with opened(tmp_path, recorder) as house:
        commit, full = Store.commit, True

        def failing(self, *arguments, **more):
            if full:
                raise sqlite3.OperationalError("database or disk is full")
            return commit(self, *arguments, **more)

        monkeypatch.setattr(Store, "commit", failing)
        house.room.take([alert(1)], {"btc-high": b"up"})
        await until(lambda: house.room.error)
        assert (house.room.status()["held"], house.published(), recorder.messages) == (1, [], [])
        house.room.take([alert(2)], {})
        full = False
        await until(lambda: len(recorder.messages) == 2)
        assert house.published() == [("a1", "raised"), ("a2", "raised")]
        assert (house.room.error, house.room.status()["held"]) == ("", 0)


async def test_a_store_that_hangs_does_not_keep_the_end_waiting_and_the_next_start_publishes(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr("tapeline.alerts.room.CLOSE_SECONDS", 0.05)
    monkeypatch.setattr("tapeline.alerts.keeper.CLOSE_SECONDS", 0.05)
    commit, hanging, done = Store.commit, threading.Event(), threading.Event()

    def slow(self, *arguments, **more):
        hanging.wait(30)
        try:
            return commit(self, *arguments, **more)
        finally:
            done.set()

    monkeypatch.setattr(Store, "commit", slow)
    async with opened(tmp_path, recorder) as house:
        house.room.take([alert(1)], {})
    assert (house.published(), recorder.messages, done.is_set()) == ([], [], False)
    hanging.set()
    await until(done.is_set)
    async with opened(tmp_path, recorder, session="s2") as house:
        await until(lambda: recorder.messages)
        assert house.published() == [("a1", "raised")]


async def test_what_the_watch_finds_while_the_room_rests_is_no_part_of_the_state_that_is_kept(tmp_path, recorder, monkeypatch):
    """Else it would be raised in the state and told nobody."""
    commit, go = Store.commit, threading.Event()

    def slow(self, *arguments, **more):
        go.wait(30)
        return commit(self, *arguments, **more)

    monkeypatch.setattr(Store, "commit", slow)
    async with opened(tmp_path, recorder) as house:
        house.watch.mine = {"btc-high": b"before"}
        house.room.take([alert(1)], {})
        await asyncio.sleep(0.05)
        resting = asyncio.create_task(house.room.rest())
        await asyncio.sleep(0.05)
        house.watch.mine = {"btc-high": b"after"}
        go.set()
        await resting
    store = Store(tmp_path)
    assert store.states() == {"btc-high": b"before"}
    store.close()


async def test_a_rule_that_was_removed_while_raised_is_not_raised_when_it_comes_again(tmp_path, recorder):
    async with opened(tmp_path, recorder) as house:
        for _ in range(2):
            await house.room.add("mine", RuleSettings(rule="mid > 2"))
            assert house.room.status()["raised_now"] == []
            house.room.take([alert(1, rule="mine")], {})
            assert house.room.status()["raised_now"] == ["mine"]
            await house.room.remove("mine")


async def test_more_alerts_than_are_held_are_counted(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr("tapeline.alerts.room.MOST_HELD", 3)
    async with opened(tmp_path, recorder) as house:
        house.room.take([alert(n) for n in range(5)], {})
        assert house.room.status()["lost"] == 2
        await until(lambda: len(house.frames) == 3)


async def test_rules_of_another_process_are_taken_up_and_left_again(tmp_path, recorder):
    async with opened(tmp_path, recorder) as house:
        other = Store(tmp_path)
        other.add("theirs", RuleSettings(rule="mid > 2"), T0)
        await until(lambda: [w.name for w in house.watch.rules] == ["btc-high", "theirs"])
        other.mute("btc-high", T0)
        await until(lambda: [w.muted for w in house.watch.rules] == [True, False])
        other.remove("theirs")
        await until(lambda: [w.name for w in house.watch.rules] == ["btc-high"])
        other.close()


async def test_a_file_that_cannot_be_read_is_told_once_until_it_can(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr("tapeline.alerts.room.LOOK_SECONDS", 0.005)
    looks = 0

    def failing(_):
        nonlocal looks
        looks = min(looks + 1, 35)  # the last ones fail, and nothing new is told of them
        if looks % 10:  # every tenth look succeeds
            raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(Store, "changed", failing)
    with capture_logs() as logs:
        async with opened(tmp_path, recorder):
            await until(lambda: looks == 35)
    told = [line for line in logs if "cannot be read" in line["event"]]
    assert len(told) == 4


async def test_an_added_rule_is_there_at_the_next_start_and_its_name_is_its_own(tmp_path, recorder):
    async with opened(tmp_path, recorder) as house:
        await house.room.add("mine", RuleSettings(rule="mid > 2"))
        for taken in ("mine", "btc-high"):
            with pytest.raises(UsageError, match="there is a rule"):
                await house.room.add(taken, RuleSettings(rule="mid > 2"))
        with pytest.raises(ConfigError, match="no target nobody; there are ops"):
            await house.room.add("other", RuleSettings(rule="mid > 2", notify=("nobody",)))
    async with opened(tmp_path, recorder, session="s2") as house:
        assert [(w.name, w.origin) for w in house.watch.rules] == [("btc-high", "settings"), ("mine", "added")]
        with pytest.raises(UsageError, match="stands in the settings"):
            await house.room.remove("btc-high")


async def test_a_wrong_rule_of_the_settings_stops_the_start_and_names_the_key(tmp_path, recorder):
    wrong = AlertsSettings(rules={"a": RuleSettings(rule="wrong")})
    with pytest.raises(ConfigError, match=r"setting alerts\.rules\.a\.rule = 'wrong': column 1"):
        async with opened(tmp_path, recorder, wrong):
            pass
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("alerts")]


async def test_a_rule_that_was_added_and_cannot_be_read_any_more_stops_nothing(tmp_path, recorder):
    store = Store(tmp_path)
    store.add("old", RuleSettings(rule="wrong"), T0)
    store.close()
    async with opened(tmp_path, recorder) as house:
        assert [w.name for w in house.watch.rules] == ["btc-high"]


async def test_a_store_that_cannot_be_written_at_the_start_is_a_wrong_setting(tmp_path, recorder, monkeypatch):
    def full(self, now):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "revive", full)
    house = House(tmp_path, SETTINGS, recorder, "s1")
    await house.room.open(house.watch)
    with pytest.raises(ConfigError, match="disk is full"):
        await house.room.begin({})
    await house.room.close()


async def test_a_zone_that_is_none_stops_the_start(tmp_path, recorder):
    with pytest.raises(ConfigError, match=r"alerts\.time_zone"):
        async with opened(tmp_path, recorder, AlertsSettings(time_zone="Nowhere/Else")):
            pass

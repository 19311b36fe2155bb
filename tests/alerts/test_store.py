"""The file of alerts: what one transaction holds, what survives a crash, and that it stays bounded."""

import sqlite3

import pytest

from tapeline.alerts.engine import Engine
from tapeline.alerts.store import FILE, Store
from tapeline.config import RuleSettings
from tapeline.errors import ConfigError, UsageError
from tests.alerts.making import T0, alert
from tests.alerts.streams import engine, mid

WIDE = {"outbox": 100, "history": 1000}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


def statuses(store: Store, n: int = 0) -> list[tuple[str, str]]:
    return [(d["target"], d["status"]) for d in store.history()[n]["deliveries"]]


def test_rules_are_kept_in_the_order_they_were_added(store, tmp_path):
    store.add("b", RuleSettings(rule="mid > 1", notify=("ops",)), T0)
    store.add("a", RuleSettings(rule="mid > 2", severity="critical"), T0 + 1)
    with pytest.raises(UsageError, match="there is a rule a already"):
        store.add("a", RuleSettings(rule="mid > 3"), T0 + 2)
    again = Store(tmp_path)
    assert [(r.name, r.settings.rule, r.settings.notify) for r in again.rules()] == [
        ("b", "mid > 1", ("ops",)),
        ("a", "mid > 2", ()),
    ]
    again.close()
    assert store.remove("b")
    assert not store.remove("b")
    assert [r.name for r in store.rules()] == ["a"]


def test_what_another_process_writes_is_seen_once_and_our_own_writing_is_not(store, tmp_path):
    store.add("mine", RuleSettings(rule="mid > 1"), T0)
    assert not store.changed()
    other = Store(tmp_path)
    other.add("theirs", RuleSettings(rule="mid > 2"), T0)
    other.close()
    assert store.changed()
    assert not store.changed()
    assert [r.name for r in store.rules()] == ["mine", "theirs"]


def test_muting_is_by_name_and_removal_ends_it(store):
    store.mute("of-the-settings", T0)
    store.mute("of-the-settings", T0 + 5)
    assert store.muted() == {"of-the-settings": T0}
    store.mute("of-the-settings", None)
    store.add("a", RuleSettings(rule="mid > 1"), T0)
    store.mute("a", T0)
    store.remove("a")
    assert store.muted() == {}


def test_a_rule_that_was_raised_once_may_be_raised_again_when_it_is_unmuted(store):
    once = engine("mid > 100", once=True)
    once.feed([mid(1, 101), mid(2, 99)])
    store.commit([], {**once.states(), "of-another-version": b"up"}, T0, **WIDE)
    for name in ("r", "of-another-version"):
        store.mute(name, None)  # it was not muted: nothing changes
        assert store.states()["r"] == once.states()["r"]
    for name in ("r", "of-another-version"):
        store.mute(name, T0)
        store.mute(name, None)
    later = Engine()
    later.add(once.rules["r"].rule, store.states()["r"])
    assert (later.rules["r"].spent, later.rules["r"].raised) == (False, 1)
    assert store.states()["of-another-version"] == b"up"


def test_an_alert_comes_once_however_often_it_is_committed(store):
    for _ in range(2):
        store.commit([(alert(1), ["ops", "me"])], {"btc-high": b"up"}, T0, **WIDE)
    (only,) = store.history()
    assert only["event"] == alert(1)
    assert statuses(store) == [("ops", "waiting"), ("me", "waiting")]
    assert store.states() == {"btc-high": b"up"}
    store.commit([(alert(1, "resolved"), [])], {}, T0, **WIDE)
    assert [x["event"].state for x in store.history()] == ["resolved", "raised"]


def test_the_history_is_asked_by_time_rule_instrument_and_severity(store):
    more = [alert(2, rule="other"), alert(3, instrument="sim:ETH-USDT"), alert(4, severity="critical")]
    store.commit([(a, []) for a in [alert(1), *more]], {}, T0, **WIDE)

    def found(**asked):
        return [x["event"].id for x in store.history(**asked)]

    assert found() == ["a4", "a3", "a2", "a1"]
    assert found(limit=2) == ["a4", "a3"]
    assert found(start=alert(2).ts_event, end=alert(4).ts_event) == ["a3", "a2"]
    assert found(rule="other") == ["a2"]
    assert found(instrument="sim:ETH-USDT") == ["a3"]
    assert found(severities=("critical", "info")) == ["a4"]


def test_a_message_that_was_under_way_when_the_program_died_is_sent_again_as_it_was(store, tmp_path):
    store.commit([(alert(n), ["ops"]) for n in range(3)], {}, T0, **WIDE)
    found, due = store.waiting("ops", 10)
    assert due == T0
    store.begin(found[:2], "a0+1", "ops", T0 + 1)
    again = Store(tmp_path)  # the first one never came to an end
    assert [d.alert.id for d in again.waiting("ops", 10)[0]] == ["a2"]
    assert again.revive(T0 + 2) == 2
    found, _ = again.waiting("ops", 10)
    assert [(d.alert.id, d.message, d.doubtful, d.attempts) for d in found] == [
        ("a0", "a0+1", True, 1),
        ("a1", "a0+1", True, 1),
    ]
    attempt = again.begin(found, "a0+1", "ops", T0 + 3)
    again.end(found, attempt, T0 + 4, "sent", "", T0 + 4)
    assert [d.alert.id for d in again.waiting("ops", 10)[0]] == ["a2"]
    assert [(x["error"], x["ended"]) for x in again.attempts()] == [("", T0 + 4), (None, None)]
    assert again.revive(T0 + 5) == 0
    again.close()


def test_only_what_is_not_on_the_tape_is_published_again(store):
    store.commit([(alert(n), []) for n in range(4)], {}, T0, **WIDE)
    store.placed([alert(0), alert(1)], "s1", 50)
    store.placed([alert(2)], "gone", 7)
    assert [a.id for a in store.unpublished({"s1": 49})] == ["a0", "a1", "a3"]
    assert [a.id for a in store.unpublished({"s1": 50})] == ["a3"]
    assert [a.id for a in store.unpublished({"s1": 10})] == ["a3"], "what was once known to be there stays known"


def test_a_full_outbox_keeps_the_alert_and_counts_what_it_drops(store):
    dropped = store.commit([(alert(n), ["ops", "me"]) for n in range(8)], {}, T0, outbox=10, history=1000)
    assert dropped == 6
    assert len(store.history()) == 8
    assert statuses(store) == [("ops", "dropped"), ("me", "dropped")]
    assert store.depths() == {"ops": 5, "me": 5}
    assert store.counts() == {"ops": {"waiting": 5, "dropped": 3}, "me": {"waiting": 5, "dropped": 3}}


def test_the_history_is_bounded_but_keeps_what_is_still_to_be_sent(store):
    store.commit([(alert(0), ["ops"])], {}, T0, outbox=10, history=5)
    for n in range(1, 20):
        store.commit([(alert(n), [])], {}, T0, outbox=10, history=5)
        store.placed([alert(n)], "s", n)
    assert [x["event"].id for x in store.history()] == ["a19", "a18", "a17", "a16", "a15", "a0"]


def test_targets_that_are_gone_get_nothing_any_more(store):
    store.commit([(alert(1), ["ops", "old"])], {}, T0, **WIDE)
    assert store.strand(["ops"]) == 1
    assert statuses(store) == [("ops", "waiting"), ("old", "failed")]
    assert store.strand([]) == 1


def test_a_file_of_another_version_is_refused(store, tmp_path):
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="version 99"):
        Store(tmp_path)

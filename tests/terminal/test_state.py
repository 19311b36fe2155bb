"""What the terminal says of itself, state by state, and what it keeps of the messages."""

from typing import Any

import pytest

from tapeline.terminal.state import BARS, TRADES, Screen


def status(**more: Any) -> dict[str, Any]:
    row = {
        "mode": "live", "session": "s", "now": 1_000_000_000, "speed": None, "connections": [{"state": "up"}],
        "instruments": [{"id": "a:X", "state": "live", "last_price": 9.0}, {"id": "a:Y", "state": "stale", "last_price": None}],
    } | more  # fmt: skip
    return {"channel": "status", "type": "update", "data": {"status": row, "events": [], "missed": 0}}


def trades(*ids: str, kind: str = "update", missed: int = 0) -> dict[str, Any]:
    return {"channel": "trades", "type": kind, "data": [{"instrument": "a:X", "id": i} for i in ids], "missed": missed}


@pytest.fixture
def screen() -> Screen:
    screen = Screen()
    screen.linked("open", 10.0)
    screen.put(status(), 10.0)
    return screen


def test_connecting_until_the_first_word() -> None:
    screen = Screen()
    assert screen.health(0).label == "CONNECTING"
    screen.linked("closed", 1.0, "nobody listens there")
    assert (screen.health(1).kind, screen.health(1).detail, screen.health(1).dead) == (
        "connecting",
        "nobody listens there",
        True,
    )


def test_live_says_how_many_are_not(screen: Screen) -> None:
    health = screen.health(10.5)
    assert (health.label, health.dead) == ("LIVE", False)
    assert health.detail == "1/1 connections · 1 of 2 instruments not live: a:Y"


@pytest.mark.parametrize(("mode", "more", "detail"), [
    ("simulated", {}, "1/1 connections"), ("replay", {"speed": 10}, "speed 10"), ("replay", {"finished": True}, "the recording has ended"),
])  # fmt: skip
def test_the_servers_own_mode(screen: Screen, mode: str, more: dict[str, Any], detail: str) -> None:
    screen.put(status(mode=mode, **more), 11.0)
    assert screen.health(11.0).kind == mode
    assert detail in screen.health(11.0).detail


def test_silence_is_not_live(screen: Screen) -> None:
    assert not screen.health(12.9).dead
    health = screen.health(14.0)
    assert (health.label, health.dead) == ("RECONNECTING", True)
    assert "last word 4 s ago" in health.detail


def test_a_closed_link_is_not_live_at_once(screen: Screen) -> None:
    screen.linked("closed", 10.1, "the server closed the connection")
    assert screen.health(10.1).dead


def test_no_venue_is_not_live(screen: Screen) -> None:
    screen.put(status(connections=[{"state": "down", "last_error": "HTTP 451"}]), 11.0)
    assert (screen.health(11.0).kind, screen.health(11.0).dead) == ("reconnecting", True)
    assert "HTTP 451" in screen.health(11.0).detail


def test_paused_keeps_the_picture(screen: Screen) -> None:
    screen.put(trades("1"), 11.0)
    screen.paused = True
    screen.put(trades("2"), 11.0)
    assert [t["id"] for t in screen.trades] == ["1"]
    assert screen.health(11.0).kind == "paused"


def test_trades_a_snapshot_replaces_and_missed_adds_up(screen: Screen) -> None:
    screen.put(trades("1", "2"), 11.0)
    screen.put(trades("3", missed=4), 11.0)
    assert ([t["id"] for t in screen.trades], screen.missed) == (["1", "2", "3"], 4)
    screen.put(trades("9", kind="snapshot"), 11.0)
    assert [t["id"] for t in screen.trades] == ["9"]
    screen.put(trades(*map(str, range(2000))), 11.0)
    assert len(screen.trades) == TRADES


def test_another_session_forgets(screen: Screen) -> None:
    screen.put(trades("1"), 11.0)
    screen.put(status(session="t"), 12.0)
    assert not screen.trades


def test_minutes_are_kept_by_their_open(screen: Screen) -> None:
    bars = [{"instrument": "a:X", "ts_open": n, "close": float(n)} for n in range(100)]
    screen.put({"channel": "bars", "type": "snapshot", "data": bars}, 11.0)
    screen.put({"channel": "bars", "type": "update", "data": [{"instrument": "a:X", "ts_open": 99, "close": 5.0}]}, 11.0)
    assert screen.closes("a:X") == [float(n) for n in range(100 - BARS, 99)] + [5.0]


def test_mid_of_the_books_touch_else_the_last_price(screen: Screen) -> None:
    assert screen.mid("a:X") == 9.0
    quotes = [{"instrument": "a:X", "origin": o, "bid": b, "ask": b + 2} for o, b in (("book", 10.0), ("venue", 50.0))]
    screen.put({"channel": "quotes", "type": "update", "data": quotes}, 11.0)
    assert screen.mid("a:X") == 11.0
    assert screen.mid("a:Y") is None

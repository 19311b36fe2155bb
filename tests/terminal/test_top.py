"""The screen in Textual's pilot, against a real server whose market the test moves."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from textual.widgets import Static

from tapeline.clock import LiveClock
from tapeline.config import ServerSettings
from tapeline.server.access.access import credentials
from tapeline.server.app import Server
from tapeline.terminal.app import Top
from tests.page.market import FakeSource
from tests.waiting import becomes, until


@pytest.fixture
async def market(tmp_path: Any) -> AsyncIterator[tuple[FakeSource, Server]]:
    source = FakeSource()
    server = Server(source, ServerSettings(port=0), LiveClock(), page=tmp_path)
    for _ in range(5):
        source.tick()
    await server.start()
    yield source, server
    await server.stop()


def text(app: Top, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


async def test_all_panes_show_what_the_api_says(market: tuple[FakeSource, Server]) -> None:
    source, server = market
    app = Top(server.address)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(lambda: "SIMULATED" in text(app, "health") and "proved right" in text(app, "ladder"))
        source.tick()
        trade = server.history.trades["sim:BTC-USDT"].items[-1]
        await until(lambda: f"{trade.price:,.2f}" in text(app, "tape").splitlines()[1])
        assert ("▲" if trade.side == "buy" else "▼") in text(app, "tape").splitlines()[1]
        book = source.book("sim:BTC-USDT", 40)
        assert book is not None
        await until(
            lambda: f"{book.asks[0][0]:,.2f}" in text(app, "ladder") and f"{book.bids[0][0]:,.2f}" in text(app, "ladder")
        )
        names = ("›sim:BTC-USDT", "sim:ETH-USDT", "sim:SOL-USDT", "sim:DOGE-USDT")
        await until(lambda: all(name in text(app, "watch") for name in names))
        await pilot.press("down", "j")
        await until(
            lambda: "›sim:SOL-USDT" in text(app, "watch") and app.query_one("#ladder").border_title == "Book sim:SOL-USDT"
        )
        source.tick()
        third = server.history.trades["sim:SOL-USDT"].items[-1]
        await until(lambda: f"{third.price:,.2f}" in text(app, "tape"))


async def test_a_lost_server_is_said_and_found_again(market: tuple[FakeSource, Server], tmp_path: Any) -> None:
    source, server = market
    app = Top(server.address)
    async with app.run_test(size=(140, 40)):
        await until(lambda: "SIMULATED" in text(app, "health") and "proved right" in text(app, "ladder"))
        await server.stop()
        await until(lambda: "RECONNECTING" in text(app, "health") and "what is shown is of" in text(app, "health"))
        await until(lambda: "old: the connection is lost" in text(app, "ladder"))
        await until(lambda: " old " in text(app, "watch"))  # in place of an age
        again = Server(source, ServerSettings(port=int(server.address.rpartition(":")[2])), LiveClock(), page=tmp_path)
        await again.start()
        await until(lambda: "SIMULATED" in text(app, "health") and "proved right" in text(app, "ladder"))
        await again.stop()


async def test_states_are_words(market: tuple[FakeSource, Server]) -> None:
    source, server = market
    app = Top(server.address)
    async with app.run_test(size=(140, 40)):
        await until(lambda: "proved right" in text(app, "ladder"))
        source.all["sim:BTC-USDT"].book_state = "invalid"
        source.all["sim:ETH-USDT"].state = "stale"
        source.report("gap", "sim:BTC-USDT", "ids are missing")
        await until(lambda: "NOT proved: invalid" in text(app, "ladder"))
        await until(lambda: "stale" in next(line for line in text(app, "watch").splitlines() if "ETH" in line))
        await until(lambda: "1 of 4 instruments not live: sim:ETH-USDT" in text(app, "health"))


async def test_pause_holds_the_picture_and_goes_on_with_what_is(market: tuple[FakeSource, Server]) -> None:
    source, server = market
    app = Top(server.address)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(lambda: "proved right" in text(app, "ladder") and len(app.shown.trades) >= 5)
        await pilot.press("p")
        await until(lambda: "PAUSED" in text(app, "health"))
        held = text(app, "tape")
        source.tick()
        source.tick()
        status_at = app.shown.heard
        await until(lambda: app.shown.heard > status_at)
        assert text(app, "tape") == held
        await pilot.press("p")
        last = server.history.trades["sim:BTC-USDT"].items[-1]
        await until(lambda: f"{last.price:,.2f}" in text(app, "tape").splitlines()[1])
        await becomes(lambda: len(app.shown.trades), 7)  # each once


async def test_narrow_terminals_show_one_pane(market: tuple[FakeSource, Server]) -> None:
    _, server = market
    app = Top(server.address)
    async with app.run_test(size=(60, 24)) as pilot:
        await until(lambda: "sim:BTC-USDT" in text(app, "watch"))
        for key, name in (("2", "ladder"), ("3", "tape"), ("1", "watch")):
            await pilot.press(key)
            await until(lambda name=name: app.query_one(f"#{name}").size.width > 50)  # type: ignore[misc]
            assert [app.query_one(f"#{n}").display for n in ("watch", "ladder", "tape")].count(True) == 1
        await pilot.press("c")
        await until(lambda: app.colours == "classic")
        assert all(len(line) <= 60 for line in text(app, "watch").splitlines())


async def test_nobody_there_is_said(unused_port: int) -> None:
    app = Top(f"http://127.0.0.1:{unused_port}")
    async with app.run_test(size=(100, 20)) as pilot:
        await until(lambda: "nobody listens there" in text(app, "health") and "CONNECTING" in text(app, "health"))
        await pilot.press("q")
    assert app.return_code == 0


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


async def test_the_token_of_an_env_file_opens(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the other commands: the environment, then `.env`, then the keyring."""
    monkeypatch.delenv("TAPELINE_SERVER_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TAPELINE_SERVER_TOKEN=0f1e2d3c4b5a69788796a5b4c3d2e1f0\n")
    async with Server(FakeSource(), ServerSettings(port=0), LiveClock(), page=tmp_path) as address:
        app = Top(address)
        async with app.run_test(size=(140, 40)):
            await until(lambda: "wants a token" in text(app, "health"))
        app = Top(address, credentials())
        async with app.run_test(size=(140, 40)):
            await until(lambda: "SIMULATED" in text(app, "health"))

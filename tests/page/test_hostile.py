"""A page in bad company: names and reasons that would be markup, memory full of rubbish, a connection that spoils what it carries."""

from typing import Any

import pytest

from tapeline.instruments import Instrument
from tests.page.conftest import Stage
from tests.page.market import FakeInstrument
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
MARKUP = "<img/src=x/onerror=globalThis.owned=1>"
KEYS = [
    "layout",
    "layouts",
    "watch",
    "cards",
    "chart",
    "depth-range",
    "heat-contrast",
    "heat-every",
    "heat-trades",
    "instrument",
    "interval",
    "notices",
    "profile",
    "sound",
    "tab",
    "tape.large",
    "tape.least",
    "tape.merge",
    "tape.sound",
    "venues.scope",
    "theme",
    "palette",
    "zone",
    "density",
    "motion",
    "volume",
    "heat-step.sim:BTC-USDT",
    "ladder-step.sim:BTC-USDT",
]
RUBBISH = (
    "{",
    "[null]",
    '{"own":[{"name":1}],"sort":5,"indicators":[7]}',
    "9" * 400,
    '[{"kind":"vwap","params":{}}]',
    "-1e300",
    "💥" * 50,
)


async def live(stage: Stage) -> None:
    await stage.page.get_by_test_id("state").and_(stage.page.get_by_text("SIMULATED", exact=True)).wait_for()


async def test_names_and_reasons_are_text(screen: Stage) -> None:
    source = screen.source
    name = f"sim:{MARKUP}"
    odd = Instrument(id=name, venue="sim", native="X", kind="spot", base=MARKUP, quote="USDT", tick=1e-8, lot=1e-8)
    source.all[name] = FakeInstrument(odd, 1e-6, (8, 8), next(iter(source.all.values())).rng)
    source.tick()
    source.report("gap", name, MARKUP)
    source.tick()
    await screen.page.reload()
    await live(screen)
    row = screen.page.get_by_text(MARKUP).first
    await row.wait_for()
    await row.click()
    for tab in await screen.page.get_by_role("tab").all():
        if await tab.is_visible():
            await tab.click()
            source.tick()
    assert await screen.page.evaluate("[globalThis.owned ?? null, document.querySelectorAll('img').length]") == [None, 0]


async def test_a_memory_of_rubbish(screen: Stage) -> None:
    for rubbish in RUBBISH:
        await screen.page.evaluate(
            "([keys, text]) => { for (const key of keys) localStorage.setItem(`tapeline.${key}`, text) }", [KEYS, rubbish]
        )
        await screen.page.goto(f"{screen.address}/#layout={'(' * 900}&instrument={rubbish[:40]}&interval=%F0")
        await screen.page.reload()
        await live(screen)
        screen.source.tick()
        await screen.page.get_by_role("region", name="Chart").first.wait_for()
    await screen.page.evaluate("localStorage.clear()")


async def test_a_connection_that_spoils_messages_is_opened_anew(screen: Stage) -> None:
    opened = []

    async def between(ws: Any) -> None:
        server = ws.connect_to_server()
        opened.append(server)
        first = len(opened) == 1
        server.on_message(lambda text: ws.send(text[: len(text) // 2] if first and '"book"' in text[:40] else text))

    await screen.page.route_web_socket("**/api/v1/ws", between)
    await screen.page.reload()
    await live(screen)
    await until(lambda: len(opened) >= 2)
    await live(screen)

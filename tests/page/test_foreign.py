"""A page of another site, in a real browser: it reads nothing, opens no WebSocket, frames nothing but embeds it is allowed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from tests.page.conftest import Stage
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
TRY = """async (address) => {
  const said = {};
  const quiet = async (work) => { try { return await work(); } catch (e) { return "nothing"; } };
  said.fetch = await quiet(async () => await (await fetch(address + "/api/v1/status")).text());
  said.opaque = await quiet(async () => (await fetch(address + "/api/v1/status", { mode: "no-cors" })).type);
  said.post = await quiet(async () => (await fetch(address + "/api/v1/subscriptions", {
    method: "POST", mode: "no-cors", body: '{"instruments": ["binance:ETH-USDT"]}' })).status);
  said.socket = await new Promise((done) => {
    const socket = new WebSocket(address.replace("http", "ws") + "/api/v1/ws");
    socket.onopen = () => done("open");
    socket.onerror = () => done("nothing");
  });
  said.script = await new Promise((done) => {
    const script = document.createElement("script");
    script.onload = () => done("loaded"); script.onerror = () => done("nothing");
    script.src = address + "/theme.js"; document.head.append(script);
  });
  return said;
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def elsewhere() -> AsyncIterator[str]:
    """A page of another origin and another site: the server is `127.0.0.1`, this one `localhost`."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>elsewhere</title><body></body>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://localhost:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_page_of_another_origin_gets_nothing(browser, stage: Stage, elsewhere: str):
    page = await (context := await browser.new_context()).new_page()
    await page.goto(elsewhere)
    said = await page.evaluate(TRY, stage.address)
    assert said["fetch"] == "nothing"
    assert said["socket"] == "nothing"
    assert said["script"] == "nothing"
    assert said["opaque"] in ("opaque", "nothing")
    door = stage.server.hub.gate
    assert door.refused["origin_refused"] >= 4
    assert not stage.server.hub.viewers
    await context.close()


async def framed(page, address: str) -> str:
    """The text of a frame, once it has loaded or was refused."""
    await page.evaluate(
        """(src) => new Promise((done) => { const f = document.createElement("iframe"); f.onload = done; f.src = src;
           document.body.replaceChildren(f); })""",
        address,
    )
    frame = page.frames[-1]
    async with asyncio.timeout(PATIENCE):
        return await frame.evaluate("document.title + location.href")


async def test_only_an_embed_stands_in_a_frame(browser, stage: Stage, elsewhere: str):
    page = await (context := await browser.new_context()).new_page()
    await page.goto(elsewhere)
    for path in ("/", "/docs", "/api/v1/status", "/login"):
        assert "chrome-error" in await framed(page, stage.address + path), path
    shown = await framed(page, f"{stage.address}/embed/chart?instrument=sim:BTC-USDT")
    assert "chrome-error" not in shown
    assert "/embed/chart" in shown
    await context.close()

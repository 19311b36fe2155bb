"""Panels in the frames of another site's page: a page of another origin, served by another server, in a real browser."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.async_api import FrameLocator, expect

from tapeline import masking
from tapeline.clock import LiveClock
from tapeline.config import ServerSettings
from tapeline.server.app import Server
from tests.page.conftest import Stage
from tests.page.test_page import BTC, ETH, js
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
TOKEN = "correct-horse-battery-staple"
Opened = Callable[[str], Awaitable[FrameLocator]]


@asynccontextmanager
async def elsewhere(frames: Mapping[str, str]) -> AsyncIterator[str]:
    """A site of its own with one page that has these frames, by their names. Its address."""
    body = "".join(f'<iframe name="{name}" src="{url}" width="640" height="360"></iframe>' for name, url in frames.items())
    page = f"<!doctype html><html lang=en><title>notes</title><link rel=icon href=data:,>{body}</html>".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(page)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + page)
        await writer.drain()
        writer.close()

    site = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with site:
        yield f"http://localhost:{site.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def framed(browser: Any, stage: Stage, frames: Mapping[str, str]) -> AsyncIterator[Callable[[str], FrameLocator]]:
    """That page, opened; each frame by its name."""
    async with elsewhere({name: stage.address + path for name, path in frames.items()}) as address:
        context = await browser.new_context(viewport={"width": 1400, "height": 900}, timezone_id="UTC")
        stage.page = await context.new_page()
        stage.page.on("pageerror", lambda e: stage.errors.append(str(e)))
        stage.page.on("console", lambda m: stage.errors.append(m.text) if m.type == "error" else None)
        await stage.page.goto(address)
        yield lambda name: stage.page.frame_locator(f"iframe[name={name}]")
        await context.close()


async def test_panels_live_in_frames_of_another_site_and_say_what_they_are(browser, stage):
    frames = {
        "chart": f"/embed/chart?instrument={ETH}&interval=1s&theme=light&palette=red-up&zone=America/New_York",
        "book": f"/embed/book?instrument={BTC}",
        "tape": f"/embed/tape?instrument={BTC}&theme=dark&zone=Asia/Tokyo",
    }
    stage.source.tick()
    async with framed(browser, stage, frames) as frame:
        stage.move()
        for name in frames:
            await expect(frame(name).get_by_test_id("state")).to_have_text("SIMULATED")
            await expect(frame(name).get_by_test_id("reason")).to_contain_text("no real market")
        before = await frame("book").get_by_test_id("price").get_attribute("data-value")
        await expect(frame("book").get_by_test_id("price")).not_to_have_attribute("data-value", str(before))
        await stage.hold()
        book = (await stage.get("book", instrument=BTC))["book"]
        await expect(frame("book").get_by_test_id("bids").locator(".price").first).to_have_attribute(
            "data-value", js(book["bids"][0][0])
        )
        chart = frame("chart")
        await expect(chart.locator("html")).to_have_attribute("data-theme", "light")
        await expect(chart.locator("html")).to_have_attribute("data-palette", "red-up")
        (bar,) = (await stage.get("bars", instrument=ETH, interval="1s", limit=1))["bars"]
        await expect(chart.get_by_test_id("legend")).to_have_attribute("data-value", js(bar["close"]))
        await expect(chart.get_by_test_id("utc")).to_have_text(re.compile(r" E[DS]T$"))
        (trade,) = (await stage.get("trades", instrument=BTC, limit=1))["trades"]
        tokyo = datetime.fromtimestamp(trade["ts_event"] / 1e6, ZoneInfo("Asia/Tokyo"))
        await expect(frame("tape").get_by_test_id("tape")).to_contain_text(tokyo.strftime("%H:%M:%S"))
        await expect(frame("tape").get_by_role("tab")).to_have_count(0)  # no other furniture
        stage.allowed = "WebSocket"
        await stage.server.stop()
        await expect(frame("book").get_by_test_id("state")).to_have_text("RECONNECTING")
        await expect(frame("book").get_by_test_id("price")).to_be_empty()
        assert [e for e in stage.errors if "WebSocket" not in e and "ERR_CONNECTION" not in e] == []


async def test_what_is_not_there_is_said_in_words(browser, stage):
    frames = {"none": "/embed/chart?instrument=sim:NONE-USD", "odd": "/embed/book?instrument=%3Cb%3E"}
    stage.source.tick()
    async with framed(browser, stage, frames) as frame:
        await expect(frame("none").get_by_test_id("words")).to_contain_text(
            "sim:NONE-USD is not streamed here. What is: sim:BTC-USDT"
        )
        await expect(frame("none").get_by_test_id("state")).to_have_text("SIMULATED")
        await expect(frame("odd").get_by_test_id("words")).to_contain_text("<b> is not streamed here.")
        assert stage.errors == []
    async with httpx.AsyncClient(base_url=stage.address, trust_env=False) as http:
        assert (await http.get("/embed/nothing")).status_code == 404
        answer = await http.get("/embed/tape/")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


async def test_a_site_that_is_not_allowed_gets_no_frame(browser, stage):
    await stage.server.stop()
    stage.server = Server(stage.source, ServerSettings(port=0, embed_origins=("https://notes.example.org",)), LiveClock())
    await stage.start()
    async with framed(browser, stage, {"book": f"/embed/book?instrument={BTC}"}) as frame:
        await expect(frame("book").locator("body")).to_contain_text("refused to connect")
        await until(lambda: any("frame-ancestors" in e for e in stage.errors))


async def locked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stands again, and asks for the token."""
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setenv("TAPELINE_SERVER_TOKEN", TOKEN)
    await stage.server.stop()
    stage.server = Server(stage.source, ServerSettings(port=0), LiveClock())
    await stage.start()
    stage.source.tick()


async def test_with_a_token_a_frame_shows_what_its_own_token_opens(browser, stage, monkeypatch):
    await locked(stage, monkeypatch)
    async with httpx.AsyncClient(base_url=stage.address, trust_env=False, headers={"authorization": f"Bearer {TOKEN}"}) as http:
        token = (await http.get("/api/v1/access")).json()["embed_token"]
    frames = {"chart": f"/embed/chart?instrument={BTC}#token={token}", "tape": f"/embed/tape?instrument={BTC}#token={token}"}
    async with framed(browser, stage, frames) as frame:
        for name in frames:
            await expect(frame(name).get_by_test_id("state")).to_have_text("SIMULATED")
        await expect(frame("chart").get_by_test_id("legend")).to_have_attribute("data-value", re.compile(r"\d"))
        await expect(frame("tape").get_by_test_id("tape").locator(".price").first).to_be_visible()
        assert stage.errors == []
    async with framed(browser, stage, {"chart": f"/embed/chart?instrument={BTC}"}) as frame:
        await expect(frame("chart").get_by_test_id("state")).to_have_text("SIGN IN")


async def test_a_page_whose_token_is_another_now_says_so_and_leads_to_the_form(browser, stage, monkeypatch):
    await locked(stage, monkeypatch)
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{stage.address}/?token={TOKEN}")
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")
    await stage.server.stop()
    monkeypatch.setenv("TAPELINE_SERVER_TOKEN", f"{TOKEN}-2")
    await stage.restart()
    await expect(page.get_by_test_id("state")).to_have_text("SIGN IN")
    await page.get_by_test_id("mode-strip").get_by_role("link", name="Enter the token").click()
    await expect(page.locator("#token")).to_be_visible()
    await context.close()

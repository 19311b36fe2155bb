"""A real Chromium in front of the real server; behind it a market that the test moves."""

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, async_playwright, expect

from tapeline.clock import LiveClock
from tapeline.config import ServerSettings
from tapeline.server.app import Server
from tapeline.server.static import PAGE
from tests.page.market import FakeSource
from tests.waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The sandbox needs rights that root in a container has not; the other flags keep the browser from looking for its maker's hosts.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
HISTORY = 180  # seconds of market before the page opens
expect.set_options(timeout=1000 * PATIENCE)


class Stage:
    """The server, its market and one page. `errors` and `foreign` must stay empty: checked after each test."""

    def __init__(self, source: FakeSource, server: Server) -> None:
        self.source, self.server = source, server
        self.address = ""
        self.page: Page
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.allowed = ""  # part of a console error that the test provokes on purpose
        self._moving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.address = await self.server.start()

    async def restart(self, source: FakeSource | None = None) -> None:
        """The same address again, as after `Ctrl-C` and a new start."""
        port = int(self.address.rpartition(":")[2])
        self.source = source or self.source
        self.server = Server(self.source, ServerSettings(port=port), LiveClock())
        await self.server.start()

    def move(self) -> None:
        async def moving() -> None:
            while True:
                self.source.tick()
                await asyncio.sleep(0.05)

        self._moving = asyncio.create_task(moving())

    async def hold(self) -> None:
        """Stops the market, so that page and API can be compared."""
        if self._moving is not None:
            self._moving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._moving
            self._moving = None

    async def get(self, path: str, **params: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.address, trust_env=False) as client:
            answer = await client.get(f"/api/v1/{path}", params=params)
            return answer.raise_for_status().json()

    async def raw(self, testid: str) -> str | None:
        return await self.page.get_by_test_id(testid).get_attribute("data-value")

    def watch(self, page: Page) -> None:
        def asked(request: Request) -> None:
            if not request.url.startswith((self.address, "blob:")):
                self.foreign.append(request.url)

        page.on("request", asked)
        page.on(
            "console",
            lambda m: self.errors.append(f"{m.text} {m.location.get('url')}") if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda e: self.errors.append(str(e)))

    def check(self) -> None:
        assert self.foreign == []
        assert [e for e in self.errors if not self.allowed or self.allowed not in e] == []


async def painted(page: Page) -> None:
    """Until what was touched before has been drawn."""
    await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def gone_live(page: Page) -> None:
    """Until the chosen instrument's bars, book and trades are on the page, which asks for all else before them."""
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", re.compile(r"\d"))
    await expect(page.get_by_test_id("bids").locator(".price").first).to_have_attribute("data-value", re.compile(r"\d"))
    await expect(page.get_by_test_id("tape").locator(".trade").first).to_be_visible()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: the page is not opened (Debian: apt-get install chromium)")
    if not (PAGE / "index.html").is_file():
        pytest.skip("the page is not built: python hatch_build.py")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    source = FakeSource()
    stage = Stage(source, Server(source, ServerSettings(port=0), LiveClock()))
    begin = time.time_ns() - HISTORY * 1_000_000_000
    for second in range(HISTORY):
        source.tick(begin + second * 1_000_000_000)
    await stage.start()
    yield stage
    await stage.hold()
    await stage.server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def screen(browser: Any, stage: Stage) -> AsyncIterator[Stage]:
    """A page of 1440 × 900 that has gone live."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark", reduced_motion="reduce")
    stage.page = await context.new_page()
    stage.watch(stage.page)
    stage.source.tick()
    await stage.page.goto(stage.address)
    await stage.page.get_by_test_id("state").and_(stage.page.get_by_text("SIMULATED", exact=True)).wait_for()
    await gone_live(stage.page)
    yield stage
    stage.check()
    await context.close()

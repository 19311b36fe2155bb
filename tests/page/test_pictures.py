"""The main states of the page as they look: each differs from its kept picture no more than fonts do (`pictures.py`)."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tapeline.clock import LiveClock
from tapeline.config import ServerSettings
from tapeline.server.app import Server
from tests.page.conftest import Stage
from tests.page.market import FakeSource
from tests.page.pictures import KEPT, looks

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
T = 1_795_255_200_000_000_000  # 2026-11-21T10:00:00Z
SECOND = 1_000_000_000
WIDE, PHONE = (1440, 900), (390, 844)
MOST = 0.02
SOURCE = Path(__file__).read_text()


@pytest_asyncio.fixture(loop_scope="module")
async def still() -> AsyncIterator[Stage]:
    """Three minutes of a market that then stands still, its clock with it."""
    source = FakeSource(clock=lambda: T)
    source.started = T - 200 * SECOND
    stage = Stage(source, Server(source, ServerSettings(port=0), LiveClock()))
    for second in range(180):
        source.tick(T - (180 - second) * SECOND)
    await stage.start()
    yield stage
    await stage.server.stop()


async def opened(browser: Any, stage: Stage, size: tuple[int, int], scheme: Any, state: str, fragment: str = "") -> Page:
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", device_scale_factor=1
    )
    stage.page = page = await context.new_page()
    await page.clock.set_fixed_time(T / 1e9)
    stage.watch(page)
    await page.goto(f"{stage.address}/{fragment}")
    await page.get_by_test_id("state").get_by_text(state, exact=True).wait_for()
    await page.locator(".panel-chart, .panel-ladder").first.wait_for()
    await page.keyboard.press("1")
    return page


async def picture(page: Page, beside: str = "") -> bytes:
    """Without the figures of health and what else is named, whose numbers no picture can foresee."""
    await page.evaluate("document.fonts.ready")
    figures = page.locator(f"[data-testid^=health-]{beside}")
    return await page.screenshot(mask=[figures], mask_color="#808080", animations="disabled")


@pytest.mark.parametrize(
    ("name", "size", "scheme", "keys"),
    [
        ("trading-dark", WIDE, "dark", ""), ("trading-light", WIDE, "light", ""), ("phone-dark", PHONE, "dark", ""),
        ("colour-blind-light", WIDE, "light", "c"), ("help-dark", WIDE, "dark", "?"),
    ],
)  # fmt: skip
async def test_a_market_that_is_fed(browser, still, tmp_path: Path, name: str, size: Any, scheme: Any, keys: str) -> None:
    page = await opened(browser, still, size, scheme, "SIMULATED")
    for key in keys:
        await page.keyboard.press(key)
    await looks(name, lambda: picture(page), tmp_path, MOST)
    still.check()
    await page.context.close()


async def test_a_feed_that_is_stale(browser, still, tmp_path: Path) -> None:
    for instrument in still.source.all.values():
        instrument.state = "stale"
    page = await opened(browser, still, WIDE, "dark", "STALE")
    await looks("stale-dark", lambda: picture(page), tmp_path, MOST)
    await page.context.close()


async def test_a_server_that_is_gone(browser, still, tmp_path: Path) -> None:
    page = await opened(browser, still, WIDE, "dark", "SIMULATED")
    await looks("trading-dark", lambda: picture(page), tmp_path, MOST)  # it has all that it will keep
    await still.server.stop()
    await page.get_by_test_id("state").get_by_text("OFFLINE", exact=True).wait_for()
    await looks("offline-dark", lambda: picture(page, ", [data-testid=reason]"), tmp_path, MOST)
    await page.context.close()


async def test_every_kept_picture_is_compared() -> None:
    assert {path.stem for path in KEPT.glob("*.png")} == set(re.findall(r'"([a-z-]+-(?:dark|light))"', SOURCE))

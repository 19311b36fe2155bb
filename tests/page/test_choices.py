"""What a viewer chooses of the page: settings, time zones, the command palette, layouts by link, the title of the tab."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, Route, expect

from tapeline.instruments import Instrument
from tests.page.market import FakeInstrument
from tests.page.test_axe import findings
from tests.page.test_page import BTC, ETH, js
from tests.waiting import becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
KOLKATA = "Asia/Kolkata"


def tab(page: Page, name: str) -> Any:
    return page.get_by_role("tab", name=name, exact=True)


async def test_settings_hold_at_once_and_after_a_reload(screen):
    page, root = screen.page, screen.page.locator("html")
    await page.keyboard.press(",")
    settings = page.get_by_role("dialog", name="Settings")
    await settings.get_by_role("radio", name="Light").check(force=True)
    await expect(root).to_have_attribute("data-theme", "light")
    await settings.get_by_role("radio", name="Red up, green down").check(force=True)
    await expect(root).to_have_attribute("data-palette", "red-up")
    row = await page.locator(".level[data-side=bid]").first.evaluate("e => e.offsetHeight")
    await settings.get_by_role("radio", name="Comfortable").check(force=True)
    await until(lambda: page.locator(".level[data-side=bid]").first.evaluate("(e, row) => e.offsetHeight > row", row))
    await settings.get_by_role("radio", name="Reduced").check(force=True)
    await expect(root).to_have_attribute("data-motion", "reduce")
    await settings.get_by_label("Volume").fill("20")
    await page.keyboard.press("Escape")
    await expect(settings).to_be_hidden()
    await page.reload()
    for name, value in (("theme", "light"), ("palette", "red-up"), ("density", "comfortable"), ("motion", "reduce")):
        await expect(root).to_have_attribute(f"data-{name}", value)
    assert await page.evaluate("localStorage.getItem('tapeline.volume')") == "0.2"
    await page.keyboard.press(",")
    await settings.get_by_role("button", name="As in the beginning").click()
    await expect(root).to_have_attribute("data-theme", "dark")  # the system's
    await expect(root).to_have_attribute("data-density", "compact")


async def test_times_are_utc_local_or_the_exchanges(browser, stage):
    apple = Instrument(id="yahoo:AAPL", venue="yahoo", native="AAPL", kind="stock", base="AAPL", quote="USD", tick=0.01, lot=1)
    stage.source.all[apple.id] = FakeInstrument(apple, 182.0, (2, 0), stage.source.all[BTC].rng)
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id=KOLKATA)
    page = stage.page = await context.new_page()
    stage.watch(page)
    stage.source.tick()
    await page.goto(stage.address)
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)
    stage.source.report("synced", BTC, "joined", "book")

    async def shown(instrument: str, zone: str, name: str) -> None:
        (trade,) = (await stage.get("trades", instrument=instrument, limit=1))["trades"]
        at = datetime.fromtimestamp(trade["ts_event"] / 1e6, ZoneInfo(zone))
        await expect(page.get_by_test_id("tape")).to_contain_text(at.strftime("%H:%M:%S"))
        await expect(page.get_by_test_id("utc")).to_have_text(re.compile(rf"\d\d:\d\d:\d\d {re.escape(name)}"))
        (bar,) = (await stage.get("bars", instrument=instrument, interval="1m", limit=1))["bars"]
        opened = datetime.fromtimestamp(bar["ts_open"] / 1e6, ZoneInfo(zone))
        await expect(page.get_by_test_id("legend")).to_contain_text(opened.strftime("%H:%M:%S"))
        event = stage.source.last_status[BTC].ts_recv
        told = datetime.fromtimestamp(event / 1e9, ZoneInfo(zone))
        await expect(page.get_by_test_id("events").locator("time").first).to_have_text(told.strftime("%H:%M:%S"))
        written = "(e, name) => getComputedStyle(e, '::after').content.includes(name)"
        await until(lambda: page.locator(".chart-zone").evaluate(written, name))

    now = datetime.now(UTC)
    await shown(BTC, "UTC", "UTC")
    await page.keyboard.press("z")
    await shown(BTC, KOLKATA, "UTC+5:30")
    await page.keyboard.press("z")
    await shown(BTC, "UTC", "UTC")  # its venue never closes
    await page.get_by_test_id(f"watch-{apple.id}").click()
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", apple.id)
    await shown(apple.id, "America/New_York", str(now.astimezone(ZoneInfo("America/New_York")).tzname()))
    await page.reload()
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", apple.id)
    await shown(apple.id, "America/New_York", str(now.astimezone(ZoneInfo("America/New_York")).tzname()))
    stage.check()
    await context.close()


async def test_the_palette_finds_everything_that_has_a_name(screen):
    page = screen.page
    palette = page.get_by_role("dialog", name="Search")
    screen.allowed = "/api/v1/recordings"  # nothing is recorded here: Chromium writes the 404 to the console

    async def run(keys: str) -> None:
        await page.keyboard.press("/")
        await expect(palette).to_be_visible()
        await page.keyboard.type(keys)
        await page.keyboard.press("Enter")
        await expect(palette).to_be_hidden()

    await run("eth")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    await run("15m")
    await expect(page.get_by_role("button", name="15m", exact=True)).to_have_attribute("aria-pressed", "true")
    await run("pipeline")
    await expect(page.get_by_test_id("pipeline")).to_be_visible()
    await expect(tab(page, "Pipeline")).to_be_focused()
    await run("theme light")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await run("monitor")
    await expect(page.get_by_test_id("tape")).to_be_hidden()
    await run("reset")
    await expect(page.get_by_test_id("tape")).to_be_visible()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("no such thing")
    await expect(palette.get_by_text("Nothing is called that.")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(palette).to_be_hidden()
    await page.keyboard.press("?")  # the sheet is made from the keys that listen
    sheet = page.get_by_role("dialog", name="Keys and signs")
    for key in ("↑ ↓", "1 … 9", "F6", "z", ","):
        await expect(sheet.locator("kbd").get_by_text(key, exact=True).first).to_be_visible()
    for panel, key in (("Heatmap", "Shift ↑ ↓"), ("Book", "PgUp PgDn"), ("Depth", "← →"), ("Chart", "Enter")):
        section = sheet.locator("section").filter(has=page.get_by_role("heading", name=panel, exact=True))
        await expect(section.locator("kbd").get_by_text(key, exact=True)).to_have_count(1)


async def test_playing_is_offered_in_a_replay_alone(screen):
    page = screen.page
    screen.allowed = "/api/v1/recordings"  # nothing is recorded here
    palette = page.get_by_role("dialog", name="Search")
    await page.keyboard.press("/")
    await page.keyboard.type("recording")
    await expect(palette.get_by_role("option", name=re.compile("^Recordings"))).to_be_visible()
    await expect(palette.get_by_role("option", name=re.compile("^(Play|Step)"))).to_have_count(0)


async def test_what_comes_later_to_the_palette_does_not_take_the_place_of_what_is_chosen(screen):
    page = screen.page
    answer = asyncio.Event()
    tape = {
        "session": "20261121T100500Z-1a2b",
        "first": 1_763_719_500_000_000,
        "last": 1_763_719_600_000_000,
        "bytes": 1e6,
        "live": False,
    }

    async def late(route: Route) -> None:
        await answer.wait()
        await route.fulfill(json={"recordings": [tape]})

    await page.route("**/api/v1/recordings", late)
    await page.keyboard.press("/")
    await page.keyboard.type("20")
    found = page.get_by_role("listbox", name="Found")
    chosen = found.get_by_role("option", selected=True)
    await expect(chosen).to_contain_text("tick:20")
    answer.set()
    await expect(found.get_by_role("option").first).to_contain_text("2025-11-21")  # it fits better, and stands before it
    await expect(chosen).to_contain_text("tick:20")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Bars of other kinds")).to_have_value("tick:20")


async def test_a_layout_is_named_and_shared_and_opens_the_same_elsewhere(screen, browser):
    page = screen.page
    await tab(page, "Metrics").focus()
    await page.keyboard.press("Alt+ArrowLeft")
    await tab(page, "Trades").focus()
    await page.keyboard.press("Delete")
    await page.keyboard.press("2")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    await page.keyboard.press("l")
    await page.get_by_role("menuitem", name="Keep this layout as…").click()
    await page.keyboard.type("My desk")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("notice")).to_contain_text("Kept as My desk")
    await page.keyboard.press("l")
    await page.get_by_role("menuitem", name="Copy a link").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("link")
    await expect(page).to_have_url(re.compile(r"#layout=1~.*&instrument=sim:ETH-USDT&interval=5s$"))
    link = page.url
    boxes = """() => [...document.querySelectorAll('.group')].map(e => {
        const { x, y, width, height } = e.getBoundingClientRect(); return [x, y, width, height] })"""
    mine = await page.evaluate(boxes)
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    other = await context.new_page()
    screen.watch(other)
    await other.goto(link)
    await expect(other.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    await expect(other.get_by_role("button", name="5s", exact=True)).to_have_attribute("aria-pressed", "true")
    await becomes(lambda: other.evaluate(boxes), mine)
    await expect(tab(other, "Trades")).to_be_hidden()
    await other.get_by_role("button", name="Back to mine").click()
    await expect(tab(other, "Trades")).to_be_visible()
    bad = f"{screen.address}/#layout=1~r(1:%3Cimg%3E)&instrument=sim:NONE-USD"
    await other.goto("about:blank")
    await other.goto(bad)
    await expect(other.get_by_test_id("notice")).to_contain_text("sim:NONE-USD, of the link, is not streamed here")
    await expect(tab(other, "Trades")).to_be_visible()
    await context.close()
    await page.keyboard.press("l")
    await page.get_by_role("menuitemcheckbox", name="Trading").click()
    await expect(tab(page, "Trades")).to_be_visible()
    await expect(page).not_to_have_url(re.compile("#"))
    await page.reload()
    await expect(tab(page, "Trades")).to_be_visible()
    await page.keyboard.press("l")
    await page.get_by_role("menuitemcheckbox", name="My desk").click()
    await expect(tab(page, "Trades")).to_be_hidden()
    await becomes(lambda: page.evaluate(boxes), mine)


async def test_the_title_tells_the_price_and_of_dead_data_none(screen):
    page, source = screen.page, screen.source
    source.mode, source.reason = "live", ""
    source.tick()
    (quote,) = (await screen.get("quotes", instrument=BTC))["quotes"]
    price = f"{(quote['bid'] + quote['ask']) / 2:,.3f}"
    await expect(page).to_have_title(f"{price} BTC-USDT · Tapeline")
    await expect(page.get_by_test_id("bid")).to_have_attribute("data-value", js(quote["bid"]))
    screen.allowed = f"{screen.address.partition(':')[2]}/api/v1/"
    await screen.server.stop()
    await expect(page).to_have_title("RECONNECTING · BTC-USDT · Tapeline")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_dialogs_and_menus_are_for_everyone(screen, scheme: Any):
    page = screen.page
    screen.allowed = "/api/v1/recordings"
    await page.emulate_media(color_scheme=scheme)
    await expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    for key, role, name in ((",", "dialog", "Settings"), ("/", "dialog", "Search"), ("l", "menu", "Layouts")):
        await page.keyboard.press(key)
        await expect(page.get_by_role(role, name=name)).to_be_visible()
        assert await findings(page) == []
        await page.keyboard.press("Escape")
        await expect(page.get_by_role(role, name=name)).to_be_hidden()
    await expect(page.get_by_role("button", name="Layout (l)")).to_be_focused()  # where it was opened from

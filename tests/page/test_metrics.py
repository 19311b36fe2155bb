"""The sampled metrics on the page: the API's own numbers, what is incomplete, what is not known any more, and what each means."""

import re
import time

import pytest
from playwright.async_api import expect

from tapeline.events import Flag, Metrics
from tests.page.test_page import BTC, ETH, js
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]


async def test_metrics_appear_move_and_are_the_apis(screen):
    page = screen.page
    vwap = page.get_by_test_id("metric-vwap_5m")
    before = await vwap.get_attribute("data-value")
    screen.move()
    await expect(vwap).not_to_have_attribute("data-value", str(before))
    await screen.hold()
    (row,) = (await screen.get("metrics", instrument=BTC, kind="sample"))["metrics"]
    await expect(vwap).to_have_attribute("data-value", js(row["values"]["vwap_5m"]))
    await expect(vwap).to_have_text(f"{row['values']['vwap_5m']:,.2f}")
    await expect(page.locator("#panel-metrics h4")).to_have_text(["Price", "Flow"], use_inner_text=True)
    await expect(page.get_by_test_id("metrics-asof")).to_contain_text("as of ")


async def test_the_lines_are_drawn_from_the_server_s_history(screen):
    history = await screen.get("metrics/history", instrument=BTC, metric="vwap_5m")
    assert len(history["times"]) > 100  # of before the page was opened
    drawn = """e => { const d = e.getContext('2d').getImageData(0, 0, e.width, e.height).data;
                      return d.filter((v, i) => i % 4 === 3 && v > 0).length }"""
    screen.allowed = "willReadFrequently"  # Chromium on this test that looks at the drawing
    canvas = screen.page.locator("[data-metric=vwap_5m] canvas")

    async def inked() -> bool:
        return await canvas.evaluate(drawn) > 50

    await until(inked)


async def test_what_is_incomplete_says_so_and_what_is_not_known_is_a_dash(screen):
    page, source = screen.page, screen.source
    tile = page.locator("[data-metric=vwap_5m]")
    await expect(tile).to_have_attribute("data-partial", "false")
    source.incomplete = "vwap_5m"
    source.tick()
    await expect(tile).to_have_attribute("data-partial", "true")
    await expect(tile.get_by_title("incomplete: its window is not full yet")).to_be_visible()
    await expect(page.locator("[data-metric=volume_1m]")).to_have_attribute("data-partial", "false")
    now = time.time_ns()
    source.publish([Metrics(BTC, now, now, Flag.SIMULATED, None, None, None, None, None, None, {"volume_1m": 1.5}, None)])
    await expect(page.get_by_test_id("metric-vwap_5m")).to_have_text("–")
    await expect(page.get_by_test_id("metric-volume_1m")).to_have_text("1.500")


async def test_numbers_of_a_silent_feed_are_dimmed(screen):
    page, source = screen.page, screen.source
    for f in source.all.values():
        f.state = "stale"
    source.report("stale", BTC, "no trade for 300 s")
    await expect(page.get_by_test_id("metric-vwap_5m")).to_have_css("opacity", "0.42")


async def test_the_keyboard_reads_what_each_metric_means(screen):
    page = screen.page
    await page.locator(".metric[tabindex='0']").focus()
    await expect(page.get_by_test_id("metric-about")).to_contain_text(
        "vwap_5m (price) Mean price of the last window, weighted by size"
    )
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("metric-about")).to_contain_text("volume_1m (size) Size traded in the last window")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)  # the arrow was not for the watchlist
    await page.locator("body").click(position={"x": 5, "y": 5})
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    (row,) = (await screen.get("metrics", instrument=ETH, kind="sample"))["metrics"]
    await expect(page.get_by_test_id("metric-volume_1m")).to_have_attribute("data-value", js(row["values"]["volume_1m"]))


async def test_groups_have_their_own_section(screen):
    now = time.time_ns()
    group = Metrics("group:btc", now, now, Flag.SIMULATED, None, None, None, None, None, None, {"basis.2": 4.25}, None)
    screen.source.publish([group])
    await expect(screen.page.locator("[aria-label='group btc']")).to_contain_text("4.25 bps")


async def test_the_profile_is_drawn_and_its_numbers_are_the_apis(screen):
    page = screen.page
    await page.keyboard.press("p")
    await expect(page.get_by_role("button", name="Profile")).to_have_attribute("aria-pressed", "true")
    found = (await screen.get("profile", instrument=BTC))["profile"]
    await expect(page.get_by_test_id("profile")).to_have_attribute("data-value", js(found["poc"]))
    await expect(page.get_by_test_id("profile")).to_contain_text(f"POC {found['poc']:,.2f}")
    await expect(page.get_by_test_id("profile")).to_contain_text(f"{found['val']:,.2f} to {found['vah']:,.2f}")
    await page.keyboard.press("p")
    await expect(page.get_by_test_id("profile")).to_be_hidden()


async def test_the_keyboard_stays_where_it_is_when_a_metric_comes(screen):
    page = screen.page
    tile = page.locator("[data-metric=volume_1m]")
    await tile.focus()
    now = time.time_ns()
    values = {"volume_1m": 1.5, "vwap_5m": 2.5, "volatility_5m": 0.25}
    screen.source.publish([Metrics(BTC, now, now, Flag.SIMULATED, None, None, None, None, None, None, values, None)])
    await expect(page.get_by_test_id("metric-volatility_5m")).to_have_text(re.compile(r"\d"))
    await expect(tile).to_be_focused()
    await expect(page.get_by_test_id("metric-about")).to_contain_text("volume_1m")

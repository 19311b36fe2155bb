"""Figures that are chosen, venues side by side, the flow of orders, the footprint: each number the API's own at a paused instant."""

import json
import time

import pytest
from playwright.async_api import expect

from tapeline.events import Flag, Metrics, Quote, Trade
from tapeline.instruments import Instrument
from tests.page.market import FakeInstrument
from tests.page.test_page import BTC, js, shown
from tests.waiting import becomes

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
KRAKEN, OKX = "sim-kraken:BTC-USD", "sim-okx:BTC-USDT"


async def show(page, title):
    await page.get_by_role("tab", name=title).click()


def also(screen, name, quote="USDT", state="live", book="synced"):
    """One more venue of BTC, whose touch the test says."""
    source = screen.source
    known = Instrument(
        id=name, venue=name.split(":")[0], native=name, kind="spot", base="BTC", quote=quote, tick=0.01, lot=0.001
    )
    made = FakeInstrument(known, 67_000.0, (2, 5), source.all[BTC].rng)
    made.state, made.book_state = state, book
    source.all[name] = made
    return made


def quotes(screen, **touches):
    now = time.time_ns()
    screen.source.publish([
        Quote(name, now, now, Flag.SIMULATED, bid, 2.0, ask, 3.0, 1, "book") for name, (bid, ask) in touches.items()
    ])  # fmt: skip


async def test_figures_are_chosen_and_remembered_and_incomplete_ones_marked(screen):
    page = screen.page
    await page.locator(".title").hover()
    await page.get_by_role("button", name="Choose the figures").click()
    await page.get_by_test_id("choose-metric:vwap_5m").click()
    await page.get_by_role("button", name="Choose the figures").click()
    await page.get_by_test_id("choose-spread").click()
    (row,) = (await screen.get("metrics", instrument=BTC, kind="sample"))["metrics"]
    card = page.get_by_test_id("metric:vwap_5m")
    await expect(card).to_have_attribute("data-value", js(row["values"]["vwap_5m"]))
    await expect(page.get_by_test_id("spread")).to_have_count(0)
    screen.source.incomplete = "vwap_5m"
    screen.source.tick()
    await expect(page.locator('[data-card="metric:vwap_5m"]')).to_have_attribute("data-partial", "true")
    await expect(page.get_by_test_id("metric:vwap_5m-sub")).to_have_text("incomplete")
    await page.reload()
    await expect(card).to_be_visible()
    await expect(page.get_by_test_id("spread")).to_have_count(0)


async def test_venues_stand_side_by_side_with_their_basis(screen):
    page = screen.page
    also(screen, KRAKEN, quote="USD")
    also(screen, OKX)
    await show(page, "Venues")
    await expect(page.get_by_test_id(f"venue-{OKX}")).to_be_visible()
    quotes(screen, **{BTC: (67_000.0, 67_001.0), OKX: (66_990.0, 67_000.5), KRAKEN: (67_100.0, 67_101.0)})
    await expect(page.get_by_test_id(f"venue-bid-{KRAKEN}")).to_have_attribute("data-value", "67100")
    basis = pytest.approx(1e4 * (67_100.5 - 67_000.5) / 67_000.5, rel=1e-12)
    await becomes(lambda: shown(screen, f"venue-basis-{KRAKEN}"), basis)
    await expect(page.get_by_test_id(f"venue-basis-{BTC}")).to_have_text("reference")
    await expect(page.get_by_test_id(f"venue-state-{KRAKEN}")).to_have_text("not compared")  # dollars are not tethers
    await expect(page.get_by_test_id(f"venue-bid-{BTC}")).to_have_attribute("data-best", "true")
    await expect(page.get_by_test_id(f"venue-ask-{OKX}")).to_have_attribute("data-best", "true")
    await expect(page.get_by_test_id("venues-verdict")).to_contain_text("bid 67,000.00 at sim, offer 67,000.50 at sim-okx")
    await page.get_by_label("Best among").select_option("dollars")
    verdict = page.get_by_test_id("venues-verdict")
    await expect(verdict).to_contain_text("crossed by 14.8 bps for 2.00000, before fees: bid 67,100.00 at sim-kraken")
    crossed = pytest.approx(1e4 * (67_100.0 - 67_000.5) / 67_050.25, rel=1e-12)
    await becomes(lambda: shown(screen, "venues-verdict"), crossed)
    await page.get_by_label(f"Measure the basis from {KRAKEN}").check()
    await expect(page.get_by_test_id(f"venue-basis-{KRAKEN}")).to_have_text("reference")


async def test_a_venue_that_is_silent_or_unproved_makes_no_best(screen):
    page = screen.page
    okx = also(screen, OKX)
    await show(page, "Venues")
    quotes(screen, **{BTC: (67_000.0, 67_001.0), OKX: (67_050.0, 67_051.0)})
    await expect(page.get_by_test_id("venues-verdict")).to_contain_text("crossed by")
    for change, word in (({"state": "stale"}, "stale"), ({"state": "live", "book_state": "invalid"}, "book not proved")):
        for name, to in change.items():
            setattr(okx, name, to)
        screen.source.report("stale", OKX, "no trade for 300 s")
        await expect(page.get_by_test_id(f"venue-state-{OKX}")).to_have_text(word)
        await expect(page.get_by_test_id(f"venue-{OKX}")).to_have_attribute("data-out", "true")
        await expect(page.get_by_test_id("venues-verdict")).to_contain_text("bid 67,000.00 at sim, offer 67,001.00 at sim")


async def test_groups_that_are_sampled_stand_below_the_venues(screen):
    page = screen.page
    await show(page, "Venues")
    now = time.time_ns()
    values = {"arbitrage_bps": -0.5, "basis.2": 4.25}
    screen.source.publish([Metrics("group:btc", now, now, Flag.SIMULATED, None, None, None, None, None, None, values, None)])
    await expect(page.get_by_test_id("venues-groups")).to_contain_text("btc basis.2")
    await expect(page.get_by_test_id("venues-groups")).to_contain_text("4.25 bps")


async def test_flow_says_the_delta_of_each_bar_and_the_volumes_by_size(screen):
    page = screen.page
    await show(page, "Flow")
    now = time.time_ns()
    screen.source.publish([
        Trade(BTC, now, now, Flag.SIMULATED, 67_000.0, 30.0, "buy", "a1"),
        Trade(BTC, now + 1000, now + 1000, Flag.SIMULATED, 67_000.0, 40.0, "sell", "a2"),
    ])  # fmt: skip
    await expect(page.get_by_test_id("flow-buy-1000000")).to_have_attribute("data-value", js(67_000.0 * 30))
    await expect(page.get_by_test_id("flow-sell-1000000")).to_have_attribute("data-value", js(67_000.0 * 40))
    screen.source.tick()
    bars = (await screen.get("bars", instrument=BTC, interval="1m", limit=500))["bars"]
    delta = 2 * bars[-1]["buy_volume"] - bars[-1]["volume"]
    await expect(page.get_by_test_id("flow-legend")).to_have_attribute("data-value", js(delta))
    await page.locator("#panel-flow canvas").hover(position={"x": 20, "y": 30})
    await expect(page.get_by_test_id("flow-legend")).to_contain_text("delta")
    small = sum(
        t["price"] * t["size"]
        for t in (await screen.get("trades", instrument=BTC, limit=5000))["trades"]
        if t["side"] == "buy" and 1e4 <= t["price"] * t["size"] < 1e5
    )
    await becomes(lambda: shown(screen, "flow-buy-10000"), pytest.approx(small, rel=1e-9))  # counted once a second


async def test_a_footprint_is_the_api_s(screen):
    """The page's own words of it: the figures under the pointer and the table beside the drawing."""
    page = screen.page
    await show(page, "Footprint")
    twin = page.get_by_test_id("footprint-twin")
    await expect(twin.locator("tbody tr").first).to_be_attached()
    step = float((await page.get_by_label("Footprint step").locator("option").first.inner_text()).split("(")[1].rstrip(")"))
    answer = await screen.get("footprint", instrument=BTC, interval="1m", step=step, limit=5)

    async def told(bar):
        """Bought, sold and the point of control."""
        cells = await twin.locator(f'tr[data-ts="{bar["ts_open"]}"] td').all_inner_texts()
        return [float(cells[n].replace(",", "")) for n in (1, 2, 5)] if cells else None

    for bar in answer["bars"][-3:]:
        volumes = [b + s for b, s in zip(bar["buys"], bar["sells"], strict=True)]
        poc = (bar["low"] + volumes.index(max(volumes))) * step
        sums = [pytest.approx(sum(bar[side]), rel=1e-12) for side in ("buys", "sells")]
        await becomes(lambda bar=bar: told(bar), [*sums, pytest.approx(poc, abs=0.005)])  # it asks for the newest each second
    await page.get_by_label("Footprint step").select_option(index=2)
    await expect(twin.locator("tbody tr").first).to_be_attached()
    await page.locator("#panel-footprint canvas").focus()
    for key in ("-", "+", "ArrowLeft", "End"):
        await page.keyboard.press(key)
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)
    await expect(page.get_by_test_id("footprint-legend")).to_contain_text("POC")


async def test_what_the_server_says_against_a_footprint_is_said(screen):
    page = screen.page
    screen.allowed = "400"

    async def refuse(route):
        error = {"code": "bad_parameter", "message": "step = 0.00001 cannot be used", "hint": "at least 0.01"}
        await route.fulfill(status=400, content_type="application/json", body=json.dumps({"error": error}))

    await page.route("**/api/v1/footprint*", refuse)
    await show(page, "Footprint")
    await expect(page.locator("#panel-footprint")).to_contain_text("step = 0.00001 cannot be used · at least 0.01")

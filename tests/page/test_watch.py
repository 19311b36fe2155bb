"""The list of markets as a person uses it: searched, added to, ordered, grouped, moved, taken from; remembered."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tapeline.events import Flag, Ticker
from tapeline.instruments import Instrument
from tests.page.control import FakeControl
from tests.page.market import FakeInstrument
from tests.page.test_page import BTC, ETH, js
from tests.waiting import becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
SOL, DOGE = "sim:SOL-USDT", "sim:DOGE-USDT"
FIGURES = ("mid", "change", "spread")


@pytest_asyncio.fixture(loop_scope="module")
async def market(screen):
    screen.control = screen.source.control = FakeControl(screen.source)
    screen.allowed = "502"  # what a venue that does not answer makes of a POST
    yield screen


async def order(page, *wanted):
    """Waits until the rows stand so: the order is made anew once a second, and after a reload when prices have come."""
    rows = page.locator(".watch-row")
    await becomes(lambda: rows.evaluate_all("rows => rows.map(r => r.dataset.id)"), list(wanted))


def listed(market, *symbols):
    """What the connected venue lists beside what it streams."""
    venue = [
        Instrument(id=f"sim:{s}", venue="sim", native=s.replace("-", ""), kind="spot", base=s.split("-")[0], quote="USDT")
        for s in symbols
    ]
    before = market.source.instruments
    market.source.listed = lambda: [*before(), *venue]


async def test_search_filters_what_is_streamed_and_enter_chooses_the_first(market):
    page = market.page
    search = page.get_by_test_id("watch-search")
    await search.fill("sol")
    await expect(page.locator(".watch-row")).to_have_count(1)
    await expect(page.get_by_test_id("watch-found")).to_contain_text("no other market of that name")
    await search.press("Enter")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", SOL)
    await expect(page.locator(".watch-row")).to_have_count(4)
    await search.fill("nothing like it")
    await expect(page.locator("#panel-watch")).to_contain_text("None of the 4 streamed markets fits.")
    await search.press("Escape")
    await expect(page.locator(".watch-row")).to_have_count(4)


async def test_a_market_is_found_added_taken_away_and_brought_back(market):
    page, control = market.page, market.control
    control.put_away(DOGE)
    listed(market, "DOGE-USDT")
    await expect(page.locator(".watch-row")).to_have_count(3)
    await page.get_by_test_id("watch-search").fill("doge")
    await page.get_by_test_id("add-binance:DOGE-USDT").click()
    await expect(page.get_by_test_id(f"watch-{DOGE}")).to_be_visible()
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", DOGE)
    assert control.calls == [("subscribe", "binance:DOGE-USDT", None)]
    await page.get_by_label("Instruments", exact=True).focus()
    await page.keyboard.press("Delete")
    await expect(page.get_by_test_id("watch-undo")).to_contain_text("sim:DOGE-USDT is streamed no more")
    await expect(page.locator(".watch-row")).to_have_count(3)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(".watch-row")).to_have_count(4)
    assert control.calls[-1] == ("subscribe", "binance:DOGE-USDT", ("trades", "book", "quotes"))


async def test_what_cannot_be_added_is_said_in_words(market):
    page = market.page
    kraken = Instrument(id="kraken:XMR-USD", venue="kraken", native="XMR/USD", kind="spot", base="XMR", quote="USD")
    before = market.source.instruments
    market.source.listed = lambda: [*before(), kraken]
    await page.get_by_test_id("watch-search").fill("xmr")
    await page.get_by_test_id("add-kraken:XMR-USD").click()
    await expect(page.locator(".found-error")).to_contain_text("kraken: no answer within 6 s")


async def test_a_recording_has_nothing_to_remove(screen):
    page = screen.page
    screen.source.control = None
    screen.allowed = "409"
    await page.get_by_label("Instruments", exact=True).focus()
    await page.keyboard.press("Delete")
    await expect(page.get_by_test_id("watch-undo")).to_contain_text("a recording is played: it has no subscriptions")


async def test_any_column_orders_and_the_arrow_keys_follow(market):
    page = market.page
    await page.locator("[data-column=mid]").click()
    await order(page, BTC, ETH, SOL, DOGE)
    await page.locator("[data-column=mid]").click()
    await order(page, DOGE, SOL, ETH, BTC)
    await page.get_by_label("Instruments", exact=True).focus()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)  # BTC was chosen, the last
    await page.reload()
    await expect(page.locator(".watch-row")).to_have_count(4)
    await order(page, DOGE, SOL, ETH, BTC)


async def test_rows_are_moved_by_pointer_and_by_key(market):
    page = market.page
    await page.get_by_test_id(f"watch-{DOGE}").drag_to(page.get_by_test_id(f"watch-{BTC}"), target_position={"x": 60, "y": 5})
    await order(page, DOGE, BTC, ETH, SOL)
    await page.get_by_test_id(f"watch-{BTC}").click()
    await page.get_by_label("Instruments", exact=True).focus()
    await page.keyboard.press("Alt+ArrowDown")
    await order(page, DOGE, ETH, BTC, SOL)
    await page.reload()
    await expect(page.locator(".watch-row")).to_have_count(4)
    await order(page, DOGE, ETH, BTC, SOL)


async def test_groups_of_one_s_own_and_closed_ones_are_remembered(market):
    page = market.page
    await page.get_by_test_id(f"watch-{ETH}").click()
    await page.get_by_role("button", name="More of the list").click()
    name = page.get_by_label("Put the chosen market into a group of this name")
    await name.fill("Majors")
    await name.press("Enter")
    groups = page.locator(".watch [role=group]")
    labels = "groups => groups.map(g => g.getAttribute('aria-label'))"
    await becomes(lambda: groups.evaluate_all(labels), ["Majors", "Others"])
    await order(page, ETH, BTC, SOL, DOGE)
    await page.get_by_test_id(f"watch-{SOL}").drag_to(page.get_by_test_id(f"watch-{ETH}"), target_position={"x": 60, "y": 45})
    await order(page, ETH, SOL, BTC, DOGE)
    await page.locator(".watch-group", has_text="Others").click()
    await expect(page.locator(".watch-row")).to_have_count(2)
    await page.reload()
    await expect(page.locator(".watch-row")).to_have_count(2)
    await page.get_by_role("button", name="More of the list").click()
    await page.get_by_label("Groups", exact=True).select_option("venue")
    await expect(page.locator(".watch-row")).to_have_count(4)


async def test_volume_says_of_what_it_is(market):
    page = market.page
    now = time.time_ns()
    market.source.publish([Ticker(BTC, now, now, Flag.SIMULATED, volume=1234.5, notional=83_000_000.0)])
    await page.reload()
    btc = page.get_by_test_id(f"watch-volume-{BTC}")
    await expect(btc).to_have_text("83.00M")
    await expect(btc).to_have_attribute("data-value", "83000000")
    await expect(btc).to_have_attribute("title", re.compile("24 hours"))
    (bar,) = (await market.get("bars", instrument=ETH, interval="1d", limit=1))["bars"]
    eth = page.get_by_test_id(f"watch-volume-{ETH}")
    await expect(eth).to_have_attribute("data-value", js(bar["notional"]))
    await expect(eth).to_have_attribute("title", re.compile("since 00:00 UTC"))
    await expect(eth).to_have_text(re.compile(r"^≈?[\d.]+[KMB]? today$"))
    await expect(page.get_by_test_id(f"watch-{ETH}")).to_contain_text(re.compile("volume since 00:00 UTC"))
    await expect(page.get_by_role("button", name="Order by Vol 24h")).to_have_attribute(
        "title", re.compile("24 hours.*“today”.*≈")
    )


async def test_a_long_venue_name_hides_no_figure(market):
    page, source = market.page, market.source
    template = source.all[ETH]
    name = "sim-coinbase-advanced:ETH-USD-PERP"
    known = Instrument(
        id=name, venue="sim-coinbase-advanced", native="E", kind="perp", base="ETH", quote="USD", tick=0.01, lot=0.0001
    )
    source.all[name] = FakeInstrument(known, 3_512.0, template.decimals, template.rng)
    source.tick()
    row = page.get_by_test_id(f"watch-{name}")

    async def hidden():
        """Figures that do not stand in the row, beside the venue. All of one moment: rows move while others come."""
        boxes = await row.evaluate(
            """row => Object.fromEntries([['row', row], ['venue', row.querySelector('.venue')],
                      ...['mid', 'change', 'spread'].map(figure => [figure, row.querySelector(`[data-testid^=watch-${figure}-]`)])]
                  .map(([name, el]) => { const {left, right, bottom} = el.getBoundingClientRect(); return [name, [left, right, bottom]] }))"""
        )
        left, right, bottom = boxes["row"]
        out = [f for f in FIGURES if not (left <= boxes[f][0] < boxes[f][1] <= right and boxes[f][2] <= bottom)]
        return out if boxes["venue"][1] <= boxes["spread"][0] else [*out, "venue"]

    for width in (1440, 1024, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        if width < 900:
            await page.get_by_role("tab", name="Markets").last.click()
        await row.scroll_into_view_if_needed()
        await expect(row).to_have_attribute("data-state", "live")  # what it is otherwise takes the spread's place
        for figure in FIGURES:
            await expect(page.get_by_test_id(f"watch-{figure}-{name}")).to_have_text(re.compile(r"\d"))
        await becomes(hidden, [])  # the panels are laid out a little after the window
    await page.set_viewport_size({"width": 1440, "height": 900})
    await row.click()
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", name)
    beyond = """title => ['symbol', 'change'].filter(part => title.getBoundingClientRect().right
        < title.querySelector(`[data-testid=${part}]`).getBoundingClientRect().right)"""
    await becomes(lambda: page.locator(".title").evaluate(beyond), [])


async def test_the_lines_of_the_cards_are_there_with_the_market(market):
    page = market.page
    mid, bid = page.locator('[data-card="mid"] canvas'), page.locator('[data-card="bid"] canvas')
    market.source.tick()
    await expect(bid).to_have_attribute("data-points", re.compile(r"^([4-9]|\d{2,})$"))  # seconds go by
    before = int(await bid.get_attribute("data-points"))
    await page.get_by_test_id(f"watch-{ETH}").click()
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    of_eth = int(await bid.get_attribute("data-points"))
    await expect(mid).to_have_attribute("data-points", re.compile(r"^\d{2,3}$"))
    await page.get_by_test_id(f"watch-{BTC}").click()
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)
    assert before <= of_eth <= int(await bid.get_attribute("data-points"))  # the row saw as much while another was chosen


async def test_several_hundred_rows_write_only_what_is_in_view(market):
    page, source = market.page, market.source
    template = source.all[SOL]
    for n in range(300):
        known = Instrument(
            id=f"sim:X{n}-USDT", venue="sim", native=f"X{n}USDT", kind="spot", base=f"X{n}", quote="USDT", tick=0.01, lot=0.001
        )
        source.all[known.id] = FakeInstrument(known, 10.0 + n, template.decimals, template.rng)
    source.tick()
    await expect(page.locator(".watch-row")).to_have_count(304)
    mid = page.get_by_test_id("watch-mid-sim:X290-USDT")

    async def painted():
        """Another tick, and whether the list wrote it: a row at the top has the API's number."""
        source.tick()
        (quote,) = (await market.get("quotes", instrument=BTC))["quotes"]
        await expect(page.get_by_test_id(f"watch-mid-{BTC}")).to_have_attribute(
            "data-value", js((quote["bid"] + quote["ask"]) / 2)
        )

    async def left_alone():
        before = await mid.get_attribute("data-value")
        for _ in range(5):
            await painted()
        return await mid.get_attribute("data-value") == before

    await until(left_alone)  # it is far below, which the page is told only after it has drawn it
    await page.get_by_test_id("watch-sim:X290-USDT").scroll_into_view_if_needed()
    (quote,) = (await market.get("quotes", instrument="sim:X290-USDT"))["quotes"]
    await expect(mid).to_have_attribute("data-value", js((quote["bid"] + quote["ask"]) / 2))


async def test_opening_fills_the_list_by_two_requests_that_no_query_is_needed_for(market):
    page, asked = market.page, []

    def noted(request):
        if request.is_navigation_request():
            asked.clear()  # what the page before asked is none of this one's
        elif "/api/v1/bars?" in request.url:
            asked.append(parse_qs(urlsplit(request.url).query))

    page.on("request", noted)
    await page.reload()
    await expect(page.locator(".watch-row")).to_have_count(4)
    (bar,) = (await market.get("bars", instrument=ETH, interval="1d", limit=1))["bars"]
    change = page.get_by_test_id(f"watch-change-{ETH}")
    await expect(change).to_have_attribute("title", re.compile("UTC day"))
    await expect(change).to_have_attribute("title", re.compile(re.escape(f"{bar['open']:,.2f}")))
    # The second follows the first; the page before may have had one of them on its way.
    await becomes(lambda: {q["interval"][0] for q in asked if len(q["instrument"]) == 4}, {"1d", "1s"})
    many = [q for q in asked if len(q["instrument"]) == 4]
    assert all(q["past"] == ["memory"] for q in many)
    assert [q for q in asked if q["interval"] in (["1d"], ["1s"]) and q not in many] == []

"""What a person sees, in a real browser. Each number on the page is compared with the API's at an instant when nothing moves."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.waiting import becomes

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
BTC, ETH = "sim:BTC-USDT", "sim:ETH-USDT"


async def values(rows: Locator, selector: str) -> list[float]:
    """The `data-value` of each row's part at one moment, in the document's order, without empty rows."""
    raw = await rows.locator(selector).evaluate_all("parts => parts.map(part => part.dataset.value)")
    return [float(r) for r in raw if r]


async def test_it_goes_live_and_its_numbers_are_the_apis(screen):
    page = screen.page
    before = await screen.raw("mid")
    screen.move()
    await expect(page.get_by_test_id("mid")).not_to_have_attribute("data-value", str(before))
    await expect(page.get_by_test_id("health-latency")).not_to_have_text("–")
    await screen.hold()

    (metrics,) = (await screen.get("metrics", instrument=BTC, kind="book"))["metrics"]
    (quote,) = (await screen.get("quotes", instrument=BTC))["quotes"]
    book = (await screen.get("book", instrument=BTC, depth=50))["book"]
    trades = (await screen.get("trades", instrument=BTC, limit=20))["trades"]
    await expect(page.get_by_test_id("last")).to_have_attribute("data-value", js(trades[-1]["price"]))
    await expect(page.get_by_test_id("mid")).to_have_attribute("data-value", js(metrics["mid"]))
    await expect(page.get_by_test_id(f"watch-mid-{BTC}")).to_have_attribute("data-value", js(metrics["mid"]))
    for name, number in (
        ("bid", quote["bid"]), ("bid-sub", quote["bid_size"]), ("ask", quote["ask"]), ("ask-sub", quote["ask_size"]),
        ("spread", metrics["spread"]), ("spread-sub", metrics["spread_bps"]), ("imbalance", metrics["imbalance"]),
        ("microprice", metrics["microprice"]),
    ):  # fmt: skip
        await becomes(lambda name=name: shown(screen, name), number)
    await expect(page.get_by_test_id("bid")).to_have_text(f"{quote['bid']:,.2f}")
    for side in ("bids", "asks"):
        rows, levels = page.get_by_test_id(side), [price for price, _ in book[side]]
        await becomes(lambda rows=rows: first(rows, 11), levels[:11])
        prices = await values(rows, ".price")
        assert prices == levels[: len(prices)]
    await becomes(lambda: first(page.get_by_test_id("tape"), 20), [t["price"] for t in reversed(trades)])


async def shown(screen, name: str) -> float | None:
    raw = await screen.raw(name)
    return float(raw) if raw else None


async def first(rows: Locator, count: int) -> list[float]:
    return (await values(rows, ".price"))[:count]


def js(number: float) -> str:
    """As JavaScript writes it: 67250.0 is `67250`."""
    return str(int(number)) if number == int(number) else repr(number)


async def test_candles_show_the_open_bar_as_it_moves(screen):
    page = screen.page
    await page.keyboard.press("1")
    await expect(page.get_by_role("button", name="1s", exact=True)).to_have_attribute("aria-pressed", "true")
    screen.move()
    await page.wait_for_timeout(1500)
    await screen.hold()
    (bar,) = (await screen.get("bars", instrument=BTC, interval="1s", limit=1))["bars"]
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js(bar["close"]))
    await expect(page.get_by_test_id("legend")).to_contain_text(f"H {bar['high']:,.2f}")
    await page.get_by_test_id("chart").hover(position={"x": 200, "y": 200})
    await expect(page.get_by_test_id("legend")).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d\s\d\d:\d\d:\d\d\s+O\s[\d,.]+\s+H"))


async def test_bars_of_other_kinds_and_smoothed_candles(screen):
    page = screen.page
    await page.get_by_label("Bars of other kinds").select_option("tick:20")
    for _ in range(30):
        screen.source.tick()
    (*_, closed, still) = (await screen.get("bars", instrument=BTC, interval="tick:20"))["bars"]
    assert (closed["trades"], closed["closed"], still["closed"]) == (20, True, False)
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js(still["close"]))
    await expect(page.get_by_test_id("legend")).to_contain_text(f"{still['trades']}\u00a0trades")
    width = (await page.get_by_test_id("chart").bounding_box())["width"]
    await page.get_by_test_id("chart").hover(position={"x": width - 150, "y": 200})  # the last bars stand there
    await expect(page.get_by_test_id("legend")).to_contain_text("20\u00a0trades")
    kind = page.get_by_label("Kind of chart")
    await page.get_by_test_id("state").click()  # out of the list
    await page.keyboard.press("h")
    await expect(kind).to_have_value("heikin-ashi")
    screen.source.tick()
    await page.keyboard.press("4")
    await expect(page.get_by_role("button", name="1m", exact=True)).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("h")
    await expect(kind).to_have_value("candles")


async def test_simulated_data_cannot_be_taken_for_real(screen):
    page = screen.page
    await expect(page.get_by_test_id("mode-strip")).to_be_visible()
    await expect(page.get_by_test_id("mode-text")).to_contain_text("SIMULATED MARKET · no real market is behind these numbers")
    await expect(page.get_by_test_id("mode-text")).to_contain_text("HTTP 451")
    await expect(page.locator(".watch-row .venue")).to_have_text(["sim"] * 4)
    await expect(page).to_have_title(re.compile(r"^SIMULATED · 67,2\d\d\.\d{3} BTC-USDT · Tapeline$"))
    screen.source.tape = "failing"  # trouble does not hide it
    await expect(page.get_by_test_id("state")).to_have_text("TAPE FAILING")
    await expect(page.get_by_test_id("reason")).to_contain_text("no space left on the device")
    await expect(page.get_by_test_id("mode-strip")).to_be_visible()


async def test_live_and_replay_say_what_they_are(screen):
    page, source = screen.page, screen.source
    source.mode, source.reason = "replay", ""
    await expect(page.get_by_test_id("state")).to_have_text("REPLAY ×10")
    await expect(page.get_by_test_id("mode-text")).to_contain_text(
        "a recording of the SIMULATED market: no real market is behind these numbers, tape time 20"
    )
    source.mode = "live"
    await expect(page.get_by_test_id("state")).to_have_text("LIVE")
    await expect(page.get_by_test_id("mode-strip")).to_be_hidden()


async def test_a_feed_that_stops_is_stale_and_recovers(screen):
    page, source = screen.page, screen.source
    screen.move()
    for f in source.all.values():
        f.state = "stale"
    source.report("stale", BTC, "no trade for 300 s")
    await expect(page.get_by_test_id("state")).to_have_text("STALE")
    await expect(page.get_by_test_id("instrument-state")).to_contain_text("no trade for 300 s")
    await expect(page.get_by_test_id("mid")).to_have_css("opacity", "0.42")
    for f in source.all.values():
        f.state = "live"
    old = await screen.raw("mid")
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")
    await expect(page.get_by_test_id("mid")).to_have_css("opacity", "1")
    await expect(page.get_by_test_id("mid")).not_to_have_attribute("data-value", str(old))


async def test_a_closed_market_is_no_trouble_and_what_venues_cost_is_shown(screen):
    page, source = screen.page, screen.source
    source.mode, source.reason = "live", ""
    source.all[BTC].state = "closed"
    await expect(page.get_by_test_id("instrument-state")).to_contain_text("closed, last")
    await expect(page.get_by_test_id("state")).to_have_text("LIVE")
    await expect(page.get_by_test_id("mid")).to_have_css("opacity", "1")
    for f in source.all.values():
        f.state = "closed"
    await expect(page.get_by_test_id("state")).to_have_text("CLOSED")
    await expect(page.get_by_test_id("reason")).to_contain_text("the last of their session")
    await page.get_by_role("tab", name="Pipeline").click()
    await expect(page.get_by_test_id("pipeline")).to_contain_text("cost of binance4.2% CPU")


async def test_a_book_that_is_not_proved_is_greyed_and_says_why(screen):
    page, source = screen.page, screen.source
    await expect(page.get_by_test_id("book-reason")).to_be_hidden()
    source.all[BTC].book_state, source.all[BTC].state = "invalid", "resyncing"
    source.report("gap", BTC, "ids 81234–81239 missing", "book", 6)
    await expect(page.get_by_test_id("book-reason")).to_contain_text("ids 81234–81239 missing")
    await expect(page.get_by_test_id("bids")).to_have_css("opacity", re.compile(r"^0\.[0-4]"))
    await expect(page.get_by_test_id("events").locator("li").first).to_contain_text("gap")
    source.all[BTC].book_state, source.all[BTC].state = "synced", "live"
    source.report("synced", BTC, "joined at 81260", "book")
    await expect(page.get_by_test_id("book-reason")).to_be_hidden()


async def test_missing_trades_leave_a_mark_on_the_tape(screen):
    screen.source.report("gap", BTC, "ids 7–12 missing", "trades", 6)
    await expect(screen.page.get_by_test_id("missed").first).to_contain_text("6 missed: ids 7–12 missing")
    screen.source.tick()
    await expect(screen.page.get_by_test_id("tape").locator("> :nth-child(2)")).to_contain_text("6 missed")


async def test_a_server_that_restarts_needs_no_reload(screen):
    page = screen.page
    screen.allowed = f"{screen.address.partition(':')[2]}/api/v1/"  # Chromium itself writes refused connections to the console
    await page.evaluate("document.body.dataset.loaded = 'once'")
    await page.get_by_role("tab", name="Alerts").click()  # seen once, so that its rules are there
    await page.get_by_role("tab", name="Metrics").click()
    await screen.server.stop()
    await expect(page.get_by_test_id("state")).to_have_text("RECONNECTING")
    await expect(page.get_by_test_id("reason")).to_contain_text("the values below are old")
    await expect(page.get_by_test_id("mid")).to_have_css("opacity", "0.42")
    await expect(page.get_by_test_id("metric-vwap_5m")).to_have_css("opacity", "0.42")
    await expect(page.get_by_test_id("rules")).to_have_css("opacity", "0.42")
    await screen.restart()
    screen.move()
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")
    old = await screen.raw("mid")
    await expect(page.get_by_test_id("mid")).not_to_have_attribute("data-value", str(old))
    assert await page.evaluate("document.body.dataset.loaded") == "once"


@pytest.mark.slow
async def test_a_connection_that_says_nothing_is_never_called_live(screen):
    page = screen.page
    silent = []

    def between(ws):
        server = ws.connect_to_server()
        server.on_message(lambda m: None if silent else ws.send(m))

    await page.route_web_socket("**/api/v1/ws", between)
    await page.reload()
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")
    silent.append(True)
    await expect(page.get_by_test_id("state")).to_have_text("RECONNECTING")
    await expect(page.get_by_test_id("state")).to_have_text("OFFLINE")
    await expect(page.get_by_test_id("reason")).to_contain_text(re.compile(r"nothing from the server for [1-9]\d s"))
    silent.clear()
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")


async def test_keys_select_instruments_intervals_and_colours(screen):
    page = screen.page
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    quote = (await screen.get("quotes", instrument=ETH))["quotes"][0]
    await expect(page.get_by_test_id("bids").locator(".price").first).to_have_attribute("data-value", js(quote["bid"]))
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("5")
    await expect(page.get_by_role("button", name="5m", exact=True)).to_have_attribute("aria-pressed", "true")
    root = page.locator("html")
    await expect(root).to_have_attribute("data-theme", "dark")
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.keyboard.press("t")
    await expect(root).to_have_attribute("data-theme", "light")
    await expect(page.locator("body")).not_to_have_css("background-color", dark)
    await page.keyboard.press("c")
    await expect(root).to_have_attribute("data-palette", "colour-blind")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.reload()  # what was chosen is remembered
    await expect(root).to_have_attribute("data-theme", "light")
    await expect(page.get_by_role("button", name="5m", exact=True)).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_a_phone_has_one_column_and_no_sideways_scroll(browser, stage, scheme):
    context = await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    page = stage.page = await context.new_page()
    stage.watch(page)
    stage.move()
    await page.goto(stage.address)
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")
    await expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    panels = {"Markets": "watch", "Chart": "chart", "Book": "ladder", "Trades": "tape", "Metrics": "metrics", "Alerts": "alerts", "Events": "events",
              "Pipeline": "pipeline"}  # fmt: skip
    for tab, panel in panels.items():
        if not await page.get_by_role("tab", name=tab, exact=True).is_visible():
            await page.get_by_test_id("more").tap()
            await page.get_by_role("menuitemcheckbox", name=tab, exact=True).tap()
        await page.get_by_role("tab", name=tab, exact=True).tap()
        await expect(page.locator(f"#panel-{panel}")).to_be_visible()
        width = await page.evaluate(
            "Math.max(...[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('.sr, canvas, table'))"
            ".map(e => Math.min(e.getBoundingClientRect().right, e.closest('.panel') ? e.closest('.panel').getBoundingClientRect().right : 1e9)))"
        )
        assert width <= 390, tab
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, tab
    stage.check()
    await context.close()


async def test_a_burst_of_trades_does_not_grow_the_page(screen):
    page = screen.page
    for _ in range(3):
        for _ in range(400):
            screen.source.tick()
        await page.wait_for_timeout(200)
    await screen.hold()
    (trade,) = (await screen.get("trades", instrument=BTC, limit=1))["trades"]
    await expect(page.get_by_test_id("last")).to_have_attribute("data-value", js(trade["price"]))
    assert await page.locator("body *").count() < 1500

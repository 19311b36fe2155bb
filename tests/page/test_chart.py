"""The chart by what a person does with it. Each number that it shows is reckoned here from the API's bars, indicators by TA-Lib."""

import re
from typing import Any

import numpy as np
import pytest
import talib
from playwright.async_api import Page, expect

from tests.page.conftest import painted
from tests.page.test_flow import KRAKEN, also
from tests.page.test_page import BTC, ETH, js
from tests.waiting import becomes

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]


async def bars_of(screen, interval="1s", instrument=BTC, limit=1000):
    return (await screen.get("bars", instrument=instrument, interval=interval, limit=limit))["bars"]


async def on(screen, interval="1s") -> Page:
    """The chart with bars of a second, all of them, at an instant when nothing moves."""
    await screen.hold()
    await screen.page.get_by_role("button", name=interval, exact=True).click()
    bars = await bars_of(screen, interval)
    await expect(screen.page.get_by_test_id("chart")).to_have_attribute("data-bars", str(len(bars)))
    await expect(screen.page.get_by_test_id("legend")).to_have_attribute("data-value", js(bars[-1]["close"]))
    return screen.page


async def add(page: Page, title: str) -> None:
    await page.get_by_role("button", name="Indicators").click()
    await page.get_by_role("button", name=re.compile(f"^Add {title}:")).click()
    await page.keyboard.press("Escape")


async def reads(page: Page, key: str, expected: float, **within: Any) -> None:
    """An indicator says this number, once it has been reckoned from all the bars."""

    async def number() -> float | None:
        text = await page.get_by_test_id(f"study-{key}").get_attribute("data-value")
        return float(text) if text else None

    await becomes(number, pytest.approx(float(expected), **(within or {"rel": 1e-9})))


async def test_indicators_are_what_ta_lib_reckons_from_the_apis_bars(screen):
    page = await on(screen)
    bars = await bars_of(screen)
    high, low, close = (np.array([b[name] for b in bars]) for name in ("high", "low", "close"))
    expected = {
        "SMA": ("sma 20", talib.SMA(close, 20)), "EMA": ("ema 21", talib.EMA(close, 21)), "BB": ("bollinger 20 2", talib.BBANDS(close, 20, 2, 2)[1]),
        "RSI": ("rsi 14", talib.RSI(close, 14)), "MACD": ("macd 12 26 9", talib.MACD(close)[0]), "ATR": ("atr 14", talib.ATR(high, low, close, 14)),
    }  # fmt: skip
    for title, (key, column) in expected.items():
        await add(page, title)
        await reads(page, key, column[-1])
    cents = 100 * expected["SMA"][1][-1]  # of the middle between two of them, the last digit of a float64 decides
    shown = "|".join(f"{c / 100:,.2f}" for c in {np.floor(cents + 0.5 - 1e-3), np.floor(cents + 0.5 + 1e-3)})
    await expect(page.get_by_test_id("study-sma 20")).to_have_text(re.compile(rf"SMA.20\s+({shown})\s*$"))
    await page.reload()  # what was chosen is remembered
    await reads(page, "rsi 14", expected["RSI"][1][-1])
    await page.get_by_role("button", name="Indicators").click()
    length = page.get_by_role("spinbutton", name="SMA: Bars")
    await length.fill("5")
    await length.press("Enter")
    await reads(page, "sma 5", talib.SMA(close, 5)[-1])
    await page.get_by_role("dialog", name="Indicators").get_by_role("button", name="Remove RSI 14").click()
    await expect(page.get_by_test_id("study-rsi 14")).to_have_count(0)


async def test_vwap_and_delta_follow_the_day_and_say_what_they_lack(screen):
    page = await on(screen)
    await add(page, "VWAP")
    await add(page, "Delta")
    bars = await bars_of(screen)
    day = [b for b in bars if b["ts_open"] // 86_400_000_000 == bars[-1]["ts_open"] // 86_400_000_000]
    vwap = sum(b["vwap"] * b["volume"] for b in day) / sum(b["volume"] for b in day)
    await reads(page, "vwap", vwap)
    last = day[-1]
    await reads(page, "delta", 2 * last["buy_volume"] - last["volume"], abs=1e-9)
    total = sum(2 * b["buy_volume"] - b["volume"] for b in day)

    async def cumulative() -> float | None:
        text = (await page.get_by_test_id("study-delta").inner_text()).replace("−", "-")
        found = re.search(r"cumulative\s(-?[\d.,]+)", text)
        return float(found[1].replace(",", "")) if found else None

    await becomes(cumulative, pytest.approx(total, abs=1e-3))
    partial = len(day) == len(bars)  # the day began before the first bar that is here
    await expect(page.get_by_test_id("study-vwap").locator("..").locator(".partial")).to_be_visible(visible=partial)


async def test_what_stands_on_an_incomplete_bar_says_so(screen):
    page = await on(screen, "1m")
    await page.get_by_role("button", name="Indicators").click()
    await page.get_by_role("button", name=re.compile("^Add SMA:")).click()
    await page.get_by_role("spinbutton", name="SMA: Bars").fill("2")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Escape")
    bars = await bars_of(screen, "1m")
    assert not bars[0]["complete"]
    assert all(b["complete"] for b in bars[1:])
    chart = page.get_by_test_id("chart")
    await chart.focus()
    await chart.press("ArrowLeft")
    note = page.get_by_test_id("study-sma 2").locator("..").locator(".partial")
    await expect(note).to_be_hidden()
    for _ in range(len(bars) - 2):
        await chart.press("ArrowLeft")
    await expect(page.get_by_test_id("chart-said")).to_contain_text(f"close {bars[1]['close']:,.2f}")
    await expect(note).to_have_text("◌ incomplete")


async def test_the_crosshair_goes_by_keys_and_is_read_out(screen):
    page = await on(screen)
    bars = await bars_of(screen)
    chart, said, legend = page.get_by_test_id("chart"), page.get_by_test_id("chart-said"), page.get_by_test_id("legend")
    await chart.focus()
    await chart.press("ArrowLeft")
    await chart.press("ArrowLeft")
    await expect(legend).to_have_attribute("data-value", js(bars[-2]["close"]))
    await expect(said).to_contain_text(f"open {bars[-2]['open']:,.2f}, high {bars[-2]['high']:,.2f}")
    await chart.press("ArrowRight")
    await expect(said).to_contain_text(f"close {bars[-1]['close']:,.2f}")
    await chart.press("Home")
    await chart.press("ArrowLeft")  # out of the view: it moves along
    await chart.press("+")
    await expect(said).to_contain_text("close ")
    await chart.press("Escape")
    await expect(said).to_have_text("")
    await expect(legend).to_have_attribute("data-value", js(bars[-1]["close"]))


async def test_the_bars_in_view_are_a_table(screen):
    page = await on(screen)
    await add(page, "SMA")
    bars = await bars_of(screen)
    await page.get_by_role("button", name="Table").click()
    table = page.get_by_test_id("chart-table").get_by_role("table")
    b = bars[-1]
    sma = talib.SMA(np.array([x["close"] for x in bars]), 20)[-1]

    async def newest() -> list[str]:
        cells = await table.get_by_role("row").nth(1).locator("th, td").all_inner_texts()
        return [*cells[1:5], *(cell.removesuffix(" ◌") for cell in cells[10:11])]

    await becomes(newest, [*(f"{b[name]:,.2f}" for name in ("open", "high", "low", "close")), f"{sma:,.2f}"])
    assert await table.get_by_role("columnheader").all_inner_texts() == [
        "Time", "Open", "High", "Low", "Close", "Volume", "Bought", "Delta", "VWAP", "Trades", "SMA 20", "Notes",
    ]  # fmt: skip
    await page.get_by_role("button", name="Table").click()
    await expect(table).to_be_hidden()


@pytest.mark.parametrize("kind", ["bars", "line", "area", "heikin-ashi"])
async def test_other_kinds_scales_and_back(screen, kind):
    page = await on(screen)
    await page.get_by_label("Kind of chart").select_option(kind)
    scale = page.get_by_role("group", name="Scale")
    for name in ("Log", "Percent"):
        await scale.get_by_role("button", name=name).click()
        await expect(scale.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        screen.source.tick()
        await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js((await bars_of(screen))[-1]["close"]))
    await expect(scale.get_by_role("button", name="Log")).to_have_attribute("aria-pressed", "false")
    await page.reload()
    await expect(page.get_by_label("Kind of chart")).to_have_value(kind)
    await expect(scale.get_by_role("button", name="Percent")).to_have_attribute("aria-pressed", "true")


async def test_another_kind_of_bars_is_there_again_after_a_reload(screen):
    page = screen.page
    await page.get_by_label("Bars of other kinds").select_option("tick:20")
    (bar,) = (await screen.get("bars", instrument=BTC, interval="tick:20", limit=1))["bars"]
    await expect(page.get_by_test_id("legend")).to_contain_text(f"{bar['trades']}\u00a0trades")
    await page.reload()
    await expect(page.get_by_label("Bars of other kinds")).to_have_value("tick:20")
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js(bar["close"]))


async def test_lines_are_drawn_moved_by_keys_and_mouse_remembered_and_removed(screen):
    page = await on(screen)
    chart, levels = page.get_by_test_id("chart"), page.get_by_test_id("level")
    box = await chart.bounding_box()
    await page.get_by_role("button", name="Draw", exact=True).click()
    await chart.click(position={"x": 120, "y": box["height"] / 2})
    await expect(levels).to_have_count(1)
    price = float(await levels.get_attribute("aria-valuenow"))
    await levels.focus()
    await levels.press("ArrowUp")
    await levels.press("Shift+ArrowUp")
    await expect(levels).to_have_attribute("aria-valuenow", js(round(price + 0.11, 2)))
    await painted(page)  # the line stands there, too
    await page.mouse.move(box["x"] + 150, box["y"] + (y := await height(page)))
    await page.mouse.down()
    await page.mouse.move(box["x"] + 150, box["y"] + y - 60, steps=4)
    await page.mouse.up()
    moved = float(await levels.get_attribute("aria-valuenow"))
    assert moved > price + 0.2
    await page.reload()
    await expect(levels).to_have_attribute("aria-valuenow", js(moved))
    await page.keyboard.press("ArrowDown")  # of another instrument are others
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
    await expect(levels).to_have_count(0)
    await page.keyboard.press("ArrowUp")
    await page.get_by_role("button", name="Lines", exact=True).click()
    dialog = page.get_by_role("dialog", name="Lines")
    (bar,) = (await screen.get("bars", instrument=BTC, limit=1))["bars"]
    # In view, whatever the scale is by now: what is out of view cannot have the focus.
    new = js(bar["close"] if bar["close"] != moved else round(moved + 0.01, 2))
    await dialog.get_by_role("spinbutton", name="Price of a new line").fill(new)
    await dialog.get_by_role("button", name="Draw").click()
    await expect(levels).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Lines", exact=True)).to_be_focused()  # where it was, before it goes on
    drawn = page.locator(f'[data-testid=level][aria-valuenow="{new}"]')
    await expect(drawn).to_be_visible()
    await drawn.press("Delete")
    await expect(levels).to_have_count(1)


async def height(page: Page) -> float:
    """Where the line stands in the chart."""
    box, grip = await page.get_by_test_id("chart").bounding_box(), await page.get_by_test_id("level").bounding_box()
    return grip["y"] + grip["height"] / 2 - box["y"]


async def test_the_menu_of_a_place_draws_a_line_and_goes_by_keys(screen):
    page = await on(screen)
    bars = await bars_of(screen)
    chart = page.get_by_test_id("chart")
    await chart.focus()
    await chart.press("ArrowLeft")
    await chart.press("Enter")
    menu = page.get_by_role("dialog", name="Chart", exact=True)
    await expect(menu).to_contain_text(f"{bars[-1]['close']:,.2f}")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("level")).to_have_attribute("aria-valuenow", js(bars[-1]["close"]))
    beside = 100 if await height(page) > 150 else 200  # on the line it would be taken away
    await chart.click(button="right", position={"x": 100, "y": beside})
    await expect(menu.get_by_role("button", name="Draw a line here")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()


def per_cent(share: float) -> str:
    text = f"{100 * share:+,.2f}%"
    return (text if any(c in text for c in "123456789") else text[1:]).replace("-", "−")


async def test_other_instruments_stand_beside_it_with_how_they_went(screen):
    page = await on(screen)
    await page.get_by_role("button", name="Compare").click()
    await page.get_by_role("searchbox", name="Instrument to compare with").fill("eth")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Compare").get_by_role("button", name=f"Remove {ETH}")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Percent")).to_have_attribute("aria-pressed", "true")
    main, other = (await bars_of(screen))[-1], (await bars_of(screen, instrument=ETH))[-1]
    assert main["ts_open"] == other["ts_open"]
    chip = page.get_by_test_id(f"other-{ETH}")
    await expect(chip).to_have_attribute("data-value", js(other["close"]))
    own, its = await bars_of(screen), {b["ts_open"]: b for b in await bars_of(screen, instrument=ETH)}
    start = next(b for b in own if b["ts_open"] in its)
    await page.get_by_role("button", name="Fit").click()  # so that the view begins with the first bar
    await expect(chip).to_contain_text(per_cent(other["close"] / its[start["ts_open"]]["close"] - 1))
    about = re.compile(re.escape(f"{BTC} {per_cent(main['close'] / start['close'] - 1)}") + ".*no basis")
    await expect(chip.locator("..")).to_have_attribute("title", about)
    await expect(chip).not_to_contain_text("bps")  # between two assets it would mean nothing
    screen.source.tick()
    other = (await bars_of(screen, instrument=ETH))[-1]
    await expect(chip).to_have_attribute("data-value", js(other["close"]))
    screen.source.all[ETH].state = "stale"
    await expect(chip.locator("..").locator(".partial")).to_have_text("old")
    await chip.locator("..").hover()
    await page.get_by_role("button", name=f"Remove {ETH}").click()
    await expect(chip).to_have_count(0)
    await expect(page.get_by_role("button", name="Percent")).to_have_attribute("aria-pressed", "false")


async def test_the_same_thing_at_another_venue_has_a_basis(screen):
    also(screen, KRAKEN, quote="USD")
    screen.source.tick()
    page = await on(screen)
    await page.get_by_role("button", name="Compare").click()
    await page.get_by_role("dialog", name="Compare").get_by_role("button", name=KRAKEN).click()
    await page.keyboard.press("Escape")
    main, other = (await bars_of(screen))[-1], (await bars_of(screen, instrument=KRAKEN))[-1]
    assert main["ts_open"] == other["ts_open"]
    basis = 10_000 * (other["close"] / main["close"] - 1)
    await expect(page.get_by_test_id(f"other-{KRAKEN}")).to_contain_text(f"basis\u00a0{basis:+,.1f}\u00a0bps".replace("-", "−"))


async def test_many_words_over_the_candles_are_folded_and_that_is_remembered(screen):
    page = await on(screen)
    for title in ("VWAP", "SMA", "EMA", "BB"):
        await add(page, title)
    await page.get_by_role("button", name="Compare").click()
    for other in ("eth", "sol", "doge"):
        await page.get_by_role("searchbox", name="Instrument to compare with").fill(other)
        await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    chips, more = page.locator(".legend-chips:not(.legend-pane) .legend-chip"), page.get_by_test_id("legend-more")
    shown = chips.locator("visible=true")
    await expect(chips).to_have_count(7)
    await expect(shown).to_have_count(4)
    await expect(more).to_have_text(re.compile(r"^\+3( ◌)?$"))
    await more.click()
    await expect(shown).to_have_count(7)
    await page.reload()
    await expect(more).to_have_text("fewer")
    await expect(shown).to_have_count(7)
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(shown).to_have_count(4)


async def test_a_disconnection_is_a_stretch_with_words(screen):
    page = await on(screen)
    screen.source.report("gap", BTC, "ids 7–12 missing", "trades", 6)
    trouble = page.get_by_test_id("chart-trouble")
    await expect(trouble).to_contain_text("gap")
    await expect(trouble).to_contain_text("6 missed: ids 7–12 missing")
    screen.source.report("disconnected", BTC, "no frame for 30 s")
    await expect(trouble).to_contain_text("disconnected")
    screen.source.report("connected", BTC, "")


async def test_the_credit_of_the_chart_library_is_seen_at_every_width(screen):
    for width in (1440, 1024, 390):
        await screen.page.set_viewport_size({"width": width, "height": 844})
        if width < 900:
            await screen.page.get_by_role("tab", name="Chart").last.click()
        credit = screen.page.get_by_role("link", name="TradingView")
        await expect(credit).to_be_visible()
        await painted(screen.page)
        box = await credit.bounding_box()
        assert 0 <= box["x"] < width - box["width"] + 1

"""Panels moved, resized, closed and kept, by the mouse and by the keyboard, in a real browser."""

import re
from collections.abc import Mapping

import pytest
from playwright.async_api import Locator, Page, expect

from tests.page.test_page import BTC, js
from tests.waiting import becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
Box = Mapping[str, float]


async def box(locator: Locator) -> Box:
    """All four of one moment."""
    found: Box = await locator.evaluate(
        "el => { const {x, y, width, height} = el.getBoundingClientRect(); return {x, y, width, height} }"
    )
    return found


async def number(locator: Locator, name: str) -> int:
    return int(str(await locator.get_attribute(name)))


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name, exact=True)


async def drag(page: Page, what: Locator, x: float, y: float, *, drop: bool = True) -> None:
    start = await box(what)
    await page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(x - 20, y - 20, steps=3)
    await page.mouse.move(x, y, steps=3)
    if drop:
        await page.mouse.up()


async def test_a_tab_is_dragged_beside_a_panel_and_stands_there_after_a_reload(screen):
    page = screen.page
    chart = await box(page.locator("#panel-chart"))
    await drag(page, tab(page, "Trades"), chart["x"] + chart["width"] - 30, chart["y"] + chart["height"] / 2, drop=False)
    await expect(page.get_by_test_id("drop-zone")).to_have_text("Right of Chart")
    zone = await box(page.get_by_test_id("drop-zone"))
    await page.mouse.up()
    await expect(page.get_by_test_id("drop-zone")).to_be_hidden()

    async def beside() -> bool:
        trades, chart = await box(page.locator("#panel-tape")), await box(page.locator("#panel-chart"))
        right = chart["x"] + chart["width"]
        return right < trades["x"] < right + 12 and trades["y"] == chart["y"]

    await until(beside)
    trades = await box(page.locator("#panel-tape"))
    assert abs(trades["x"] + trades["width"] - zone["x"] - zone["width"]) > 30  # the room that Trades had went to the others
    await page.reload()
    await expect(tab(page, "Trades")).to_be_visible()
    await becomes(lambda: box(page.locator("#panel-tape")), trades)


async def test_a_tab_is_dragged_into_another_group_and_escape_leaves_it(screen):
    page = screen.page
    before = await box(page.locator("#panel-tape"))
    book = await box(tab(page, "Book"))
    await drag(page, tab(page, "Trades"), book["x"] + 4, book["y"] + 10, drop=False)
    await expect(page.get_by_test_id("drop-zone")).to_have_text("Tab beside Book")
    await page.keyboard.press("Escape")
    await page.mouse.up()
    await expect(page.get_by_test_id("drop-zone")).to_be_hidden()
    await becomes(lambda: box(page.locator("#panel-tape")), before)
    await drag(page, tab(page, "Trades"), book["x"] + 4, book["y"] + 10)
    await expect(page.get_by_role("tablist", name="Trades, Book").get_by_role("tab")).to_have_text(["Trades", "Book"])
    await expect(page.locator("#panel-ladder")).to_be_hidden()
    await tab(page, "Book").click()
    await expect(page.locator("#panel-tape")).to_be_hidden()
    await expect(page.get_by_test_id("bids").locator(".price").first).to_have_attribute("data-value", re.compile(r"\d"))


async def test_borders_move_by_mouse_and_by_arrow_keys_and_stop_in_time(screen):
    page = screen.page
    border = page.get_by_role("separator", name="Border between Chart and Book")
    before = await box(page.locator("#panel-ladder"))
    at = await box(border)
    await drag(page, border, at["x"] + 3 - 60, at["y"] + 200)
    ladder = page.locator("#panel-ladder")
    await becomes(lambda: box(ladder), {**before, "width": before["width"] + 60, "x": before["x"] - 60})
    await border.focus()
    value = await number(border, "aria-valuenow")
    await page.keyboard.press("ArrowRight")
    await becomes(lambda: box(ladder), {**before, "width": before["width"] + 44, "x": before["x"] - 44})

    async def more() -> bool:
        return await number(border, "aria-valuenow") > value

    await until(more)
    await page.keyboard.press("End")
    await expect(border).to_have_attribute("aria-valuenow", str(await border.get_attribute("aria-valuemax")))
    width = await box(ladder)
    assert width["width"] >= 140
    await page.reload()
    await expect(page.get_by_test_id("symbol")).to_be_visible()
    await becomes(lambda: box(ladder), width)


async def test_panels_move_close_come_back_and_fill_the_screen_by_keyboard(screen):
    page = screen.page
    await tab(page, "Metrics").focus()
    await page.keyboard.press("ArrowRight")
    await expect(tab(page, "Alerts")).to_be_focused()
    await expect(page.locator("#panel-alerts")).to_be_visible()
    await page.keyboard.press("Alt+ArrowRight")  # out of its group

    async def at_the_right() -> bool:
        alerts, metrics = (
            await box(page.locator("#panel-alerts")),
            await box(tab(page, "Metrics")),
        )  # another one covers its panel
        return alerts["x"] > metrics["x"] + metrics["width"]

    await until(at_the_right)
    await expect(tab(page, "Alerts")).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(tab(page, "Alerts")).to_be_hidden()
    await expect(page.get_by_test_id("workspace-said")).to_have_text("Alerts closed")
    await page.get_by_role("button", name="Layout").press("Enter")
    await page.get_by_role("menuitemcheckbox", name="Trading").press("Enter")
    await expect(tab(page, "Alerts")).to_be_visible()
    await tab(page, "Chart").dblclick()
    await expect(tab(page, "Book")).to_be_hidden()

    async def wide() -> bool:
        return (await box(page.locator("#panel-chart")))["width"] > 1400

    await until(wide)
    await page.get_by_role("button", name="Restore").click()
    await expect(tab(page, "Book")).to_be_visible()


async def test_what_is_covered_is_not_painted(screen):
    page = screen.page
    value = page.get_by_test_id("metric-vwap_5m")
    await expect(value).to_have_attribute("data-value", re.compile(r"\d"))
    await tab(page, "Alerts").click()
    old = await value.get_attribute("data-value")
    for _ in range(30):
        screen.source.tick()
    (trade,) = (await screen.get("trades", instrument=BTC, limit=1))["trades"]
    await expect(page.get_by_test_id("last")).to_have_attribute("data-value", js(trade["price"]))  # what is seen is painted
    (row,) = (await screen.get("metrics", instrument=BTC, kind="sample"))["metrics"]
    assert row["values"]["vwap_5m"] != float(str(old))
    assert await value.get_attribute("data-value") == old
    await tab(page, "Metrics").click()
    await expect(value).to_have_attribute("data-value", js(row["values"]["vwap_5m"]))

"""Panels moved, resized, closed and kept, by the mouse and by the keyboard, in a real browser."""

import re
from collections.abc import Mapping

import pytest
from playwright.async_api import Locator, Page, expect

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser, pytest.mark.timeout(90)]
Box = Mapping[str, float]


async def box(locator: Locator) -> Box:
    found = await locator.bounding_box()
    assert found is not None
    return found


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
    trades, chart = await box(page.locator("#panel-tape")), await box(page.locator("#panel-chart"))
    assert chart["x"] + chart["width"] < trades["x"] < chart["x"] + chart["width"] + 12
    assert trades["y"] == chart["y"]
    assert abs(trades["x"] + trades["width"] - zone["x"] - zone["width"]) > 30  # the room that Trades had went to the others
    await page.reload()
    await expect(tab(page, "Trades")).to_be_visible()
    assert await box(page.locator("#panel-tape")) == trades


async def test_a_tab_is_dragged_into_another_group_and_escape_leaves_it(screen):
    page = screen.page
    before = await box(page.locator("#panel-tape"))
    book = await box(tab(page, "Book"))
    await drag(page, tab(page, "Trades"), book["x"] + 4, book["y"] + 10, drop=False)
    await expect(page.get_by_test_id("drop-zone")).to_have_text("Tab beside Book")
    await page.keyboard.press("Escape")
    await page.mouse.up()
    await expect(page.get_by_test_id("drop-zone")).to_be_hidden()
    assert await box(page.locator("#panel-tape")) == before
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
    after = await box(page.locator("#panel-ladder"))
    assert after["width"] == before["width"] + 60
    assert after["x"] == before["x"] - 60
    await border.focus()
    value = int(str(await border.get_attribute("aria-valuenow")))
    await page.keyboard.press("ArrowRight")
    assert (await box(page.locator("#panel-ladder")))["width"] == after["width"] - 16
    assert int(str(await border.get_attribute("aria-valuenow"))) > value
    await page.keyboard.press("End")
    assert (await box(page.locator("#panel-ladder")))["width"] >= 140
    assert await border.get_attribute("aria-valuenow") == await border.get_attribute("aria-valuemax")
    width = await box(page.locator("#panel-ladder"))
    await page.reload()
    await expect(page.get_by_test_id("symbol")).to_be_visible()
    assert await box(page.locator("#panel-ladder")) == width


async def test_panels_move_close_come_back_and_fill_the_screen_by_keyboard(screen):
    page = screen.page
    await tab(page, "Metrics").focus()
    await page.keyboard.press("ArrowRight")
    await expect(tab(page, "Alerts")).to_be_focused()
    await expect(page.locator("#panel-alerts")).to_be_visible()
    await page.keyboard.press("Alt+ArrowRight")  # out of its group
    alerts, metrics = (
        await box(page.locator("#panel-alerts")),
        await box(tab(page, "Metrics")),
    )  # whose panel another one covers
    assert alerts["x"] > metrics["x"] + metrics["width"]
    await expect(tab(page, "Alerts")).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(tab(page, "Alerts")).to_be_hidden()
    await expect(page.get_by_test_id("workspace-said")).to_have_text("Alerts closed")
    await page.get_by_role("button", name="Layout").press("Enter")
    await page.get_by_role("menuitemcheckbox", name="Trading").press("Enter")
    await expect(tab(page, "Alerts")).to_be_visible()
    await tab(page, "Chart").dblclick()
    assert (await box(page.locator("#panel-chart")))["width"] > 1400
    await expect(tab(page, "Book")).to_be_hidden()
    await page.get_by_role("button", name="Restore").click()
    await expect(tab(page, "Book")).to_be_visible()


async def test_what_is_covered_is_not_painted(screen):
    page = screen.page
    await tab(page, "Alerts").click()
    value = page.get_by_test_id("metric-vwap_5m")
    old = await value.get_attribute("data-value")
    for _ in range(30):
        screen.source.tick()
    await expect(page.get_by_test_id("tape").locator("> *").first).to_be_visible()
    (row,) = (await screen.get("metrics", instrument="sim:BTC-USDT", kind="sample"))["metrics"]
    assert row["values"]["vwap_5m"] != float(str(old))
    assert await value.get_attribute("data-value") == old
    await tab(page, "Metrics").click()
    await expect(value).to_have_attribute("data-value", repr(row["values"]["vwap_5m"]))

"""The health of everything: states in words, events of what was pressed, and figures that are the API's."""

import re

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def opened(screen):
    """The panel, in front of its dock."""
    await screen.page.get_by_role("tab", name="Health").click()
    panel = screen.page.get_by_test_id("vitals")
    await expect(panel).to_be_visible()
    return panel


async def test_a_card_of_the_venue_with_connection_and_instruments(screen):
    panel = await opened(screen)
    card = panel.get_by_test_id("vital-venue-sim")
    await expect(card).to_contain_text("1 of 1 connections up · 4 of 4 instruments as they should be")
    await expect(card.get_by_test_id("vital-connection")).to_contain_text("binance wire")
    row = card.get_by_test_id("vital-sim:BTC-USDT")
    await expect(row).to_contain_text("● live")
    await expect(row).to_contain_text("proved")
    machine = panel.get_by_test_id("vital-machine")
    await expect(machine).to_contain_text("120 GB free of 500 GB (24%)")
    await expect(machine.get_by_test_id("vital-sink-lake")).to_contain_text("4.2 s")
    await expect(screen.page.get_by_test_id("health-disk")).to_have_attribute("data-value", "120000000000")
    viewers = (await screen.get("status"))["viewers"]
    await expect(screen.page.get_by_test_id("health-viewers")).to_have_attribute("data-value", str(viewers))


async def test_trouble_is_said_in_words(screen):
    panel = await opened(screen)
    screen.source.all["sim:ETH-USDT"].state = "stale"
    screen.source.free = 2_000_000_000
    screen.source.tick()
    card = panel.get_by_test_id("vital-venue-sim")
    row = card.get_by_test_id("vital-sim:ETH-USDT")
    await expect(row).to_contain_text("○ stale")
    await expect(row).to_have_attribute("title", re.compile("longer than it should"))
    await expect(card).to_contain_text("3 of 4 instruments as they should be")
    await expect(panel.get_by_test_id("vital-disk")).to_contain_text("LOW: 2.0 GB free")
    screen.source.connection = "down"
    await expect(card.get_by_test_id("vital-connection")).to_contain_text("○ down")


async def test_a_sink_is_judged_by_what_is_due_of_it(screen):
    panel = await opened(screen)
    lake, figure = panel.get_by_test_id("vital-sink-lake"), screen.page.locator("[data-figure=lag]")
    await expect(lake).to_contain_text("every 30 s")
    for lag, tone, told in ((25.0, "good", ""), (31.0, "warn", "warn")):
        screen.source.lake_lag = lag
        screen.source.tick()
        await expect(lake).to_contain_text(f"{lag:.0f} s")
        await expect(lake).to_have_attribute("data-tone", tone)
        await expect(figure).to_have_attribute("data-tone", told)


async def test_events_of_what_was_pressed(screen):
    panel = await opened(screen)
    screen.source.report("gap", "sim:BTC-USDT", "btc lost some")
    screen.source.report("resyncing", "sim:ETH-USDT", "eth begins anew")
    events = panel.get_by_test_id("vital-events")
    await expect(events.get_by_role("listitem")).to_have_count(2)
    await panel.get_by_role("button", name="BTC-USDT").click()
    await expect(events.get_by_role("listitem")).to_have_count(1)
    await expect(events).to_contain_text("btc lost some")
    await panel.get_by_test_id("vital-filter").select_option("sim:SOL-USDT")
    await expect(events.get_by_role("listitem")).to_have_count(0)
    await panel.get_by_role("button", name="sim", exact=True).click()
    await expect(events.get_by_role("listitem")).to_have_count(2)


async def test_rows_stay_where_the_focus_is(screen):
    panel = await opened(screen)
    button = panel.get_by_role("button", name="SOL-USDT")
    await button.focus()
    screen.source.tick()
    await screen.page.wait_for_timeout(1200)  # a status has come since
    await expect(button).to_be_focused()


async def test_narrow_is_a_list_without_sideways_scrolling(screen):
    await screen.page.set_viewport_size({"width": 390, "height": 844})
    await screen.page.get_by_test_id("more").click()
    await screen.page.get_by_role("menuitemcheckbox", name="Health").click()
    panel = screen.page.get_by_test_id("vitals")
    await expect(panel).to_be_visible()
    assert await panel.evaluate("el => el.scrollWidth <= el.clientWidth")

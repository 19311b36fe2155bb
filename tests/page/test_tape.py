"""The tape as a person reads it: it holds still under the pointer, merges, filters, marks, counts, and goes back without end."""

import re
import time

import pytest
from playwright.async_api import expect

from tapeline.events import Flag, Trade
from tests.page.test_page import BTC, first, js, shown, values
from tests.waiting import becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]


def prints(screen, *trades, at=None):
    """Trades of BTC: (price, size, side), a microsecond apart where they have no common time."""
    now = time.time_ns()
    made = []
    for n, (price, size, side) in enumerate(trades):
        ts = at if at is not None else now + n * 1000
        screen.count = getattr(screen, "count", 900_000) + 1
        made.append(Trade(BTC, ts, now + n * 1000, Flag.SIMULATED, price, size, side, str(screen.count)))
    screen.source.publish(made)
    return made


async def shows_the_newest(screen):
    trades = (await screen.get("trades", instrument=BTC, limit=20))["trades"]
    await becomes(lambda: first(screen.page.get_by_test_id("tape"), 20), [t["price"] for t in reversed(trades)])


async def test_it_holds_still_under_the_pointer_and_counts_what_came(screen):
    page = screen.page
    tape = page.get_by_test_id("tape")
    await shows_the_newest(screen)
    before = await values(tape, ".price")
    await page.get_by_label("Trades, newest first").hover()
    await expect(page.locator("#panel-tape")).to_have_attribute("data-held", "true")
    for _ in range(37):
        screen.source.tick()
    await expect(page.get_by_test_id("tape-new")).to_have_text("▲ 37 new")
    assert await values(tape, ".price") == before
    await page.mouse.move(5, 5)
    await expect(page.get_by_test_id("tape-new")).to_be_hidden()
    await shows_the_newest(screen)


async def test_space_holds_it_and_the_button_lets_it_go(screen):
    page = screen.page
    await page.get_by_label("Trades, newest first").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Hold still")).to_have_attribute("aria-pressed", "true")
    screen.source.tick()
    await page.get_by_test_id("tape-new").click()
    await expect(page.get_by_role("button", name="Hold still")).to_have_attribute("aria-pressed", "false")
    (last,) = (await screen.get("trades", instrument=BTC, limit=1))["trades"]
    await expect(page.get_by_test_id("tape").locator(".price").first).to_have_attribute("data-value", js(last["price"]))


async def test_one_order_is_one_print_and_merging_can_be_chosen(screen):
    page = screen.page
    at = time.time_ns()
    prints(screen, (70_000.0, 1.0, "buy"), (70_000.5, 2.0, "buy"), (70_001.0, 0.5, "buy"), at=at)
    newest = page.get_by_test_id("tape").locator(".trade").first
    await expect(newest.locator(".price")).to_have_attribute("data-value", "70001")
    await expect(newest).to_contain_text("×3")
    await expect(newest.locator(".num").last).to_have_attribute("data-value", "3.5")
    await expect(newest).to_have_attribute("title", re.compile("70,000.00 to 70,001.00"))
    await page.get_by_role("button", name="More of the tape").click()
    await page.get_by_label("Merge trades").select_option("none")
    await becomes(lambda: first(page.get_by_test_id("tape"), 3), [70001.0, 70000.5, 70000.0])
    await page.get_by_label("Merge trades").select_option("instant")
    await expect(newest.locator(".num").last).to_have_attribute("data-value", "3.5")


async def test_small_prints_are_left_out_by_notional_or_by_size(screen):
    page = screen.page
    prints(screen, (70_000.0, 0.01, "buy"), (70_000.0, 1.0, "sell"), (70_000.0, 5.0, "buy"))
    least = page.get_by_label("Least size")
    tape = page.get_by_test_id("tape")
    await least.fill("100k")
    await least.press("Enter")
    trades = (await screen.get("trades", instrument=BTC, limit=500))["trades"]
    wanted = [t["size"] for t in reversed(trades) if t["size"] * t["price"] >= 100_000]
    await becomes(lambda: values(tape, ".num:last-child"), wanted)
    await least.fill("5 btc")
    await least.press("Enter")
    await expect(tape.locator(".trade")).to_have_count(len([t for t in trades if t["size"] >= 5]))
    await least.fill("5 ETH")
    await expect(least).to_have_attribute("aria-invalid", "true")
    await page.reload()
    await expect(page.get_by_label("Least size")).to_have_value("5 btc")  # remembered


async def test_large_prints_are_marked_and_so_are_late_ones(screen):
    page = screen.page
    now = time.time_ns()
    late = Trade(BTC, now, now, Flag.SIMULATED | Flag.LATE, 70_000.0, 0.001, "sell", "1")
    screen.source.publish([late])
    newest = page.get_by_test_id("tape").locator(".trade").first
    await expect(newest).to_have_attribute("data-flags", "LATE")
    await expect(newest).to_have_attribute("title", re.compile("came late"))
    await expect(newest).to_have_attribute("data-large", "false")
    prints(screen, (70_000.0, 500.0, "buy"))
    await expect(newest).to_have_attribute("data-large", "true")
    await page.get_by_role("button", name="More of the tape").click()
    await page.get_by_label("What is large").fill("1000 BTC")
    await page.get_by_label("What is large").press("Enter")
    await expect(newest).to_have_attribute("data-large", "false")


async def test_the_last_minute_by_side_is_the_sum_of_its_trades(screen):
    screen.source.tick()
    trades = (await screen.get("trades", instrument=BTC, limit=5000))["trades"]

    def since(instant: float, side: str) -> float:
        return sum(t["size"] for t in trades if t["side"] == side and t["ts_event"] > instant)

    async def holds(side: str) -> bool:
        """Of the minute before the moment at which it is read: sums are made once a second, by a clock that follows the server's."""
        before = time.time_ns() / 1000
        value = await shown(screen, f"tape-{side}")
        after = time.time_ns() / 1000
        return value is not None and since(after - 58e6, side) - 1e-9 <= value <= since(before - 62e6, side) + 1e-9

    for side in ("buy", "sell"):
        await until(lambda side=side: holds(side))


async def test_a_hole_is_a_row_and_older_trades_are_scrolled_back(screen):
    page = screen.page
    screen.source.report("gap", BTC, "ids 10 to 12", count=3)
    await expect(page.get_by_test_id("missed").first).to_contain_text("3 missed: ids 10 to 12")
    for _ in range(700):
        screen.source.tick()
    await page.reload()
    trades = (await screen.get("trades", instrument=BTC, limit=5000))["trades"]
    assert len(trades) > 800
    scroller = page.get_by_label("Trades, newest first")
    await expect(page.get_by_test_id("tape").locator(".trade").nth(5)).to_be_visible()
    last = page.get_by_test_id("tape").locator(".trade").last

    async def at_the_oldest() -> bool:
        await scroller.evaluate("e => e.scrollTop = e.scrollHeight")
        return await last.get_attribute("title") == f"id {trades[0]['id']}"

    await until(at_the_oldest)
    await expect(last.locator(".price")).to_have_attribute("data-value", js(trades[0]["price"]))
    assert await page.get_by_test_id("tape").locator(".trade").count() < 100  # only what can be seen
    await scroller.evaluate("e => e.scrollTop = 0")
    await expect(page.locator("#panel-tape")).to_have_attribute("data-held", "false")


async def test_a_burst_does_not_grow_the_page(screen):
    """3,000 trades: rows are there only while they can be seen, and each is written again rather than made anew."""
    page = screen.page
    tape = page.get_by_test_id("tape")
    prints(screen, (69_999.0, 0.5, "buy"))
    await expect(tape.locator(".price").first).to_have_attribute("data-value", "69999")
    rows = await tape.locator(".trade").count()
    await page.evaluate("""() => { window.made = new Set(document.querySelectorAll('.trade'));
        new MutationObserver(list => list.forEach(m => m.addedNodes.forEach(n => window.made.add(n))))
            .observe(document.querySelector('.tape-rows'), { childList: true }) }""")
    for n in range(60):
        prints(screen, *[(70_000.0 + n, 0.5, "buy" if k % 3 else "sell") for k in range(50)])
        await page.wait_for_timeout(50)
    await expect(tape.locator(".price").first).to_have_attribute("data-value", "70059")
    assert await tape.locator(".trade").count() <= rows + 12
    assert await page.evaluate("window.made.size") < 4 * rows  # of elements that ever stood there, for 3,000 prints

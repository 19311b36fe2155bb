"""The tape as a person reads it: it holds still under the pointer, merges, filters, marks, counts, and goes back without end."""

import time

import pytest
from playwright.async_api import expect

from tapeline.events import Flag, Trade
from tests.page.test_page import BTC, js, values

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser, pytest.mark.timeout(90)]


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


async def test_it_holds_still_under_the_pointer_and_counts_what_came(screen):
    page = screen.page
    tape = page.get_by_test_id("tape")
    before = await values(tape, ".price")
    await page.get_by_label("Trades, newest first").hover()
    await expect(page.locator("#panel-tape")).to_have_attribute("data-held", "true")
    for _ in range(37):
        screen.source.tick()
        await page.wait_for_timeout(10)  # their times are up to 7 ms apart from the order in which they come
    await expect(page.get_by_test_id("tape-new")).to_have_text("▲ 37 new")
    assert await values(tape, ".price") == before
    await page.mouse.move(5, 5)
    await expect(page.get_by_test_id("tape-new")).to_be_hidden()
    shown = await values(tape, ".price")
    trades = (await screen.get("trades", instrument=BTC, limit=20))["trades"]
    assert shown[:20] == [t["price"] for t in reversed(trades)]


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
    first = page.get_by_test_id("tape").locator(".trade").first
    await expect(first.locator(".price")).to_have_attribute("data-value", "70001")
    await expect(first).to_contain_text("×3")
    await expect(first.locator(".num").last).to_have_attribute("data-value", "3.5")
    assert "70,000.00 to 70,001.00" in await first.get_attribute("title")
    await page.get_by_role("button", name="More of the tape").click()
    await page.get_by_label("Merge trades").select_option("none")
    assert (await values(page.get_by_test_id("tape"), ".price"))[:3] == [70001.0, 70000.5, 70000.0]
    await page.get_by_label("Merge trades").select_option("instant")
    await expect(first.locator(".num").last).to_have_attribute("data-value", "3.5")


async def test_small_prints_are_left_out_by_notional_or_by_size(screen):
    page = screen.page
    prints(screen, (70_000.0, 0.01, "buy"), (70_000.0, 1.0, "sell"), (70_000.0, 5.0, "buy"))
    least = page.get_by_label("Least size")
    tape = page.get_by_test_id("tape")
    await least.fill("100k")
    await least.press("Enter")
    assert await values(tape, ".num:last-child") == [
        t["size"]
        for t in reversed((await screen.get("trades", instrument=BTC, limit=500))["trades"])
        if t["size"] * t["price"] >= 100_000
    ]
    await least.fill("5 btc")
    await least.press("Enter")
    wanted = [t for t in (await screen.get("trades", instrument=BTC, limit=500))["trades"] if t["size"] >= 5]
    await expect(tape.locator(".trade")).to_have_count(len(wanted))
    await least.fill("5 ETH")
    await expect(least).to_have_attribute("aria-invalid", "true")
    await page.reload()
    await expect(page.get_by_label("Least size")).to_have_value("5 btc")  # remembered


async def test_large_prints_are_marked_and_so_are_late_ones(screen):
    page = screen.page
    now = time.time_ns()
    late = Trade(BTC, now, now, Flag.SIMULATED | Flag.LATE, 70_000.0, 0.001, "sell", "1")
    screen.source.publish([late])
    first = page.get_by_test_id("tape").locator(".trade").first
    await expect(first).to_have_attribute("data-flags", "LATE")
    assert "came late" in await first.get_attribute("title")
    await expect(first).to_have_attribute("data-large", "false")
    prints(screen, (70_000.0, 500.0, "buy"))
    await expect(first).to_have_attribute("data-large", "true")
    await page.get_by_role("button", name="More of the tape").click()
    await page.get_by_label("What is large").fill("1000 BTC")
    await page.get_by_label("What is large").press("Enter")
    await expect(first).to_have_attribute("data-large", "false")


async def test_the_last_minute_by_side_is_the_sum_of_its_trades(screen):
    page = screen.page
    screen.source.tick()
    await page.wait_for_timeout(600)  # the clock's next word: sums are made with it
    shown = {side: float(await screen.raw(f"tape-{side}")) for side in ("buy", "sell")}
    trades = (await screen.get("trades", instrument=BTC, limit=5000))["trades"]
    now = int((await screen.get("status"))["now"])
    for side, value in shown.items():
        sums = [sum(t["size"] for t in trades if t["side"] == side and t["ts_event"] > now - ago) for ago in (58e6, 62e6)]
        assert sums[0] - 1e-9 <= value <= sums[1] + 1e-9


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
    for _ in range(60):
        await scroller.evaluate("e => e.scrollTop = e.scrollHeight")
        if await scroller.evaluate("e => e.scrollHeight") >= 19 * len(trades):
            break
        await page.wait_for_timeout(50)
    await scroller.evaluate("e => e.scrollTop = e.scrollHeight")
    last = page.get_by_test_id("tape").locator(".trade").last
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

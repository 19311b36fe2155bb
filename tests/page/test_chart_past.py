"""The chart scrolled back without end, bounded in memory; its lines of rules; and that it stays quick and small.

The past is made up here, second by second, far beyond what a server keeps in memory: the page's own requests are answered with it.
"""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.page.conftest import Stage, painted
from tests.page.test_alerts import opened
from tests.page.test_chart import on
from tests.page.test_page import BTC, ETH, js
from tests.waiting import PATIENCE, becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
SECOND = 1_000_000
DEEP = 12_000  # seconds of made-up past


class Past:
    """Answers for bars that older ones are asked of, of BTC and of what it is compared with; `asked` is how often for BTC."""

    def __init__(self, newest: int) -> None:
        self.begin, self.end = newest - DEEP * SECOND, newest
        self.asked = 0
        self.compared: list[tuple[int, int | None]] = []  # the stretches that were asked for of the other one

    def bar(self, at: int, instrument: str = BTC) -> dict[str, object]:
        price = 60_000 + (at // SECOND) % 1000 if instrument == BTC else 3000 + (at // SECOND) % 777
        return {
            "instrument": instrument, "interval": "1s", "ts_event": at + SECOND, "ts_recv": at + SECOND, "flags": ["SIMULATED"], "ts_open": at, "nano": 0,
            "open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": 2.0, "buy_volume": 1.0, "notional": 2 * price,
            "vwap": price, "trades": 2, "complete": True, "revision": 0, "origin": "trades", "closed": True,
        }  # fmt: skip

    async def answer_compared(self, route: Route, asked: dict[str, str]) -> None:
        """A stretch of what is compared may reach from the made-up past into the server's own: the two are put together."""
        first, to = int(asked.get("from", 0)), int(asked["to"]) if "to" in asked else None
        if asked["origin"] == "venue" or asked["interval"] != "1s" or first >= self.end:
            await route.continue_()
            return
        self.compared.append((first, to))
        made = [
            self.bar(at, ETH)
            for at in range(max(self.begin, -(-first // SECOND) * SECOND), min(to or self.end, self.end), SECOND)
        ]
        answer = await (await route.fetch()).json()
        bars = [*made, *(bar for bar in answer["bars"] if bar["ts_open"] >= self.end)]
        limit = int(asked["limit"])
        more = len(bars) > limit
        await route.fulfill(content_type="application/json", body=json.dumps({**answer, "bars": bars[-limit:], "more": more}))

    async def answer(self, route: Route) -> None:
        asked = {k: v[0] for k, v in parse_qs(urlsplit(route.request.url).query).items()}
        if asked["instrument"] == ETH and "from" in asked:
            await self.answer_compared(route, asked)
            return
        to = int(asked.get("to", self.end + 1))
        if asked["interval"] != "1s" or asked["instrument"] != BTC or (to > self.end and "from" not in asked):
            await route.continue_()
            return
        self.asked += 1
        first = max(self.begin, -(-int(asked.get("from", 0)) // SECOND) * SECOND)
        times = range(first, min(to, self.end), SECOND) if asked.get("origin") != "venue" else range(0)
        kept = times[-int(asked["limit"]) :]
        body = {"mode": "simulated", "bars": [self.bar(at) for at in kept], "more": len(times) > len(kept)}
        await route.fulfill(content_type="application/json", body=json.dumps(body))


async def with_past(screen: Stage) -> Past:
    """The chart has bars of a second, before which there is the made-up past."""
    (oldest, *_) = (await screen.get("bars", instrument=BTC, interval="1s", limit=1000))["bars"]
    past = Past(oldest["ts_open"])
    await screen.page.route("**/api/v1/bars?*", past.answer)
    await screen.page.get_by_role("button", name="1s", exact=True).click()
    return past


async def to_the_oldest(page: Page) -> None:
    words = page.get_by_test_id("chart-words")

    async def there() -> bool:
        await page.get_by_role("button", name="Fit").click()
        await painted(page)
        await expect(words).not_to_contain_text("loading")
        return await words.inner_text() == "the oldest bar there is"

    await until(there, 3 * PATIENCE)  # a dozen pages, one after the other


async def test_history_goes_back_to_its_end_and_on_to_the_newest_again(screen):
    page = screen.page
    past = await with_past(screen)
    chart, said = page.get_by_test_id("chart"), page.get_by_test_id("chart-said")
    await to_the_oldest(page)
    await chart.focus()
    for key in ("ArrowLeft", "Home", "ArrowLeft", "ArrowLeft"):
        await chart.press(key)
    await expect(said).to_contain_text(f"close {past.bar(past.begin)['close']:,.2f}")
    assert past.asked >= DEEP // 1000

    await page.get_by_role("button", name="Table").click()
    rows = page.get_by_test_id("chart-table").get_by_role("row")
    await expect(rows).to_have_count(301)  # the newest 300 of those in view, and the head
    await page.get_by_role("button", name="Table").click()
    before = past.asked
    await chart.focus()
    for _ in range(12):
        await chart.press("+")
    await chart.press("End")  # the newest were let go: at the right edge they are asked for again
    await until(lambda: past.asked > before + 1)
    await page.get_by_role("button", name=re.compile("^Newest")).click()
    (bar,) = (await screen.get("bars", instrument=BTC, interval="1s", limit=1))["bars"]
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js(bar["close"]))
    screen.source.tick()  # and it goes on from there
    (bar,) = (await screen.get("bars", instrument=BTC, interval="1s", limit=1))["bars"]
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js(bar["close"]))


async def test_what_is_compared_goes_back_as_far_as_the_chart(screen):
    page = screen.page
    past = await with_past(screen)
    await page.get_by_role("button", name="Compare").click()
    await page.get_by_role("searchbox", name="Instrument to compare with").fill("eth")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    chip = page.get_by_test_id(f"other-{ETH}")
    await expect(chip).to_have_attribute("data-value", re.compile(r"\d"))
    await to_the_oldest(page)
    chart = page.get_by_test_id("chart")
    await chart.focus()
    for key in ("ArrowLeft", "Home", *["ArrowRight"] * 12):
        await chart.press(key)
    begin, there = past.bar(past.begin, ETH)["close"], past.bar(past.begin + 12 * SECOND, ETH)["close"]
    await expect(chip).to_have_attribute("data-value", js(there))
    await expect(chip).to_contain_text(f"{100 * (there / begin - 1):+.2f}%".replace("-", "−"))
    asked = len(past.compared)
    assert min(first for first, _ in past.compared) <= past.begin  # each stretch once, besides the pages of one
    assert len(set(past.compared)) == asked

    await page.get_by_role("button", name=re.compile("^Newest")).click()  # and forward again, into what the server has
    (bar,) = (await screen.get("bars", instrument=ETH, interval="1s", limit=1))["bars"]
    await expect(chip).to_have_attribute("data-value", js(bar["close"]))
    screen.source.tick()
    (bar,) = (await screen.get("bars", instrument=ETH, interval="1s", limit=1))["bars"]
    await expect(chip).to_have_attribute("data-value", js(bar["close"]))


async def test_rules_are_lines_alerts_marks_and_a_price_begins_a_rule(browser, tmp_path):
    errors: list[str] = []
    async with opened(browser, str(tmp_path), errors) as page:
        text, chart = page.get_by_test_id("rule-text"), page.get_by_test_id("chart")
        await expect(page.get_by_test_id("mid")).to_have_attribute("data-value", re.compile(r"\d"))
        await chart.click(button="right", position={"x": 150, "y": 100})
        await (
            page.get_by_role("dialog", name="Chart", exact=True)
            .get_by_role("button", name=re.compile("^Alert when it crosses"))
            .click()
        )
        await expect(text).to_have_value(re.compile(rf"^{BTC} mid crosses (above|below) [\d.]+$"))
        await text.fill("binance:BTC-USDT mid > 1")
        await expect(page.get_by_test_id("rule-says")).to_contain_text("It can be added")
        await text.press("Enter")
        await expect(page.get_by_test_id("rule-says")).to_contain_text("Added as")
        answer = await (await page.request.get(f"{page.url.split('?')[0].rstrip('/')}/api/v1/alerts/rules")).json()
        added = next(rule for rule in answer["rules"] if rule["origin"] == "added")
        assert added["lines"] == [{"instrument": BTC, "field": "mid", "value": 1.0}]
        await expect(page.get_by_test_id("chart-lines")).to_contain_text(f"{added['name']} mid 1.00")
        await page.get_by_role("button", name="1d", exact=True).click()  # told of the newest bar: a minute might end meanwhile
        await expect(page.get_by_test_id("chart-alerts")).to_contain_text(f"▲ {added['name']}")
        assert errors == []


async def test_a_burst_asks_for_nothing_and_instruments_leave_nothing_behind(screen):
    page = await on(screen)
    await page.get_by_role("button", name="Indicators").click()
    for title in ("SMA", "BB", "VWAP", "Delta", "MACD"):
        await page.get_by_role("button", name=re.compile(f"^Add {title}:")).click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("study-vwap")).to_have_attribute("data-value", re.compile(r"\d"))
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "interval=1s" in r.url and "origin=venue" not in r.url else None)
    for _ in range(10):
        for _ in range(100):
            screen.source.tick()
        await page.wait_for_timeout(100)
    (bar,) = (await screen.get("bars", instrument=BTC, interval="1s", limit=1))["bars"]
    await expect(page.get_by_test_id("legend")).to_have_attribute("data-value", js(bar["close"]))
    assert asked == []  # what moves is drawn from what is pushed

    async def size() -> tuple[int, int]:
        return await page.evaluate(
            "[document.querySelectorAll('#panel-chart *').length, document.querySelectorAll('#panel-chart canvas').length]"
        )

    async def there_and_back() -> None:
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", ETH)
        await page.keyboard.press("ArrowUp")
        await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)

    bars = page.get_by_test_id("chart")
    many = str(await bars.get_attribute("data-bars"))
    await there_and_back()
    await expect(bars).to_have_attribute("data-bars", many)
    before = await size()
    for _ in range(6):
        await there_and_back()
    await expect(bars).to_have_attribute("data-bars", many)
    await becomes(size, before)

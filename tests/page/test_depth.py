"""The book on screen: ladder, depth chart, heatmap. Sums are made here once more, in decimals, from the API's own levels."""

import json
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pytest
from playwright.async_api import Page, Request, expect

from tests.page.conftest import gone_live, painted
from tests.waiting import becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
BTC = "sim:BTC-USDT"


def exact(number: float) -> Decimal:
    return Decimal(repr(number))


def grouped(levels: list[list[float]], step: str, up: bool) -> list[tuple[float, float]]:
    """Best first. An ask belongs to the step at or above it, a bid to the one at or below."""
    sums: dict[Decimal, Decimal] = {}
    for price, size in levels:
        at = (exact(price) / Decimal(step)).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * Decimal(step)
        sums[at] = sums.get(at, Decimal(0)) + exact(size)
    return [(float(at), float(size)) for at, size in sums.items()]


async def shown(page: Page, side: str) -> list[list[float]]:
    """Price, size and total of each row that has a level."""
    script = "rows => rows.map(r => [...r.querySelectorAll('[data-value]')].map(e => e.dataset.value))"
    rows = await page.get_by_test_id(side).locator(".level").evaluate_all(script)
    return [[float(v) for v in row] for row in rows if row[1]]


async def best(page: Page, side: str, many: int) -> list[tuple[float, float]]:
    """Price and size of the first rows."""
    return [(price, size) for price, size, _ in (await shown(page, side))[:many]]


async def open_panel(page: Page, name: str) -> None:
    await page.get_by_role("tab", name=name, exact=True).first.click()


def asked(page: Page) -> list[dict[str, Any]]:
    """The calls that the page sends on its next socket."""
    calls: list[dict[str, Any]] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda text: calls.append(json.loads(text))))
    return calls


async def test_the_ladder_groups_exactly(screen):
    page = screen.page
    await screen.hold()
    book = (await screen.get("book", instrument=BTC, depth=1000))["book"]
    await page.get_by_test_id("ladder-step").select_option("0.05")
    for side, levels in (("bids", book["bids"]), ("asks", book["asks"])):
        expected = grouped(levels, "0.05", side == "asks")
        await becomes(lambda side=side: best(page, side, 10), expected[:10])
        rows = await shown(page, side)
        assert [(price, size) for price, size, _ in rows] == expected[: len(rows)]
        totals = [float(sum(exact(size) for _, size in expected[: i + 1])) for i in range(len(rows))]
        assert [total for *_, total in rows] == totals
    await page.reload()  # the step is remembered
    await expect(page.get_by_test_id("ladder-step")).to_have_value("0.05")


async def test_past_what_is_known_the_ladder_says_so(screen):
    page = screen.page
    book = (await screen.get("book", instrument=BTC, depth=1000))["book"]
    await page.get_by_role("grid", name="Order book").focus()
    await expect(page.get_by_test_id("bids").locator("[data-blank=unknown]")).to_have_count(0)
    for _ in range(4):
        await page.keyboard.press("PageDown")
    unknown = page.get_by_test_id("bids").locator("[data-blank=unknown]").first
    await expect(unknown).to_contain_text(f"not known past {book['complete_to']['bid']:,.2f}")
    assert (await shown(page, "bids"))[-1][0] == book["complete_to"]["bid"]  # painted together with those words
    mid = (book["bids"][0][0] + book["asks"][0][0]) / 2
    await expect(page.get_by_test_id("ladder-mid")).to_have_text(f"{mid:,.3f}")  # the middle stays
    await page.keyboard.press("Home")
    await becomes(lambda: best(page, "bids", 1), [tuple(book["bids"][0])])


async def test_more_levels_are_asked_for_only_when_they_are_wanted(screen):
    page = screen.page
    calls = asked(page)
    await page.reload()
    await gone_live(page)

    def depths() -> set[int]:
        return {c["params"]["depth"] for c in calls if c["params"]["channel"] == "book"}

    await becomes(depths, {50})
    await page.get_by_test_id("ladder-depth").select_option("1000")
    await becomes(depths, {50, 1000})


async def test_a_price_begins_an_alert_and_the_last_trade_is_marked(screen):
    page = screen.page
    screen.allowed = "alerts/check"  # no rules are watched here: the form says so, and Chromium writes the 409 to the console
    book = (await screen.get("book", instrument=BTC, depth=50))["book"]
    (trade,) = (await screen.get("trades", instrument=BTC, limit=1))["trades"]
    marked = page.locator(f".level[data-last='{trade['side']}']")
    await expect(marked).to_have_count(1)
    await expect(marked.locator(".price")).to_have_attribute(
        "data-value", re.compile(rf"^{trade['price']:g}|^{trade['price']}")
    )
    await page.get_by_test_id("asks").locator(".price").nth(2).click()
    rule = page.get_by_test_id("rule-text")
    await expect(rule).to_have_value(re.compile(rf"^{BTC} mid crosses above {book['asks'][2][0]:.2f}".replace(".", r"\.")[:-2]))
    await page.get_by_role("grid", name="Order book").focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("bids").locator(".level").nth(1)).to_have_attribute("data-cursor", "true")
    await page.keyboard.press("Enter")
    await expect(rule).to_have_value(re.compile(rf"^{BTC} mid crosses below "))
    assert float((await rule.input_value()).split()[-1]) == book["bids"][1][0]
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)  # the arrows did not choose another


async def raw(screen: Any, testid: str) -> float | None:
    text = await screen.raw(testid)
    return float(text) if text else None


async def test_the_depth_chart_tells_what_the_book_holds(screen):
    page = screen.page
    book = (await screen.get("book", instrument=BTC, depth=1000))["book"]
    mid = (book["bids"][0][0] + book["asks"][0][0]) / 2
    await open_panel(page, "Depth")
    await page.get_by_test_id("depth-range").fill("0")
    await expect(page.get_by_test_id("depth-range-text")).to_have_text("1 bps")
    chart = page.get_by_test_id("depth-chart")
    await chart.focus()
    for _ in range(2):
        await page.keyboard.press("ArrowRight")  # a fortieth of the range each: 0.05 bps above the mid
    near = [size for price, size in book["asks"] if (price / mid - 1) * 10_000 <= 0.05]
    await expect(page.get_by_test_id("depth-hover")).to_contain_text("+0.05 bps")
    await becomes(lambda: raw(screen, "depth-hover"), float(sum(map(exact, near))))
    await page.locator("#panel-depth").get_by_role("button", name="Table").click()
    table = page.get_by_test_id("depth-table")
    await expect(table.get_by_role("row")).to_have_count(8)
    await expect(page.get_by_test_id("depth-100-0")).to_have_text("–")  # not known that far: not 0
    await page.locator("#panel-depth").get_by_role("button", name="Table").click()
    await page.get_by_test_id("depth-range").fill("9")
    await chart.hover(position={"x": 12, "y": 60})
    await expect(page.get_by_test_id("depth-hover")).to_contain_text("not known that far")
    screen.source.all[BTC].book_state = "invalid"
    screen.source.report("gap", BTC, "ids 81234–81239 missing", "book", 6)
    await expect(page.get_by_test_id("depth-reason")).to_contain_text("ids 81234–81239 missing")


async def heat(screen: Any, every: str = "250ms", step: str = "0.1") -> Page:
    """The heatmap with some columns, not following, and a market that stands."""
    page: Page = screen.page
    screen.move()
    begun = screen.source.now() // 1000
    await open_panel(page, "Heatmap")
    await page.get_by_test_id("heat-step").select_option(step)
    await page.get_by_test_id("heat-every").select_option(every)

    async def sampled() -> bool:
        columns = (await screen.get("book/history", instrument=BTC, step=step, every=every))["columns"]
        return sum(c["proved"] and c["ts"] >= begun for c in columns) >= (8 if every == "250ms" else 2)

    async def chosen() -> bool:
        """What is drawn is of that step and sampling: until its past is there the old stays on screen."""
        found = re.match(r"[\d:]{8}(\.\d{3})?\s+([\d,.]+) – ([\d,.]+)", (await under(page))[0])
        if found is None or (found[1] is not None) != (every == "250ms"):
            return False
        low, high = (float(price.replace(",", "")) for price in found.groups()[1:])
        return round(high - low, 9) == float(step)

    box = await page.get_by_test_id("heatmap").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] - 170, box["y"] + 60)  # the newest columns stand there
    await until(sampled)
    await until(chosen)
    await page.mouse.move(0, 0)
    await screen.hold()
    await page.get_by_test_id("heatmap").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    return page


async def counts(page: Page) -> tuple[int, int]:
    """Frames drawn and columns painted so far."""
    await painted(page)
    ask = "e => { e.dispatchEvent(new Event('tapeline-count')); return [Number(e.dataset.frames), Number(e.dataset.painted)]; }"
    data = await page.get_by_test_id("heatmap").evaluate(ask)
    return data[0], data[1]


async def under(page: Page) -> tuple[str, str | None]:
    """What is said of the place under the pointer, and its number."""
    text, value = await page.get_by_test_id("heat-read").evaluate("e => [e.innerText, e.dataset.value ?? null]")
    return text, value


async def test_under_the_pointer_of_the_heatmap_is_the_apis_number(screen):
    page = await heat(screen)
    columns = (await screen.get("book/history", instrument=BTC, step=0.1, every="250ms"))["columns"]
    box = await page.get_by_test_id("heatmap").bounding_box()
    compared = 0
    for x in range(int(box["width"]) - 280, int(box["width"]) - 120, 2):
        await page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2 - 14)
        text, value = await under(page)
        found = re.match(r"(\d\d:\d\d:\d\d\.\d{3})\s+([\d,.]+) – ", text)
        if not value or found is None:
            continue
        column = next((c for c in columns if stamp(c["ts"]) == found[1]), None)
        if column is None or column is columns[-1]:  # the newest one is still filling from the book itself
            continue
        at = round(float(found[2].replace(",", "")) / 0.1) - column["low"]
        await becomes(lambda: number_under(page), column["sizes"][at])  # once a later one has come to the page, too
        compared += 1
    assert compared >= 3


async def number_under(page: Page) -> float | None:
    _, value = await under(page)
    return float(value) if value else None


def stamp(us: int) -> str:
    ms = us // 1000 % 86_400_000
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


async def picture(page: Page) -> bytes:
    return await page.locator(".heat-canvas").screenshot()


class Waiting:
    """The page's requests that were not answered yet."""

    def __init__(self, page: Page) -> None:
        self.now: set[Request] = set()
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)

    def _asked(self, request: Request) -> None:
        self.now.add(request)

    def _answered(self, request: Request) -> None:
        self.now.discard(request)


async def quiet(page: Page, waiting: Waiting) -> tuple[int, int]:
    """Frames and columns, once nothing is asked for and nothing has been drawn for longer than between two columns."""
    before = (-1, -1)
    while (now := await counts(page)) != before or waiting.now:
        before = now
        await page.wait_for_timeout(400)
    return now


async def test_columns_are_painted_once_and_a_move_is_one_frame(screen):
    held: list[bool] = []

    def between(ws: Any) -> None:
        server = ws.connect_to_server()
        server.on_message(lambda m: None if held and '"channel":"depths"' in m else ws.send(m))

    await screen.page.route_web_socket("**/api/v1/ws", between)
    await screen.page.reload()
    await gone_live(screen.page)
    waiting = Waiting(screen.page)
    page = await heat(screen)
    held.append(True)  # from now on no column comes but the one that is filling
    frames, before_keys = await quiet(page, waiting)
    before = await picture(page)
    for key in ("ArrowLeft", "ArrowUp", "+"):
        await page.keyboard.press(key)
        again, columns = await counts(page)
        assert again == frames + 1, key
        assert columns == before_keys, key  # nothing that was painted is painted again
        frames = again
    assert await picture(page) != before
    before = await picture(page)
    await page.keyboard.press(".")  # more contrast: other colours, so what is in view is painted anew
    again, columns = await counts(page)
    assert again == frames + 1
    assert before_keys < columns
    assert await picture(page) != before
    for _ in range(4):
        await page.keyboard.press("ArrowRight")  # so that now is in view, however long the pictures took
    _, columns = await quiet(page, waiting)
    screen.source.tick()  # the newest column and no other
    await until(lambda: more_than(page, columns))
    assert (await quiet(page, waiting))[1] < columns + 10


async def more_than(page: Page, columns: int) -> bool:
    return (await counts(page))[1] > columns


async def test_wheel_drag_and_keys_move_the_view_and_nothing_else(screen):
    page = await heat(screen)
    read = page.get_by_test_id("heat-read")
    box = await page.get_by_test_id("heatmap").bounding_box()
    x, y = box["x"] + 200, box["y"] + 60
    await page.mouse.move(x, y)
    before, _ = await under(page)
    frames, _ = await counts(page)
    await page.mouse.wheel(0, -240)  # closer: what is under the pointer stays
    await until(lambda: drawn_since(page, frames))
    assert seconds(before) == pytest.approx(seconds((await under(page))[0]), abs=1)
    await page.mouse.down()
    await page.mouse.move(x - 80, y + 30, steps=4)
    await page.mouse.up()
    await expect(read).not_to_have_text(before)
    await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)
    await page.keyboard.press("f")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("]")
    await expect(page.get_by_test_id("heat-step")).to_have_value("0.2")
    slider = page.get_by_test_id("heat-contrast")
    old = int(await slider.input_value())
    await page.keyboard.press(",")
    await expect(slider).to_have_value(str(old - 5))
    label = await page.get_by_test_id("heat-legend").get_attribute("aria-label")
    assert label is not None
    assert re.match(r"Colours from [\d.,]+ or less to [\d.,]+ or more, logarithmic", label)


async def drawn_since(page: Page, frames: int) -> bool:
    return (await counts(page))[0] > frames


def seconds(text: str) -> float:
    """The time of day that a text begins with."""
    hours, minutes, rest = text.split(maxsplit=1)[0].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


async def test_the_table_holds_the_largest_resting_sizes(screen):
    page = await heat(screen, "1s")
    await page.locator("#panel-heatmap").get_by_role("button", name="Table").click()
    book = (await screen.get("book", instrument=BTC, depth=1000))["book"]
    sums: dict[Decimal, Decimal] = {}
    for price, size in [*book["bids"], *book["asks"]]:
        low = (exact(price) / Decimal("0.1")).to_integral_value(ROUND_FLOOR)
        sums[low] = sums.get(low, Decimal(0)) + exact(size)
    known = {round(float(low) * 0.1, 6): float(size) for low, size in sums.items()}
    rows = page.get_by_test_id("heat-table").locator("tbody tr:visible")
    numbers = (
        "rows => rows.map(row => [2, 4].map(n => Number(row.querySelector(`td:nth-child(${n}) [data-value]`).dataset.value)))"
    )
    found: list[tuple[float, float]] = []

    async def agree() -> bool:
        found[:] = [(low, size) for low, size in await rows.evaluate_all(numbers)]
        known_to_page = sum(known.get(round(low, 6)) == size for low, size in found)
        return known_to_page >= max(1, len(found) - 2)  # the farthest bin of each side: the book may not reach the end of it

    await until(agree)  # the newest column is of the last whole second
    sizes = [size for _, size in found]
    assert sizes == sorted(sizes, reverse=True)


async def test_what_was_not_proved_is_hatched_and_told(screen):
    page = await heat(screen)
    f = screen.source.all[BTC]
    f.book_state = "invalid"
    screen.source.report("gap", BTC, "ids 81234–81239 missing", "book", 6)
    await expect(page.get_by_test_id("heat-reason")).to_contain_text("ids 81234–81239 missing")

    async def unproved() -> bool:
        columns = (await screen.get("book/history", instrument=BTC, step=0.1, every="250ms"))["columns"]
        return sum(not c["proved"] for c in columns) >= 3

    await until(unproved)
    f.book_state = "synced"
    screen.source.report("synced", BTC, "joined at 81260", "book")
    await expect(page.get_by_test_id("heat-reason")).to_be_hidden()
    box = await page.get_by_test_id("heatmap").bounding_box()
    told = set()
    for x in range(
        int(box["width"]) - 100, int(box["width"]) - 500, -2
    ):  # the view stands, so what is hatched stays where it is
        await page.mouse.move(box["x"] + x, box["y"] + 40)
        told.add(re.sub(r"^.*   ", "", (await under(page))[0]))
        if "the book was not proved" in told:
            break
    assert "the book was not proved" in told


async def test_a_heatmap_that_is_covered_asks_for_nothing(screen):
    page = screen.page
    calls = asked(page)
    await page.reload()
    await open_panel(page, "Depth")
    await expect(page.get_by_test_id("depth-chart")).to_be_visible()
    assert [c for c in calls if c["params"]["channel"] == "depths"] == []
    await open_panel(page, "Heatmap")
    await becomes(lambda: channels(calls).count("depths"), 1)
    await until(lambda: drawn_since(page, 0))
    await open_panel(page, "Depth")
    await becomes(lambda: channels(calls).count("depths"), 0)
    frames, _ = await counts(page)
    screen.source.tick()
    assert (await counts(page))[0] == frames


async def test_scrolling_the_book_and_another_interval_leave_the_tape_where_it_is_read(screen):
    page = screen.page
    await page.locator(".tape").press(" ")  # held
    await expect(page.locator(".panel-tape")).to_have_attribute("data-held", "true")
    await page.get_by_role("grid", name=re.compile("Order book")).press("PageDown")
    await expect(page.locator(".ladder-back")).to_be_visible()
    await page.get_by_role("button", name="5m", exact=True).click()
    await expect(page.get_by_role("button", name="5m", exact=True)).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".panel-tape")).to_have_attribute("data-held", "true")
    await page.get_by_test_id("watch-sim:ETH-USDT").click()
    await expect(page.locator(".panel-tape")).to_have_attribute("data-held", "false")


def wanted(calls: list[dict[str, Any]]) -> set[str]:
    """What is subscribed to and not given back."""
    now: set[str] = set()
    for call in calls:
        key = json.dumps(call["params"], sort_keys=True)
        (now.add if call["method"] == "subscribe" else now.discard)(key)
    return now


def channels(calls: list[dict[str, Any]]) -> list[str]:
    return sorted(json.loads(key)["channel"] for key in wanted(calls))


async def test_what_a_panel_asked_for_is_given_back_when_it_is_covered(screen):
    page = screen.page
    calls = asked(page)
    await page.reload()
    await gone_live(page)
    await open_panel(page, "Metrics")
    ordinary = ["alerts", "bars", "book", "metrics", "metrics", "metrics", "quotes", "status", "trades"]
    await becomes(lambda: channels(calls), ordinary)
    before = wanted(calls)
    for name in ("Heatmap", "Depth", "Flow", "Footprint", "Venues", "Alerts", "Health"):
        await open_panel(page, name)
        await expect(page.get_by_role("tab", name=name, exact=True).first).to_have_attribute("aria-selected", "true")
    assert any('"depths"' in json.dumps(call) for call in calls)
    for name in ("Metrics", "Events"):
        await open_panel(page, name)
    await until(lambda: wanted(calls) == before)


async def test_the_heatmaps_tools_are_one_row_on_a_phone(screen):
    page = screen.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.get_by_test_id("more").click()
    await page.get_by_role("menuitemcheckbox", name="Heatmap").click()
    tools = page.locator("#panel-heatmap .draw-tools")
    await expect(tools).to_be_visible()
    assert (await tools.bounding_box())["height"] < 45
    table = tools.get_by_role("button", name="Table")
    await table.focus()  # what is beyond the edge comes into view with the focus
    await page.keyboard.press("Enter")
    await expect(table).to_have_attribute("aria-pressed", "true")
    await expect(table).to_be_in_viewport()

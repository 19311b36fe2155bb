"""A recording opened from the page beside the live market, and played as a person does: play, pause, speed, step, the timeline."""

import asyncio
import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tapeline.cli.live import LiveSession
from tapeline.clock import LiveClock
from tapeline.config import QuerySettings, ServerSettings, SinkSettings
from tapeline.server.app import Server
from tapeline.server.query.query import Queries
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.tape import reader
from tests.live.rig import settings
from tests.page.conftest import Stage
from tests.page.market import FakeSource
from tests.waiting import becomes, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """Some seconds of three instruments, with a connection lost in them, and the lake that they made."""
    data = tmp_path_factory.mktemp("tape") / "data"

    async def record():
        async with (
            SimServer(seed=12, rate=4.0) as sim,
            LiveSession(settings(sim, data, sinks=SinkSettings(sqlite=False))) as session,
        ):
            await session.stream(asyncio.Event(), "live", 0)  # as where the time is over: sinks may then take theirs at the end
            await until(lambda: session.collector.events > 2500, 60)
            sim.fault(f.Close(code=1006))
            await until(lambda: session.collector.events > 7000, 60)

    asyncio.run(record())
    (info,) = reader.sessions(data)
    return data, info


@pytest_asyncio.fixture(loop_scope="module")
async def beside(browser, tape):
    """The page of a live market beside the tape."""
    data, _ = tape
    source = FakeSource()
    server = Server(source, ServerSettings(port=0), LiveClock(), queries=Queries(data, QuerySettings()), recordings=data)
    stage = Stage(source, server)
    await stage.start()
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark", reduced_motion="reduce")
    stage.page = await context.new_page()
    stage.watch(stage.page)
    source.tick()
    await stage.page.goto(stage.address)
    await stage.page.get_by_test_id("state").and_(stage.page.get_by_text("SIMULATED", exact=True)).wait_for()
    yield stage
    stage.check()
    await context.close()
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def replay(beside, tape):
    """A paused recording's page."""
    _, info = tape
    answer = await beside.page.request.post(f"{beside.address}/api/v1/replays", data={"session": info.id, "playing": False})
    await beside.page.goto(beside.address + (await answer.json())["path"])
    await expect(beside.page.get_by_test_id("state")).to_have_text("PAUSED")
    return beside


async def asked(stage, path, **params):
    prefix = re.match(r"(.*/replay/[^/]+/)", stage.page.url)[1]
    return await (await stage.page.request.get(f"{prefix}api/v1/{path}", params=params)).json()


async def paused_at(stage, at):
    """Once it stands there, the page and the API."""
    await expect(stage.page.get_by_test_id("replay-time")).to_have_attribute("data-value", str(at))

    async def stands():
        state = await asked(stage, "replay")
        return not state["seeking"] and state["now"] == at

    await until(stands)


async def test_a_recording_is_opened_from_the_list_and_left_for_the_live_market(beside, tape):
    page, (_, info) = beside.page, tape
    await expect(page.get_by_test_id("replay-bar")).to_be_hidden()
    await page.keyboard.press("r")
    row = page.get_by_test_id("recordings").locator(f"tr[data-session='{info.id}']")
    await expect(row).to_contain_text("BTC-USDT")
    await row.get_by_test_id("open-recording").click()
    await page.wait_for_url(f"**/replay/{info.id}/")
    await expect(page.get_by_test_id("state")).to_have_text(
        re.compile(r"^REPLAY (×1|ENDED)$")
    )  # some seconds: a slow machine sees their end
    await expect(page.get_by_test_id("mode-text")).to_contain_text("a recording of the SIMULATED market")
    await page.get_by_test_id("replay-bar").get_by_test_id("back-to-live").click()
    await page.wait_for_url(f"{beside.address}/")
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")


async def test_a_page_whose_replay_was_closed_says_so_and_leads_back(replay, tape):
    page, (_, info) = replay.page, tape
    replay.allowed = "/replay/"  # its socket and its question are turned away
    await page.request.delete(f"{replay.address}/api/v1/replays", params={"session": info.id})
    await expect(page.get_by_test_id("state")).to_have_text("REPLAY CLOSED")
    await expect(page.locator("html")).to_have_attribute("data-link", "dead")
    strip = page.get_by_test_id("mode-strip")
    await expect(strip).to_contain_text("not open any more")
    await strip.get_by_role("link", name="Open it again").click()
    await expect(page.get_by_test_id("state")).to_have_text(re.compile("^(PAUSED|REPLAY)"))
    await expect(strip.get_by_role("link")).to_have_count(0)
    await page.request.delete(f"{replay.address}/api/v1/replays", params={"session": info.id})
    await strip.get_by_role("link", name="Back to live").click()
    await page.wait_for_url(f"{replay.address}/")
    await expect(page.get_by_test_id("state")).to_have_text("SIMULATED")


async def test_play_pause_and_step_by_keys(replay):
    page = replay.page
    before = (await asked(replay, "replay"))["now"]
    await page.keyboard.press(".")
    await paused_at(replay, before + 1_000_000)
    await page.get_by_test_id("replay-speed").select_option("0.1")  # slowly: there are only some seconds of it
    await page.get_by_test_id("state").click()  # out of the list
    await page.keyboard.press(" ")
    await expect(page.get_by_role("button", name="Pause (Space)")).to_be_visible()
    await expect(page.get_by_test_id("state")).to_have_text("REPLAY ×0.1")
    await page.get_by_test_id("replay-speed").select_option("0.5")
    await expect(page.get_by_test_id("state")).to_have_text("REPLAY ×0.5")

    async def went_on():
        return (await asked(replay, "replay"))["now"] > before + 1_000_000

    await until(went_on)
    await page.get_by_test_id("replay-line").focus()
    await page.keyboard.press(" ")
    await expect(page.get_by_test_id("state")).to_have_text("PAUSED")
    state = await asked(replay, "replay")
    assert (state["playing"], state["speed"]) == (False, 0.5)


async def test_sought_by_keys_and_pointer_the_page_shows_what_the_api_has_there(replay, tape):
    page, (_, info) = replay.page, tape
    line = page.get_by_test_id("replay-line")
    first, last = info.first_ts // 1000, info.last_ts // 1000
    await line.focus()
    await page.keyboard.press("End")
    await paused_at(replay, last)
    await expect(page.get_by_test_id("state")).to_have_text("REPLAY ENDED")
    await expect(line).to_have_attribute("aria-valuetext", re.compile("UTC, at the end"))
    box = await line.bounding_box()
    await page.mouse.move(box["x"] + 10, box["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.85, box["y"] + 20, steps=5)  # long after the connection was lost
    await page.mouse.up()
    await expect(line).to_have_attribute("aria-valuetext", re.compile("UTC, paused"))
    state = await asked(replay, "replay")
    assert abs((state["now"] - first) / (last - first) - 0.85) < 0.01
    await paused_at(replay, state["now"])
    then = await asked(replay, "status")  # recorded on a busy machine, this may be while the connections were lost
    was_live = any(c["state"] == "up" for c in then["connections"]) and any(i["state"] == "live" for i in then["instruments"])
    await expect(page.get_by_test_id("state")).to_have_text("PAUSED" if was_live else re.compile("STALE|RECONNECTING"))
    name = await page.evaluate("localStorage.getItem('tapeline.instrument')")
    book = (await asked(replay, "book", instrument=name))["book"]
    metrics = (await asked(replay, "metrics", instrument=name, kind="book"))["metrics"][0]
    for card, number in (("bid", book["bids"][0][0]), ("ask", book["asks"][0][0]), ("mid", metrics["mid"])):
        await expect(page.get_by_test_id(card)).to_have_attribute("data-value", repr(number).removesuffix(".0"))
    assert metrics["ts_recv"] <= state["now"]
    trades = (await asked(replay, "trades", instrument=name))["trades"]
    assert all(t["ts_recv"] <= state["now"] for t in trades)


async def test_at_the_beginning_nothing_of_what_is_to_come_is_shown(replay, tape):
    """No instrument is heard of there: what the page had of the end is gone, and the server may say that it knows none."""
    page, (_, info) = replay.page, tape
    replay.allowed = "404"
    line = page.get_by_test_id("replay-line")
    await line.focus()
    await page.keyboard.press("End")
    await paused_at(replay, info.last_ts // 1000)
    await expect(page.get_by_test_id("mid")).to_be_visible()
    await page.keyboard.press("Home")
    await paused_at(replay, info.first_ts // 1000)
    await expect(page.get_by_test_id("mid")).to_be_hidden()
    assert (await asked(replay, "status"))["instruments"] == []
    await page.keyboard.press("End")
    await paused_at(replay, info.last_ts // 1000)
    await expect(page.get_by_test_id("mid")).to_be_visible()


async def test_the_timeline_tells_gaps_in_words_and_has_a_twin(replay):
    page = replay.page

    async def told():
        return (await asked(replay, "replay/timeline", buckets=400))["volume"][0] is not None

    await until(told, 60)  # the process that asks the lake takes its time to start on a busy machine
    line = await asked(replay, "replay/timeline", buckets=400)
    gap = next(g for g in line["gaps"] if g["kind"] == "disconnected")
    await page.reload()  # it would ask again by itself, but later each time
    twin = page.get_by_test_id("replay-twin")
    await expect(twin).to_contain_text("disconnected")
    box = await page.get_by_test_id("replay-line").bounding_box()
    place = (gap["ts"] - line["from"]) / (line["to"] - line["from"])
    await page.mouse.move(box["x"] + place * box["width"], box["y"] + 20)
    tip = page.get_by_test_id("replay-tip")
    await expect(tip).to_contain_text("⚠ disconnected")
    await expect(tip).to_contain_text("messages")


@pytest.mark.parametrize("width", [1440, 1024, 390])
async def test_nothing_scrolls_sideways(replay, width):
    page = replay.page
    await page.set_viewport_size({"width": width, "height": 844})
    bar = page.get_by_test_id("replay-bar")
    await expect(bar).to_be_visible()
    await becomes(lambda: page.evaluate(f"document.documentElement.scrollWidth <= {width}"), True)
    await becomes(lambda: bar.evaluate(f"bar => bar.getBoundingClientRect().width <= {width}"), True)
    await page.keyboard.press("r")
    await expect(page.get_by_test_id("open-recording").first).to_be_visible()
    inside = f"el => {{ const box = el.getBoundingClientRect(); return box.left >= 0 && box.right <= {width} }}"
    await becomes(lambda: page.get_by_role("dialog", name="Recordings").evaluate(inside), True)

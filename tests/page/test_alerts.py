"""Alerts on the page, end to end: a simulated market, a real session that watches the rules, its server, a browser."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tapeline.cli.live import LiveSession
from tapeline.config import AlertsSettings, RuleSettings, ServerSettings, Settings, SinkSettings, TapeSettings
from tapeline.events import Alert, Flag
from tapeline.server.app import Server
from tests.live.rig import QUICK
from tests.page.conftest import gone_live
from tests.page.test_page import BTC
from tests.waiting import becomes

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
SEVERE = RuleSettings(rule="binance:BTC-USDT mid < 0", severity="critical")


def settings(data: str) -> Settings:
    return Settings(
        instruments=("binance:BTC-USDT",), channels=("trades", "book"), data=data, wire=QUICK, history=False,
        tape=TapeSettings(flush_ms=20, sync_ms=100), sinks=SinkSettings(lake=False, sqlite=False),
        server=ServerSettings(port=0), alerts=AlertsSettings(quiet_start_seconds=0.0, rules={"never": SEVERE}),
    )  # fmt: skip


@asynccontextmanager
async def opened(browser: Any, data: str, errors: list[str]) -> AsyncIterator[Page]:
    """The page's tab of alerts, on a live session."""
    async with LiveSession(settings(data)) as live:
        server = Server(live.collector, live.settings.server, live.collector.clock, alerts=live.alerts)
        live.address = await server.start()
        context = await browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page = await context.new_page()
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
        try:
            await live.connect("simulated")
            await page.goto(live.address)
            await expect(page.get_by_test_id("symbol")).to_have_attribute("data-value", BTC)
            await gone_live(page)
            await page.get_by_role("tab", name="Alerts").first.click()
            yield page
        finally:
            await context.close()
            await server.stop()


async def test_a_rule_is_mended_as_it_is_written_raised_told_muted_and_removed(browser, tmp_path):
    errors: list[str] = []
    async with opened(browser, str(tmp_path), errors) as page:
        text, says, toast = page.get_by_test_id("rule-text"), page.get_by_test_id("rule-says"), page.get_by_test_id("toast")
        never = page.get_by_test_id("rule-never")
        await expect(never.locator(".rule-state")).to_have_attribute("data-value", "armed")
        await expect(never.get_by_role("button", name="Remove")).to_be_disabled()  # it stands in the settings

        await text.fill("binance:BTC-USDT mdi > 0")
        await expect(says).to_contain_text("did you mean mid?")
        await expect(page.get_by_test_id("rule-place").locator("mark")).to_have_text("mdi")
        await text.press("Enter")  # nothing is added
        await expect(page.locator(".rule")).to_have_count(1)

        await text.fill("binance:BTC-USDT mid > 0")
        await expect(says).to_contain_text("It can be added")
        await expect(page.get_by_test_id("rule-place")).to_be_hidden()
        await text.press("Enter")
        await expect(says).to_contain_text("Added as")
        await expect(toast).to_contain_text("SIMULATED")
        await expect(toast.locator(".severity")).to_have_text("▲ warning")
        rule = page.locator(".rule:not([data-rule=never])")
        await expect(rule.locator(".rule-state")).to_have_attribute("data-value", "raised")
        await expect(page.get_by_test_id("alert-history").locator("li")).to_have_count(1)
        await expect(page.get_by_test_id("alert-history").locator(".venue")).to_have_text("sim")
        await expect(page.get_by_test_id("raised")).to_be_visible()
        await expect(page).to_have_title(re.compile("^▲ "))

        await rule.get_by_role("button", name="Mute").click()
        await expect(rule.locator(".rule-state")).to_have_attribute("data-value", "muted")
        await page.reload()  # an old alert stands in the history, and is not told again
        await page.get_by_role("tab", name="Alerts").first.click()
        await expect(page.get_by_test_id("alert-history").locator("li[data-state=raised]")).to_have_count(1)
        await expect(toast).to_have_count(0)
        await rule.get_by_role("button", name="Remove").click()
        await expect(rule).to_have_count(0)

        await text.fill("binance:BTC-USDT mid > 1")
        await text.press("Enter")  # before the check has answered
        await expect(says).to_contain_text("Added as")
        await expect(rule).to_have_count(1)
    assert [e for e in errors if "WebSocket" not in e] == []


async def test_a_rule_is_changed_in_place_removed_and_had_back_with_all_its_options(browser, tmp_path):
    errors: list[str] = []
    async with opened(browser, str(tmp_path), errors) as page:
        text, says = page.get_by_test_id("rule-text"), page.get_by_test_id("rule-says")
        await text.fill("binance:BTC-USDT mid < 1")
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_test_id("rule-cooldown").fill("5x")
        await expect(says).to_contain_text("5x")
        await page.get_by_test_id("rule-cooldown").fill("5m")
        await expect(says).to_contain_text("It can be added")
        await text.press("Enter")
        rule = page.locator(".rule:not([data-rule=never])")
        await expect(rule).to_have_count(1)
        name = await rule.get_attribute("data-rule")

        await rule.get_by_role("button", name="Edit").click()
        await expect(text).to_have_value("binance:BTC-USDT mid < 1")
        await expect(page.get_by_test_id("rule-cooldown")).to_have_value("5m")
        await page.get_by_label("Severity", exact=True).select_option("critical")
        await page.get_by_test_id("rule-hysteresis").fill("2%")
        await text.fill("okx:BTC-USDT mid < 2")
        await expect(says).to_contain_text("can be saved")
        await page.get_by_role("button", name="Save").click()
        await expect(says).to_contain_text("is changed")
        await expect(rule.locator(".rule-code")).to_have_text("okx:BTC-USDT mid < 2")
        await expect(rule.locator(".rule-state")).to_have_text("⊘ not streamed")  # nobody streams okx
        await expect(page.get_by_role("button", name="Add", exact=True)).to_be_visible()

        await rule.get_by_role("button", name="Mute").click()
        await expect(rule.locator(".rule-state")).to_have_attribute("data-value", "muted")
        await rule.get_by_role("button", name="Remove").click()
        await expect(rule).to_have_count(0)
        await page.get_by_test_id("rule-undo").get_by_role("button", name="Undo").click()
        await expect(rule).to_have_attribute("data-rule", str(name))
        await expect(rule.locator(".rule-state")).to_have_attribute("data-value", "muted")
        await rule.get_by_role("button", name="Edit").click()
        await expect(page.get_by_label("Severity", exact=True)).to_have_value("critical")
        await expect(page.get_by_test_id("rule-hysteresis")).to_have_value("2%")
        await page.get_by_role("button", name="Cancel").click()
        await expect(text).to_have_value("")
    assert [e for e in errors if "WebSocket" not in e] == []


async def test_the_past_is_filtered_and_paged(screen):
    """Of a recording's alerts, which no rule stands behind."""
    page = screen.page
    await page.get_by_role("tab", name="Alerts").first.click()
    base = time.time_ns()
    screen.source.publish([
        Alert("sim:BTC-USDT" if n % 2 else "sim:ETH-USDT", base + n * 10**6, base + n * 10**6, Flag.SIMULATED, f"rule-{n % 2}", "raised", float(n),
              f"text {n}", "critical" if n % 4 == 0 else "info", f"a{n}")
        for n in range(100)
    ])  # fmt: skip
    lines = page.get_by_test_id("alert-history").locator("li")
    await expect(lines).to_have_count(60)
    await page.get_by_test_id("alerts-older").click()
    await expect(lines).to_have_count(100)
    await expect(lines.last).to_contain_text("text 0")
    await page.get_by_test_id("past-severity").select_option("critical")
    await expect(lines).to_have_count(25)
    await page.get_by_test_id("past-rule").select_option("rule-1")
    await expect(lines).to_have_count(0)
    await page.get_by_test_id("past-severity").select_option("")
    await expect(lines).to_have_count(50)
    await page.get_by_test_id("past-instrument").select_option("sim:ETH-USDT")
    await expect(lines).to_have_count(0)


async def test_toasts_are_few_and_go_by_key(screen):
    page = screen.page
    base = time.time_ns()
    for n in range(5):
        at = base + n * 10**6
        screen.source.publish(
            [Alert("sim:BTC-USDT", at, at, Flag.SIMULATED, f"rule-{n}", "raised", 1.0, "it is so", "critical", f"t{n}")]
        )
        await expect(page.get_by_test_id("toasts")).to_contain_text(f"rule-{n}")
    toasts = page.get_by_test_id("toast")
    await expect(toasts).to_have_count(3)
    await expect(page.get_by_test_id("toasts-more")).to_have_text("2 more")
    await page.keyboard.press("Escape")
    await expect(toasts).to_have_count(2)
    await expect(toasts.last).to_contain_text("rule-3")
    await page.keyboard.press("Shift+Escape")
    await expect(toasts).to_have_count(0)


async def test_notices_are_asked_for_by_a_click_only(screen):
    page = screen.page
    await page.context.grant_permissions(["notifications"])
    await page.get_by_role("tab", name="Alerts").first.click()
    box = page.get_by_label("Notices")
    assert not await box.is_checked()
    await box.check()
    await expect(box).to_be_checked()
    kept = "localStorage.getItem(Object.keys(localStorage).find(k => k.endsWith('notices')))"
    await becomes(lambda: page.evaluate(kept), "on")  # once the browser has answered


async def test_a_recording_says_that_no_rules_are_watched(screen):
    await screen.page.get_by_role("tab", name="Alerts").first.click()
    await expect(screen.page.get_by_text("No rules are watched here")).to_be_visible()
    await expect(screen.page.get_by_test_id("rule-text")).to_be_hidden()

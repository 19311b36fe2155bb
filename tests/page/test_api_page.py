"""`/docs` in a real browser: everything from here, nothing that the policy forbids, and an operation can be tried."""

import pytest
from playwright.async_api import expect

from tests.page.conftest import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_the_api_can_be_read_and_tried(browser, stage: Stage):
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark", reduced_motion="reduce")
    page = stage.page = await context.new_page()
    stage.watch(page)
    await page.goto(f"{stage.address}/docs")
    await expect(page.get_by_role("heading", name="Tapeline")).to_be_visible()
    document = await stage.get("openapi.json")
    count = sum(len(methods) for methods in document["paths"].values())
    await expect(page.locator(".opblock")).to_have_count(count)
    await page.get_by_role("button", name="GET /livez Whether").click()
    await page.get_by_role("button", name="Execute").click()
    await expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await expect(page.locator(".live-responses-table")).to_contain_text('"live"')
    stage.check()
    await context.close()


async def test_the_help_sheet_leads_there(screen: Stage):
    await screen.page.keyboard.press("?")
    await expect(screen.page.get_by_role("link", name="/docs")).to_have_attribute("href", "/docs")

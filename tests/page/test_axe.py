"""axe-core, as its own rules have it, on the page as people see it: nothing serious, nothing critical."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"wide": (1440, 900), "middling": (1024, 768), "phone": (390, 844)}


async def findings(page: Page) -> list[str]:
    await expect(page.locator("html")).not_to_have_attribute(
        "data-link", "dead"
    )  # a busy machine's pause: all is dimmed meanwhile
    await page.evaluate(AXE.read_text())
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['impact']} {v['id']}: {node['target']} {node['failureSummary']}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
async def test_nothing_serious(browser, stage, size: str, scheme: Any) -> None:
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    stage.page = page = await context.new_page()
    stage.watch(page)
    stage.source.tick()
    await page.goto(stage.address)
    await page.get_by_test_id("state").get_by_text("SIMULATED", exact=True).wait_for()
    assert await findings(page) == []
    await page.keyboard.press("?")
    await page.get_by_role("dialog").wait_for()
    assert await findings(page) == []
    stage.check()
    await context.close()

"""A page that paints, hears and fetches late: what looks at it without waiting fails.

    python -m pytest -p tests.page.slow tests/page

The pictures may differ then, and tests of its speed.
"""

from playwright.async_api import BrowserContext, Page

LATE = """
(() => {
  const [paint, load, Socket] = [window.requestAnimationFrame.bind(window), window.fetch.bind(window), window.WebSocket];
  window.requestAnimationFrame = (draw) => setTimeout(() => paint(draw), 120);
  window.cancelAnimationFrame = (id) => clearTimeout(id);
  window.fetch = async (...asked) => {
    const answer = await load(...asked);
    await new Promise((go) => setTimeout(go, 100 + 200 * Math.random()));
    return answer;
  };
  window.WebSocket = class extends Socket {
    set onmessage(hear) { super.onmessage = hear && ((event) => setTimeout(() => hear(event), 150)); }
  };
})();
"""
_new_page = BrowserContext.new_page


async def _new_late_page(self: BrowserContext) -> Page:
    await self.add_init_script(LATE)
    return await _new_page(self)


BrowserContext.new_page = _new_late_page  # type: ignore[method-assign]

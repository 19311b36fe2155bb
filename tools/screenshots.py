"""Takes the pictures of `docs/img/` from the real thing: `tapeline run --simulate` in a process of its own, opened in Chromium.

    python tools/screenshots.py [--seconds 100]

The market runs for a while first, so that the one-second candles fill the chart. Nothing is drawn or written by hand: a picture
that looks wrong is a page that looks wrong.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "img"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
WIDE, PHONE = (1440, 900), (390, 844)
TRADING = (
    "1~r(284p:c(0.62:watch,0.38:events.pipeline),"
    "1:c(a:cards,1:r(1:c(0.6:chart,0.4:heatmap!.metrics.alerts.*),264p:ladder,244p:tape)))"
)
FLOW = "1~r(1:c(a:cards,0.6:heatmap,0.4:r(0.5:footprint,0.5:flow)),290p:ladder,270p:c(0.66:tape,0.34:depth))"
ANALYTICS = "1~c(a:cards,1:r(0.56:c(0.6:chart,0.4:flow),0.44:c(0.5:metrics,0.5:venues)))"
SHOWN = (
    "binance:BTC-USDT", "binance:ETH-USDT", "binance-usdm:BTC-USDT-PERP", "kraken:BTC-USD", "coinbase:BTC-USD",
    "bybit:BTC-USDT-PERP", "okx:ETH-USDT", "yahoo:AAPL",
)  # fmt: skip

METRICS = (
    "profile_1h", "vwap_5m", "volume_1m", "cvd_5m", "buy_ratio_1m", "spread_bps_1m", "imbalance_5", "depth_10bps", "ofi_1m",
    "effective_spread_1m", "vol_two_scale_5m_30", "rsi_14_1m", "trade_rate_1m", "basis",
)  # fmt: skip
GROUPS = "btc: binance:BTC-USDT kraken:BTC-USD coinbase:BTC-USD"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@contextmanager
def tapeline() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A running Tapeline on the simulated market; its address and its process."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as data:
        env = {**os.environ, "TAPELINE_SERVER_PORT": str(port), "TAPELINE_DATA": data, "BROWSER": "true"}
        sets = ("--set", f"pipeline.metrics={','.join(METRICS)}", "--set", f"pipeline.groups={GROUPS}")
        command = [sys.executable, "-m", "tapeline", "run", "--simulate", *sets, *SHOWN]
        process = subprocess.Popen(command, cwd=ROOT, env=env)
        try:
            for _ in range(100):
                if is_ready(address):
                    break
                if process.poll() is not None:
                    raise SystemExit(f"tapeline run --simulate ended with {process.returncode}")
                time.sleep(0.3)
            yield address, process
        finally:
            process.terminate()
            process.wait(timeout=15)


def open_page(browser: Browser, address: str, size: tuple[int, int], scheme: str, layout: str = "", keys: str = "") -> Page:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1,
    )
    page = context.new_page()
    page.goto(f"{address}/{f'#layout={layout}' if layout else ''}")
    page.get_by_test_id("state").get_by_text(re.compile("SIMULATED|REPLAY")).wait_for(timeout=20_000)
    for key in keys:
        page.keyboard.press(key)
    if layout:
        page.get_by_role("button", name="Keep it").click()
    page.wait_for_timeout(8000)
    return page


def recording(browser: Browser, address: str) -> Page:
    """The session that is being recorded, opened beside itself and sought to its middle."""
    with urllib.request.urlopen(f"{address}/api/v1/recordings", timeout=10) as answer:
        found = json.load(answer)["recordings"][-1]
    page = open_page(browser, f"{address}/replay/{found['session']}", WIDE, "dark", FLOW)
    page.get_by_test_id("replay-line").click()
    page.wait_for_timeout(6000)
    return page


def shoot(page: Page, name: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}.png"
    page.wait_for_timeout(500)  # what fades has faded
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")


async def shoot_terminal(address: str) -> None:
    """`tapeline top` on the same market, as Textual draws it."""
    from tapeline.terminal.app import Top

    app = Top(address)
    async with app.run_test(size=(140, 38)):
        await asyncio.sleep(4)
        app.save_screenshot(str(IMAGES / "top.svg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=100, help="how long the market runs before the first picture")
    seconds = parser.parse_args().seconds
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright, tapeline() as (address, process):
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        time.sleep(seconds)
        dark = open_page(browser, address, WIDE, "dark", TRADING)
        shoot(dark, "page-dark")
        shoot(open_page(browser, address, WIDE, "light", ANALYTICS), "page-light")
        shoot(open_page(browser, address, WIDE, "dark", FLOW), "page-flow")
        shoot(open_page(browser, address, PHONE, "dark"), "page-phone")
        shoot(recording(browser, address), "page-replay")
        terminal = Thread(target=lambda: asyncio.run(shoot_terminal(address)))  # Playwright has a loop of its own in this one
        terminal.start()
        terminal.join()
        process.terminate()
        dark.get_by_test_id("state").get_by_text("OFFLINE").wait_for(timeout=30_000)
        shoot(dark, "page-offline")
        browser.close()


if __name__ == "__main__":
    main()

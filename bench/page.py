"""What the page costs and how quick it is, in a real Chromium, beside the same screen in Streamlit.

    python bench/page.py [--seconds 60] [--minutes 0] [--only tapeline|streamlit] [--json]

One `tapeline run --simulate` in a process of its own feeds both. Its market has busy and quiet minutes, so a twin with the same seed
runs beside it that nobody looks at. Of each page:

    server      CPU of the process that serves it, as a share of a core: for Tapeline what it takes more than its twin
    to paint    from the venue's clock to the frame that shows it, median: both clocks are this machine's
    frames      that the browser painted a second, and the longest pause between two
    heap        the browser's JavaScript heap after its garbage was collected, at the start and at the end (`--minutes 10` for long)

Streamlit's screen is `bench/streamlit_screen.py`: the figures, the candles, the book and the trades of one instrument, run again
every 0.8 s, as its users do it. It takes its data from the same Tapeline.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

HERE = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
SHOWN = ("binance:BTC-USDT", "binance:ETH-USDT", "binance:SOL-USDT", "binance-usdm:BTC-USDT-PERP")
TICKS = os.sysconf("SC_CLK_TCK")
WATCH = """() => {
  const seen = (window.__bench = { frames: 0, longest: 0, paints: [] });
  let last = performance.now();
  const frame = (now) => {
    seen.frames += 1;
    seen.longest = Math.max(seen.longest, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  let shown = '';
  new MutationObserver(() => {
    const text = [...document.querySelectorAll('p')].find((p) => p.textContent.startsWith('as of '))?.textContent ?? '';
    if (text === shown || !text) return;
    shown = text;
    requestAnimationFrame(() => seen.paints.push(performance.timeOrigin + performance.now() - Number(text.replace('as of ', ''))));
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


class Feed(NamedTuple):
    pid: int
    address: str


@contextmanager
def running(command: list[str], ready: str, **env: str) -> Iterator[int]:
    """A process that answers at `ready`; its id."""
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if answers(ready):
                break
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
            time.sleep(0.2)
        else:
            raise SystemExit(f"{' '.join(command)} does not answer at {ready}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def heap(client: CDPSession) -> float:
    """MB that are in use once the garbage is gone."""
    client.send("HeapProfiler.collectGarbage")
    return float(client.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def frames(address: str) -> int:
    with urllib.request.urlopen(f"{address}/api/v1/status") as answer:
        return int(json.load(answer)["frames"])


def measured(page: Page, pid: int, seconds: float) -> dict[str, Any]:
    client = page.context.new_cdp_session(page)
    first = heap(client)
    page.evaluate(WATCH)  # its paints are Streamlit's; Tapeline's page counts its own
    before, began = cpu(pid), time.perf_counter()
    page.wait_for_timeout(seconds * 1000)
    wall = time.perf_counter() - began
    seen = page.evaluate("window.__bench")
    return {
        "server": (cpu(pid) - before) / wall,
        "frames": seen["frames"] / wall,
        "longest": seen["longest"],
        "paint": statistics.median(seen["paints"]) if seen["paints"] else None,
        "heap": [first, heap(client)],
    }


def of_tapeline(browser: Browser, ours: Feed, twin: Feed, seconds: float) -> dict[str, Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(ours.address)
    page.get_by_test_id("state").get_by_text("SIMULATED").wait_for(timeout=20_000)
    page.wait_for_timeout(5000)
    before, began = cpu(twin.pid), time.perf_counter()
    handled = [frames(feed.address) for feed in (ours, twin)]
    found = measured(page, ours.pid, seconds)
    found["twin"] = (cpu(twin.pid) - before) / (time.perf_counter() - began)
    found["handled"] = [frames(feed.address) - old for feed, old in zip((ours, twin), handled, strict=True)]
    found["added"] = found["server"] - found["twin"]
    found["paint"] = page.evaluate("Number(document.querySelector('[data-testid=health-latency]')?.dataset.value) || null")
    page.close()
    return found


def of_streamlit(browser: Browser, address: str, seconds: float) -> dict[str, Any]:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(HERE / "streamlit_screen.py"), "--server.headless=true",
               f"--server.port={port}", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]  # fmt: skip
    with running(command, f"http://127.0.0.1:{port}/_stcore/health", TAPELINE_ADDRESS=address) as pid:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"http://127.0.0.1:{port}")
        page.get_by_text("as of ").wait_for(timeout=60_000)
        page.wait_for_timeout(5000)
        found = measured(page, pid, seconds)
        found["added"] = found["server"]
        page.close()
    return found


def told(name: str, r: dict[str, Any]) -> str:
    paint = "not seen" if r["paint"] is None else f"{r['paint']:.0f} ms"
    first, last = r["heap"]
    return (
        f"{name:10} server {r['added']:6.1%} of a core, source to paint {paint}, {r['frames']:.0f} frames/s"
        f" (longest pause {r['longest']:.0f} ms), heap {first:.1f} to {last:.1f} MB"
    )


@contextmanager
def feeding() -> Iterator[Feed]:
    """A live session on the simulated market."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tapeline", "run", "--simulate", *SHOWN]
    with tempfile.TemporaryDirectory() as data:
        settings = {"TAPELINE_SERVER_PORT": str(port), "TAPELINE_DATA": data, "BROWSER": "true"}
        with running(command, f"{address}/readyz", **settings) as pid:
            yield Feed(pid, address)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--only", choices=["tapeline", "streamlit"])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    seconds = args.minutes * 60 or args.seconds
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium here (Debian: apt-get install chromium)")
    found: dict[str, Any] = {"seconds": seconds}
    with sync_playwright() as playwright, feeding() as ours:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        if args.only != "streamlit":
            with feeding() as twin:
                time.sleep(10)
                found["tapeline"] = of_tapeline(browser, ours, twin, seconds)
        if args.only != "tapeline":
            found["streamlit"] = of_streamlit(browser, ours.address, seconds)
        browser.close()
    if args.json:
        print(json.dumps(found))
        return
    for name in ("tapeline", "streamlit"):
        if name in found:
            print(told(name, found[name]))


if __name__ == "__main__":
    main()

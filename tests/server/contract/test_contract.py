"""Schemathesis against a whole simulated session: whatever the OpenAPI document allows is answered as it says, whatever it forbids is
refused, and nothing makes the server stumble. Bounded and seeded: the same requests each time.

Left out: `/stream`, whose answer has no end (tests/server/live/test_stream.py). SQL and rules made of noise are never right, so there it is
not demanded that what fits the document is accepted.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tapeline.cli.live import LiveSession
from tapeline.config import AlertsSettings, RuleSettings, ServerSettings, Settings, SinkSettings, TapeSettings
from tapeline.server.access.rates import Rates
from tapeline.server.app import Server
from tapeline.server.query.query import Queries
from tests.live.rig import QUICK
from tests.waiting import until

TOKEN = "correct-horse-battery-staple"
CASES = 4
SEED = 20261121
CONFIG = """
[[operations]]
include-path = "/api/v1/query"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/api/v1/alerts/rules"
include-method = "POST"
checks.positive_data_acceptance.enabled = false
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setenv("TAPELINE_SERVER_TOKEN", TOKEN)
    settings = Settings(
        instruments=("binance:BTC-USDT", "kraken:BTC-USD"), data=str(tmp_path), wire=QUICK, history=False,
        tape=TapeSettings(flush_ms=20), sinks=SinkSettings(sqlite=False, lake_seconds=1.0),
        server=ServerSettings(port=0, requests_per_second=1e6),
        alerts=AlertsSettings(rules={"wide": RuleSettings(rule="binance:BTC-USDT spread_bps > 1000")}),
    )  # fmt: skip
    async with LiveSession(settings) as live:
        queries = Queries(tmp_path, settings.query)
        server = Server(live.collector, settings.server, live.collector.clock, queries=queries, alerts=live.alerts)
        server.hub.gate.attempts = Rates(1e6, 1e6)  # it tries many a wrong token
        await server.start()
        await live.connect("simulated")
        await until(lambda: len(server.history.trades) > 1)
        yield server
        await server.stop()


async def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    arguments = [
        "run", f"{server.address}/api/v1/openapi.json", "-H", f"Authorization: Bearer {TOKEN}", "--phases", "coverage,fuzzing",
        "-n", str(CASES), "--seed", str(SEED), "--exclude-path", "/api/v1/stream", "--request-timeout", "60", "--no-color",
    ]  # fmt: skip
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", *arguments,
        cwd=tmp_path, env={**os.environ, "NO_PROXY": "127.0.0.1"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await running.communicate()
    text = told.decode()
    assert running.returncode == 0, text[text.find("FAILURES") :]
    counted = re.search(r"(\d+) generated, (\d+) passed", text)
    assert counted is not None, text
    assert counted[1] == counted[2]
    assert int(counted[1]) > 1000

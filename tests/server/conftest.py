from collections.abc import AsyncIterator

import httpx
import pytest

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server.app import Server
from tests.server.fakes import T0, FakeSource

SETTINGS = ServerSettings(port=0, push_hz=50, history_trades=6000, history_bars=3000)


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
async def server(source, tmp_path) -> AsyncIterator[Server]:
    server = Server(source, SETTINGS, ReplayClock(T0), page=tmp_path / "none")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.address, trust_env=False, timeout=30) as client:
        yield client

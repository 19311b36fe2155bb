import aiohttp
import pytest

from tapeline.sim import SimServer


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def sim():
    """Time stands until `sim.play(seconds)`."""
    async with SimServer(seed=3, live=False, instruments=["BTCUSDT", "ETHUSDT"]) as sim:
        yield sim

"""A server with a real lake behind it; what a query may cost is the module's own `limits`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import QuerySettings
from tapeline.server.app import Server
from tapeline.server.query.query import Queries
from tapeline.sinks.lake import LakeSink
from tests.server.conftest import SETTINGS
from tests.server.fakes import T0, FakeSource
from tests.sinks.helpers import frames


@pytest.fixture
def limits() -> QuerySettings:
    return QuerySettings()


@pytest.fixture
def queries(tmp_path: Path, limits: QuerySettings) -> Queries:
    sink = LakeSink(tmp_path)
    sink.open()
    sink.commit("s", 299, [e for events in frames(300) for e in events])
    sink.close()
    return Queries(tmp_path, limits)


@pytest.fixture
async def server(source: FakeSource, tmp_path: Path, queries: Queries) -> AsyncIterator[Server]:
    server = Server(source, SETTINGS, ReplayClock(T0), page=tmp_path / "none", queries=queries)
    await server.start()
    yield server
    await server.stop()

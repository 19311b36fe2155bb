from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.sinks.lake import LakeSink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[LakeSink]:
    """An open lake, empty."""
    sink = LakeSink(tmp_path)
    sink.open()
    yield sink
    sink.close()

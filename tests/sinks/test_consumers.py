"""The consumers in docs/sinks.md, run as they stand there against a real server; only the address is another."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tapeline.events import Trade
from tests.sinks.helpers import BTC, frames
from tests.sinks.peers import PEERS

PAGE = Path(__file__).parents[2] / "docs" / "sinks.md"
TITLES = {
    "redis": ("### Redis streams", "redis://localhost:6379/0", "redis.address"),
    "kafka": ("### Kafka", "localhost:9092", "kafka.brokers"),
    "nats": ("### NATS JetStream", "nats://localhost:4222", "nats.servers"),
}
MADE = frames(100)


def example(title: str) -> str:
    section = PAGE.read_text().partition(f"\n{title}\n")[2]
    found = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", PEERS)
def test_the_documented_consumer_reads_every_trade_once_and_in_order(name, tmp_path):
    title, address, key = TITLES[name]
    peer = PEERS[name]()
    try:
        sink = peer.sink(tmp_path)
        sink.open()
        events = [e for made in MADE for e in made]
        sink.commit("s", 99, events)
        code = example(title)
        assert address in code
        script = code.replace(address, peer.assignments()[key])
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert run.stderr == ""
        wanted = [
            f"s {n} {e.price} {e.size} {e.side}" for n, e in enumerate(events) if isinstance(e, Trade) and e.instrument == BTC
        ]
        assert run.stdout.splitlines() == wanted
        sink.close()
    finally:
        peer.server.end()

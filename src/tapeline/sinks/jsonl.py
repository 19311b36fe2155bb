"""JSON lines: `jsonl/trade/binance/BTC-USDT/2026-11-21.jsonl`, one event a line, as `docs/events.md` has it. Keeps every event.

The lines are those of `tapeline decode` and `tapeline replay --events`; `events.from_json` reads them back. Times are integer
nanoseconds, which JavaScript cannot hold: programs in that language should take the API.
"""

from collections.abc import Sequence

from tapeline.events import Event, to_json
from tapeline.sinks.appending import AppendingSink


class JsonlSink(AppendingSink):
    name = "jsonl"

    def header(self, kind: type[Event]) -> str:  # noqa: ARG002 - there is none
        return ""

    def lines(self, kind: type[Event], events: Sequence[Event]) -> bytes:  # noqa: ARG002 - the events say it
        return b"".join([to_json(e) + b"\n" for e in events])

"""The feed of a heatmap: one column a step of its grid, from `memory/depths.py`, put into bins once for all who watch the same.

A snapshot is the last columns, as many as `SNAPSHOT_BYTES` hold: it closes a gap of some seconds. More is in `/book/history`.
"""

from tapeline.market import columns
from tapeline.market.intervals import step_of as interval_of
from tapeline.server.live.feed import Context, Feed, Key, Message
from tapeline.server.memory.depths import Look
from tapeline.server.views import encode

SNAPSHOT_COLUMNS = 60
SNAPSHOT_BYTES = 48 * 1024
PUSH_COLUMNS = 16
"""Of one instrument in one message; where more came, the newest."""


class DepthsFeed(Feed):
    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._every, self._step = interval_of(key.every).width, columns.step_of(key.step)
        self._sent = {name: self._latest(name) for name in key.instruments}

    def _latest(self, name: str) -> int:
        return next((ts for ts, _ in self.context.depths.watch(name).back(self._every)), 0)

    def _raw(self, name: str, look: Look) -> bytes:
        ts, book = look
        return encode(columns.column(name, ts, book, self._step, self.key.rows))

    def snapshot(self) -> Message:
        """Up to where the next update begins."""
        share = SNAPSHOT_BYTES // max(1, len(self._sent))
        items: list[bytes] = []
        for name, sent in self._sent.items():
            items += self._last(name, sent, share)
        return self.message("snapshot", items)

    def _last(self, name: str, sent: int, share: int) -> list[bytes]:
        found: list[bytes] = []
        size = 0
        for look in self.context.depths.watch(name).back(self._every):
            if look[0] <= sent:
                found.append(self._raw(name, look))
                size += len(found[-1])
            if size > share or len(found) == SNAPSHOT_COLUMNS:
                break
        return found[::-1]

    def update(self) -> Message | None:
        items: list[bytes] = []
        for name, sent in self._sent.items():
            for look in self.context.depths.watch(name).since(self._every, sent, PUSH_COLUMNS):
                items.append(self._raw(name, look))
                self._sent[name] = look[0]
        return self.message("update", items) if items else None

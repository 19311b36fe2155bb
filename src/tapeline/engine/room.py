"""How much room the disk has left, asked seldom: the status is made once a second, and a slow disk shall not be felt by it.

Asked on the loop, because `statvfs` answers from the kernel's memory; at most once in LOOK_NS.
"""

import shutil
from pathlib import Path

from tapeline.clock import SECOND

LOOK_NS = 5 * SECOND


class Disk:
    """The file system that a directory stands on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._looked = -LOOK_NS
        self._row: dict[str, object] | None = None

    def row(self, now: int) -> dict[str, object] | None:
        """`path`, `free` and `total` in bytes; None where the system does not tell."""
        if now - self._looked >= LOOK_NS:
            self._looked = now
            try:
                usage = shutil.disk_usage(self._directory)
                self._row = {"path": str(self._directory), "free": usage.free, "total": usage.total}
            except OSError:
                self._row = None
        return self._row

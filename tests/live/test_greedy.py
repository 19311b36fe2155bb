"""Twenty clients who ask the API for everything at once, beside a live session: the feed does not notice, and nothing is left of them."""

import json
import os
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.live.adverse import Status, assert_ended, assert_sinks_hold_the_tape, session
from tests.live.program import PATIENCE, Program
from tests.waiting import wait_becomes, wait_until

CLIENTS = 20
QUERIES = (
    "select count(*) from trades a, trades b, trades c, trades d",
    "select length(repeat(chr(120), 3000000000))",
    "select * from book_updates",
    "select string_agg(repeat('x', 1000000), '') from range(3000)",
    "select * from range(100000000000)",
    "with recursive r as (select 1 n union all select n + 1 from r) select count(*) from r",
)
GONE = ("URLError", "ConnectionResetError", "RemoteDisconnected", "IncompleteRead")
"""What a client hears of a server that ends."""
SETS = {"query.seconds": "2", "query.memory_mb": "256"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to an address space")


class Greedy:
    """Clients that ask on and on. Use as a context manager; `codes` counts the answers."""

    def __init__(self, status: Status) -> None:
        self.codes: Counter[int | str] = Counter()
        self._url = status._url.replace("status", "query")
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(CLIENTS)]

    def _ask(self, n: int) -> None:
        while not self._over.is_set():
            body = json.dumps({"sql": QUERIES[n % len(QUERIES)]}).encode()
            request = urllib.request.Request(self._url, body, {"content-type": "application/json"})
            n += 1
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    answer.read()
                    self.codes[answer.status] += 1
            except urllib.error.HTTPError as e:
                self.codes[e.code] += 1
            except (OSError, HTTPException) as e:  # the server has ended
                self.codes[type(e).__name__] += 1
                return

    def __enter__(self) -> "Greedy":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def children(pid: int) -> list[int]:
    """By way of all processes: that of a thread, as here, stands under the thread in /proc/PID/task."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended meanwhile
            found += map(int, path.read_text().split())
    return found


def peak_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) >> 10


def wait_until_gone(pids: list[int]) -> None:
    wait_becomes(lambda: [pid for pid in pids if _runs(pid)], [])


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _greed(program: Program, status: Status, greedy: Greedy) -> list[int]:
    """Until a good many have been answered; the processes that answer."""
    before = peak_mb(program.process.pid)
    status.until(lambda _: greedy.codes.total() >= 2 * CLIENTS and greedy.codes[400] and greedy.codes[408])
    assert peak_mb(program.process.pid) < before + 250
    wait_until(lambda: 1 <= len(children(program.process.pid)) <= 3)  # two places, and one on its way out
    return children(program.process.pid)


def test_twenty_greedy_clients_beside_a_live_session(tmp_path: Path) -> None:
    with session(tmp_path / "data", tmp_path, SETS) as (program, status):
        with urllib.request.urlopen(
            status._url.replace("status", "query?sql=select%20max(n)%20from%20trades"), timeout=40
        ) as answer:
            assert json.load(answer)["up_to"] is None  # the process has asked the session for what is not stored yet
        with Greedy(status) as greedy:
            asked = _greed(program, status, greedy)
            status.goes_on()
            found = status.well()
            assert all(not row["dropped"] and not row["missed"] for row in found["sinks"])
            assert_ended(program, tmp_path / "data", SETS)
        assert "Traceback" not in program.said
        assert "Cancelled" not in program.said
    wait_until_gone(asked)
    assert set(greedy.codes) <= {200, 400, 408, 503, *GONE}
    assert_sinks_hold_the_tape(tmp_path / "data", "lake", "sqlite")


def test_a_killed_session_leaves_no_process(tmp_path: Path) -> None:
    with session(tmp_path / "data", tmp_path, SETS) as (program, status), Greedy(status) as greedy:
        status.until(lambda _: greedy.codes.total() > 0 and children(program.process.pid))
        asked = children(program.process.pid)
        os.kill(program.process.pid, 9)
        wait_until_gone(asked)

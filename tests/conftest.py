"""What all tests share, and one rule: on CI a test that is skipped has failed.

A skipped test proves nothing, and a machine without a browser or a package would look green. So where the environment says
CI=true, a skip is turned into a failure. One reason is accepted: the folder `../shared` beside the clone, with the recorded
exchange sessions, is not there; the reason must name it, and it must really be missing. Expected failures (`xfail`) are no skips.

And one precaution: whoever starts us in the background (a script's `&`, `nohup`) has Ctrl-C ignored, and a program that is started
inherits that. Tests that interrupt one would wait for ever, so Ctrl-C is given its meaning back.
"""

import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("TAPELINE_SHARED") or ROOT.parent / "shared")


hypothesis.settings.register_profile("tapeline", deadline=None)  # these machines are noisy
hypothesis.settings.load_profile("tapeline")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that is tried in this process sets up the logs for good, on a standard error that ends with its test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def shared_frames() -> Path:
    """Recorded and documented frames of real venues. TAPELINE_SHARED points elsewhere, for a clone without a neighbour."""
    frames = SHARED / "frames"
    if not frames.is_dir():
        pytest.skip("no ../shared/frames beside this clone")
    return frames


def _forbidden(reason: str) -> bool:
    if os.environ.get("CI", "").lower() != "true":
        return False
    return "../shared" not in reason or (SHARED / "frames").is_dir()


def _judge(report: Any) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if _forbidden(reason):
        report.outcome = "failed"
        report.longrepr = f"CI: {report.nodeid} was skipped, which proves nothing. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    _judge(report)
    return report


# Real sockets, a market that runs by the clock, a browser: beside each other they would starve on two cores, and what waits for
# a venue's patience would fail. So they take turns on one worker while the other runs the rest.
REAL_TIME = ("live/", "page/", "sim/test_against_collector.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By the file's place. Groups of marks would do, but xdist 3.8 writes them into node ids, which pytest 9 does not let it."""
    from xdist.scheduler import LoadScopeScheduling

    class Turns(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "real-time" if nodeid.removeprefix("tests/").startswith(REAL_TIME) else nodeid

    return Turns(config, log)

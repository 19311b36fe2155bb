"""Waiting for what follows. What a test looks at only once must have happened already: on a busy machine all else comes later."""

import asyncio
import inspect
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds. Only what fails takes them."""
PAUSE = 0.01


async def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Asks until the answer, awaited where it has to be, is true; TimeoutError after `seconds`."""
    end = time.monotonic() + seconds
    while not await _answer(what):
        _patient(end, seconds, what)
        await asyncio.sleep(PAUSE)


async def becomes(read: Callable[[], object], wanted: object, seconds: float = PATIENCE) -> None:
    """Reads until it equals `wanted`; after `seconds` asserts it, so that the difference is shown."""
    end = time.monotonic() + seconds
    while (found := await _answer(read)) != wanted and time.monotonic() < end:
        await asyncio.sleep(PAUSE)
    assert found == wanted


def wait_until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """`until` where nothing is asynchronous."""
    end = time.monotonic() + seconds
    while not what():
        _patient(end, seconds, what)
        time.sleep(PAUSE)


def wait_becomes(read: Callable[[], object], wanted: object, seconds: float = PATIENCE) -> None:
    """`becomes` where nothing is asynchronous."""
    end = time.monotonic() + seconds
    while (found := read()) != wanted and time.monotonic() < end:
        time.sleep(PAUSE)
    assert found == wanted


async def _answer(ask: Callable[[], object]) -> object:
    found = ask()
    return await found if inspect.isawaitable(found) else found


def _patient(end: float, seconds: float, what: Callable[[], object]) -> None:
    if time.monotonic() < end:
        return
    try:
        written = inspect.getsource(what).strip()
    except (OSError, TypeError):
        written = repr(what)
    raise TimeoutError(f"not within {seconds:g} s: {written}")

"""The house stands floor on floor: a module imports its own floor or a lower one, and the core is pure.

Imports are read from the source (also those inside functions and under TYPE_CHECKING: they are dependencies all the same), so
nothing has to be importable. The package's own `__init__` is the front door: it names things of every floor, by late import,
and may itself be imported by all for `__version__`. `importlib` with a computed name escapes this test; nothing else does.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "tapeline"

FLOORS = {
    # 0 words
    "errors": 0,
    "clock": 0,
    "frames": 0,
    "events": 0,
    "instruments": 0,
    "config": 0,
    "masking": 0,
    "plans": 0,
    # 1 wire
    "settings": 1,  # reads files and the environment
    "keys": 1,  # likewise
    "statefile": 1,
    "extensions": 1,  # looks into installed packages
    "wire": 1,
    "tape": 1,
    "venues": 2,
    "market": 3,
    "engine": 4,
    # 5 keeping
    "sinks": 5,
    "lake": 5,
    # 6 using
    "alerts": 6,
    "backtest": 6,
    "audit": 6,
    "cluster": 6,
    "sim": 6,
    "testing": 6,
    # 7 faces
    "server": 7,
    "cli": 7,
    "terminal": 7,
    "api": 7,
    "windowing": 7,
    "__main__": 7,
}
PURE = {"errors", "clock", "frames", "events", "instruments", "config", "masking", "plans", "venues", "market"}
IMPURE_MODULES = {
    "aiohttp", "asyncio", "concurrent", "http", "logging", "multiprocessing", "os", "pathlib", "picows", "random", "requests",
    "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "structlog", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib.request", "uvloop", "websockets",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input"}
CLOCK_CALLS = {"now", "utcnow", "today"}  # of datetime and date; `clock.now()` is the injected time
ALLOWED = {("clock", "time")}  # the only reader of the machine's time


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """Every imported module (or name in a module) with its line; relative imports resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                keep = len(parts) - node.level + is_package
                base = ".".join([*parts[:keep], *([base] if base else [])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def room(dotted: str) -> str:
    """`tapeline.venues.base` → `venues`; the front door and its names (`tapeline.__version__`) are ``."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and not (parts[1].startswith("__") and parts[1] != "__main__") else ""


def impure_calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield node.func.id, node.lineno
        elif isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS:
            owner = ast.unparse(node.func.value)
            if owner.split(".")[-1] in {"datetime", "date"}:
                yield f"{owner}.{node.func.attr}", node.lineno


def faults(source: Path) -> list[str]:
    """Every import that runs upward and every impurity of a pure room, as `path:line: what`."""
    found = []
    for path in sorted(source.rglob("*.py")):
        relative = path.relative_to(source.parent)
        is_package = path.name == "__init__.py"
        module = ".".join(relative.with_suffix("").parts[: -1 if is_package else None])
        own = room(module)
        if not own:
            continue
        if own not in FLOORS:
            found.append(f"{relative}:1: the room {own!r} has no floor; give it one in FLOORS of tests/test_floors.py")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, line in imports(tree, module, is_package):
            if name.split(".")[0] == "tapeline":
                other = room(name)
                if FLOORS.get(other, 0) > FLOORS[own]:
                    found.append(f"{relative}:{line}: floor {FLOORS[own]} ({own}) imports floor {FLOORS[other]} ({other})")
            elif own in PURE and (own, name.split(".")[0]) not in ALLOWED:
                bad = {name.split(".")[0], ".".join(name.split(".")[:2])} & IMPURE_MODULES
                found.extend(f"{relative}:{line}: {own} is pure and imports {b}" for b in bad)
        if own in PURE:
            found.extend(f"{relative}:{line}: {own} is pure and calls {call}()" for call, line in impure_calls(tree))
    return found


def test_no_import_runs_upward_and_the_core_is_pure():
    assert not (found := faults(SOURCE)), "\n".join(found)


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("wire/socket.py", "from tapeline.engine.bus import Bus", "floor 1 (wire) imports floor 4 (engine)"),
        ("events.py", "def f():\n    import tapeline.venues.base", "events.py:2: floor 0 (events) imports floor 2 (venues)"),
        ("venues/binance.py", "from tapeline import market", "floor 2 (venues) imports floor 3 (market)"),
        ("market/book.py", "from ..engine import bus", "floor 3 (market) imports floor 4 (engine)"),
        ("market/__init__.py", "from ..engine import bus", "floor 3 (market) imports floor 4 (engine)"),
        ("market/bars.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tapeline.cli", "market/bars.py:3"),
        ("market/book.py", "import asyncio", "market is pure and imports asyncio"),
        ("venues/okx.py", "from urllib.request import urlopen", "venues is pure and imports urllib.request"),
        ("venues/okx.py", "from time import time_ns", "venues is pure and imports time"),
        ("market/bars.py", "import datetime\nx = datetime.datetime.now()", "calls datetime.datetime.now()"),
        ("market/bars.py", "open('f')", "calls open()"),
        ("cellar/wine.py", "", "has no floor"),
    ],
)
def test_a_fault_is_found(tmp_path, path, text, complaint):
    file = tmp_path / "tapeline" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    found = faults(tmp_path / "tapeline")
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("engine/pipeline.py", "import asyncio\nfrom tapeline.market.book import Book\nfrom . import bus"),
        ("market/book.py", "from tapeline import __version__\nfrom tapeline.clock import SECOND\nimport bisect"),
        ("market/bars.py", "def f(clock):\n    return clock.now()"),
        ("clock.py", "import time"),
        ("venues/okx.py", "from urllib.parse import quote"),
        ("__init__.py", "from tapeline.cli import main"),
    ],
)
def test_what_is_allowed_passes(tmp_path, path, text):
    file = tmp_path / "tapeline" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    assert faults(tmp_path / "tapeline") == []

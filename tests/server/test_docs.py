"""docs/api.md is the contract; here it is held against the code, in both directions where it can be."""

import ast
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server import app, calls, feeds, hub, rest
from tapeline.server.prometheus import exposed_names
from tapeline.sim import SimServer
from tapeline.sinks.base import SinkStats
from tests.live.rig import running
from tests.server.fakes import T0, FakeSource

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
SERVER = ROOT / "src" / "tapeline" / "server"


def routes():
    built = app.build_app(FakeSource(), ServerSettings(), ReplayClock(T0), page=ROOT / "none")
    return {route.path for route in built.routes}


def table_paths():
    return set(re.findall(r"^\| `(/[a-z/]*)` \|", TEXT, re.MULTILINE))


def test_every_route_is_documented_and_every_documented_path_is_a_route():
    api = {path.removeprefix("/api/v1") for path in routes() if path.startswith("/api/v1/")} - {"/ws"}
    plain = {path for path in routes() if not path.startswith("/api/v1/")}
    assert table_paths() == api | plain
    assert "WebSocket `/api/v1/ws`" in TEXT


def parameters():
    """Path → the parameters its handler lets through, from the call of `asked.only` in it."""
    for file in ("rest.py", "figures.py"):
        for node in ast.walk(ast.parse((SERVER / file).read_text())):
            if isinstance(node, ast.AsyncFunctionDef):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "asked.only":
                        yield node.name.replace("_", "/"), set(ast.literal_eval(call.args[1]))


@pytest.mark.parametrize(("name", "known"), list(parameters()))
def test_every_parameter_is_documented(name, known):
    (row,) = [
        r
        for r in TEXT.splitlines()
        if (r.startswith(f"| `/{name}` |") and "{" in r) or (r.startswith("| `/status` | |") and name == "status")
    ]
    documented = set(re.findall(r"`([a-z]+)`", row.split("|")[2]))
    assert documented == known


def test_every_channel_is_documented():
    examples = dict(re.findall(r'^\{"channel": "([a-z]+)", +"type": "snapshot\|update", (.*)\}$', TEXT, re.MULTILINE))
    assert set(examples) == set(get_args(feeds.Channel)) == set(feeds.FEEDS)


def test_every_error_code_is_documented():
    codes = set()
    for file in SERVER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ApiError" and isinstance(node.args[1], ast.Constant):
                codes.add(node.args[1].value)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Head":
                codes |= {k.value.value for k in node.keywords if k.arg == "code" and isinstance(k.value, ast.Constant)}
    codes |= {code for code, _ in app.HTTP_CODES.values()}
    section = TEXT[TEXT.index("## Errors") : TEXT.index("## `/status`")]
    assert codes == set(re.findall(r"`([a-z_]+)`", section)) - {"code"}


def test_every_metric_is_documented():
    assert set(re.findall(r"`(tapeline_[a-z_]+)`", TEXT)) == set(exposed_names())


async def test_the_status_example_has_the_keys_of_the_status(tmp_path):
    """Of a real session's: a fake shows only what its author knew of."""
    example = re.search(r"## `/status`\n\n```json\n(.*?)```", TEXT, re.DOTALL)[1]
    shown = json.loads(example.replace("{…status…}", "null"))
    async with SimServer(seed=3) as sim, running(sim, tmp_path) as run:
        await run.synced()
        real = hub.Hub(run.collector, None, ServerSettings(), run.collector.clock, hub.Limits()).status()
    assert set(shown) == set(real)
    for group in ("connections", "venues", "instruments"):
        assert set(shown[group][0]) == set(real[group][0])
    assert set(shown["tape"]) == set(real["tape"])
    assert set(shown["sinks"][0]) == set(SinkStats.__struct_fields__)


def test_the_numbers_are_the_code_s():
    limits = hub.Limits()
    for said in (
        f"≤ {rest.MAX_TRADES} = 200",
        f"≤ {rest.MAX_BARS} = 500",
        f"≤ {rest.MAX_DEPTH} = 25",
        f"more than {limits.conflate_above // 1024} KiB behind, everything",
        f"more than {limits.skip_trades_above // 1024} KiB behind, trades",
        f"nothing for {limits.stuck_seconds:g} s",
        f"{limits.subscriptions} subscriptions a viewer, {calls.MAX_INSTRUMENTS} named",
        f"{calls.MAX_CALL // 1024} KiB a call, {limits.calls_per_second:g} calls a second on average and {limits.calls_burst:g} at once",
        f"{limits.viewers} viewers",
        f"at most {feeds.PUSH_TRADES:,} trades of an instrument",
        f"the last {feeds.SNAPSHOT_TRADES}, shared",
        f"the last {feeds.SNAPSHOT_BARS}, shared",
        f"the last {feeds.SNAPSHOT_STATUS} events",
    ):
        assert said in TEXT.replace("\n", " "), said

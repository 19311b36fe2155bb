"""docs/api.md is the contract; here it is held against the code, in both directions where it can be."""

import ast
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server import app, rest
from tapeline.server.contract.codes import CODES, SOCKET_ONLY
from tapeline.server.contract.openapi import operations
from tapeline.server.contract.operations import Described
from tapeline.server.live import calls, feeds, hub
from tapeline.server.live.stream import OPTIONS, STREAM
from tapeline.server.prometheus import exposed_names
from tapeline.sim import SimServer
from tapeline.sinks.base import SinkStats
from tests.live.rig import running
from tests.server.fakes import T0, FakeSource

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
SERVER = ROOT / "src" / "tapeline" / "server"


BUILT = app.build_app(FakeSource(), ServerSettings(), ReplayClock(T0), page=ROOT / "none")
DESCRIBED = list(operations(BUILT.routes))


def rows():
    """The rows of the tables of paths: path and the second column. Those of `/api/v1` are above its errors."""
    cut = TEXT.index("## Errors")
    for text, before in ((TEXT[:cut], "/api/v1"), (TEXT[cut:], "")):
        for path, second in re.findall(r"^\| `(/[a-z_/.{}]*)` \|([^|]*)\|", text, re.MULTILINE):
            yield before + path, second


def test_every_route_is_documented_and_every_documented_path_is_a_route():
    assert {path for path, _ in rows()} | {"/login.css"} == {r.path for r in BUILT.routes if isinstance(r, Described)}
    assert "WebSocket `/api/v1/ws`" in TEXT


@pytest.mark.parametrize(
    "one", [x for x in DESCRIBED if x.method == "GET" and x.path.startswith("/api/")], ids=lambda x: x.path
)
def test_every_parameter_is_documented(one):
    second = dict(rows())[one.path]
    options = OPTIONS if one is STREAM else ()
    assert {*re.findall(r"`([a-z_]+)`", second), *options} == {*one.names()}


@pytest.mark.parametrize("one", [x for x in DESCRIBED if x.method != "GET"], ids=lambda x: f"{x.method} {x.path}")
def test_every_change_is_documented(one):
    assert f"`{one.method} {one.path}`" in TEXT


def test_every_channel_is_documented():
    examples = dict(re.findall(r'^\{"channel": "([a-z]+)", +"type": "snapshot\|update", (.*)\}$', TEXT, re.MULTILINE))
    assert set(examples) == set(get_args(feeds.Channel)) == set(feeds.FEEDS)


def raised():
    """Code → status, as the modules raise them."""
    for file in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ApiError" and isinstance(node.args[1], ast.Constant):
                yield node.args[1].value, node.args[0].value, file.name
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "later":
                yield node.args[0].value, 429, file.name
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Head":
                said = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
                if "code" in said:
                    yield said["code"], said["status"], file.name
    yield from ((code, status, "app.py") for status, (code, _) in app.HTTP_CODES.items())


def test_every_error_code_is_listed_with_its_status():
    assert {(code, status) for code, status, file in raised() if file != "calls.py"} | set(SOCKET_ONLY.items()) == set(
        (CODES | SOCKET_ONLY).items()
    )
    assert set(SOCKET_ONLY) <= {code for code, _, file in raised() if file in ("calls.py", "hub.py")}


def test_every_error_code_is_documented_with_its_status():
    section = TEXT[TEXT.index("## Errors") : TEXT.index("## `/status`")]
    documented = {}
    for statuses, codes in re.findall(r"^\| ([0-9, ]+) \| (.*) \|$", section, re.MULTILINE):
        for code in re.findall(r"`([a-z_]+)`", codes):
            documented[code] = {int(s) for s in statuses.split(",")}
    assert documented.keys() == CODES.keys()
    assert [code for code in CODES if CODES[code] not in documented[code]] == []
    assert set(re.findall(r"`([a-z_]+)`", section)) == {*CODES, *SOCKET_ONLY, "code"}


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

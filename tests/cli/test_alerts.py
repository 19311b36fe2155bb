"""`tapeline alerts`, from one command to the next, on a real file and with real targets on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tapeline import extensions
from tapeline.alerts.store import Store
from tapeline.cli import main
from tests.alerts.making import T0, alert

RULE = "binance:BTC-USDT mid crosses above 100000"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(place, capsys):
    def run(*words: str, code: int = 0) -> str:
        assert main(["alerts", *words]) == code
        heard = capsys.readouterr()
        return heard.out if code == 0 else heard.err

    return run


class Hook(HTTPServer):
    """A webhook that answers `status` and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.bodies: list[Any] = []


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_rule_is_added_listed_muted_and_removed(run, place):
    (place / "tapeline.toml").write_text('[alerts.rules.eth]\nrule = "binance:ETH-USDT mid < 5"\nnotify = []\n')
    assert run("add", RULE, "--name", "btc-high", "--severity", "critical", "--for", "10s", "--cooldown", "5m") == "btc-high\n"
    rows = {row["name"]: row for row in json.loads(run("ls", "--json"))}
    assert rows["btc-high"]["rule"] == f"{RULE} for 10s"
    assert {k: rows["btc-high"][k] for k in ("severity", "cooldown", "origin", "state", "muted")} == {
        "severity": "critical", "cooldown": "5m", "origin": "added", "state": "quiet", "muted": False,
    }  # fmt: skip
    assert rows["eth"]["origin"] == "settings"
    run("mute", "btc-high", "eth")
    assert [line.split()[1] for line in run("ls").splitlines()[1:]] == ["muted", "muted"]
    run("unmute", "eth")
    run("rm", "btc-high")
    assert [row["name"] for row in json.loads(run("ls", "--json"))] == ["eth"]
    assert "stands in the settings" in run("rm", "eth", code=2)
    assert "there is no rule btc-high; there are eth" in run("mute", "btc-high", code=2)


def test_a_rule_without_a_name_gets_one_and_a_taken_one_is_refused(run):
    assert run("add", RULE) == "binance-btc-usdt-mid-crosses-above-100000\n"
    assert run("add", RULE) == "binance-btc-usdt-mid-crosses-above-100000-2\n"
    assert "there is a rule x already" in (run("add", RULE, "--name", "x") and run("add", RULE, "--name", "x", code=2))


def test_a_mistake_is_shown_with_its_place_and_nothing_is_kept(run, place):
    told = run("add", "binance:BTC-USDT mdi > 5", code=2)
    assert "did you mean mid?" in told
    assert "  binance:BTC-USDT mdi > 5\n                   ^^^" in told
    assert "did you mean mid?" in run("check", "binance:BTC-USDT mdi > 5", code=2)
    assert run("check", RULE) == "right\n"
    assert run("ls", "--json") == "[]\n"
    assert "no target nobody" in run("add", RULE, "--notify", "nobody", code=3)


def test_a_test_says_what_came_back(run, place, hook, monkeypatch):
    monkeypatch.setenv("TAPELINE_ALERTS_HOOK_SECRET", f"json://someone:s3cretword@127.0.0.1:{hook.server_port}/path")
    assert run("test", "hook").startswith("hook: sent, id test-")
    (body,) = hook.bodies
    assert body["title"] == "[info] test"
    assert body["id"].startswith("test-")
    hook.status = 500
    told = run("test", "hook", code=4)
    assert "hook: " in told
    assert "500" in told
    assert "not delivered: hook" in told
    assert "s3cret" not in told


def test_all_targets_are_tested_where_none_is_named(run, place, hook):
    url = f"json://127.0.0.1:{hook.server_port}"
    (place / "tapeline.toml").write_text(f'[alerts.targets.a]\nurl = "{url}"\n[alerts.targets.b]\nurl = "{url}"\n')
    assert [line.partition(":")[0] for line in run("test").splitlines()] == ["a", "b"]


def test_a_zone_that_is_none_is_a_wrong_setting(run, place):
    (place / "tapeline.toml").write_text(
        '[alerts]\ntime_zone = "Mars/Olympus"\n[alerts.targets.hook]\nurl = "json://127.0.0.1:1/"\n'
    )
    assert "there is no such zone" in run("test", "hook", code=3)


def test_a_target_that_is_not_there_is_a_wrong_setting(run):
    assert "TAPELINE_ALERTS_OPS_MAIL_SECRET" in run("test", "ops-mail", code=3)
    assert "there are no targets" in run("test", code=2)


PAGER = """
from tapeline.alerts.message import Message


class Pager:
    def __init__(self, address: str) -> None:
        self.address = address

    def send(self, message: Message) -> None:
        if self.address == "pager://deaf":
            raise OSError("nobody hears")
        print(f"{self.address} {message.title}")
"""


def test_a_notifier_of_another_package_is_found_by_its_entry_point(run, place, monkeypatch):
    info = place / "pager-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pager\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tapeline.notifiers]\npager = pager_of_ours:Pager\n")
    (place / "pager_of_ours.py").write_text(PAGER)
    (place / "tapeline.toml").write_text(
        '[alerts.targets.duty]\nurl = "pager://duty"\n[alerts.targets.deaf]\nurl = "pager://deaf"\n'
    )
    monkeypatch.syspath_prepend(str(place))
    extensions.found.cache_clear()
    try:
        assert run("test", "duty").splitlines()[0] == "pager://duty [info] test"
        assert "deaf: nobody hears" in run("test", "deaf", code=4)
    finally:
        extensions.found.cache_clear()


def test_the_history_says_what_became_of_each(run, place):
    (place / "data").mkdir()
    store = Store(place / "data")
    store.commit([(alert(n), ["ops"]) for n in range(3)], {}, T0, outbox=2, history=1000)
    store.close()
    lines = run("history").splitlines()
    assert lines[1].startswith(
        "2026-11-20 00:00:02  raised  warning   btc-high  sim:BTC-USDT  ops:dropped  mid is over 100000 (2)"
    )
    found = json.loads(run("history", "--from", "2026-11-20T00:00:01", "--to", "2026-11-20T00:00:02", "--json"))
    assert [(x["id"], x["deliveries"][0]["status"]) for x in found] == [("a1", "waiting")]
    assert "write a time" in run("history", "--from", "yesterday", code=2)


def test_a_file_that_cannot_be_used_is_said(run, place):
    (place / "data").mkdir()
    (place / "data" / "alerts.sqlite").write_bytes(b"no database" * 9)
    for words in (["ls"], ["add", RULE], ["history"], ["mute", "x"]):
        assert "alerts.sqlite cannot be used: file is not a database; make it" in run(*words, code=3)


def test_without_a_session_ever_there_is_nothing_and_nothing_is_made(run, place):
    assert json.loads(run("history", "--json")) == []
    assert json.loads(run("ls", "--json")) == []
    assert "there is no rule x" in run("mute", "x", code=2)
    assert "a number from 1" in run("history", "--limit", "-1", code=2)
    assert not (place / "data").exists()

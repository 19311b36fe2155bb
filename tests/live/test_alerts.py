"""An alert from end to end: simulator → rule → a real SMTP server and a webhook on loopback, the API and a viewer; across restarts, once."""

import asyncio
import email
import email.policy
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from tapeline import masking
from tapeline.cli.live import LiveSession
from tapeline.config import AlertsSettings, RuleSettings, ServerSettings, Settings, SinkSettings, TapeSettings, TargetSettings
from tapeline.engine.replay import batches
from tapeline.events import Alert
from tapeline.server.app import Server
from tapeline.tape import reader
from tests.live.rig import QUICK
from tests.waiting import until

ROOT = Path(__file__).parents[2]
RULE = "binance:BTC-USDT mid > 0"
PASSWORD = "c0rrect-h0rse"
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


class Mail:
    """A mailbox, by SMTP with a password: what came, as parsed messages."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.refusals = 0
        self._server: asyncio.Server | None = None
        self._place = socket.socket()  # bound and not listened to: whoever connects is refused
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        good = (data.login, data.password) == (b"ops", PASSWORD.encode())
        self.refusals += not good
        return AuthResult(success=good)

    async def start(self) -> None:
        from aiosmtpd.smtp import SMTP

        def protocol() -> Any:
            return SMTP(self, auth_required=True, auth_require_tls=False, authenticator=self.authenticate)

        self._server = await asyncio.get_running_loop().create_server(protocol, sock=self._place)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self._place.close()


class Hook:
    """A webhook: the bodies it was sent. While `gate` is clear it does not answer."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.address = self.heard = self.says = ""
        self.status = 200
        self._runner: web.AppRunner | None = None

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.heard = f"{request.headers.get('authorization')} {request.path}"
        await self.gate.wait()
        return web.Response(status=self.status, text=self.says.format(self.heard))

    async def __aenter__(self) -> "Hook":
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def ids(self) -> list[str]:
        return [body["id"] for body in self.bodies]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with Hook() as hook:
        yield hook


@pytest.fixture
async def mail() -> AsyncIterator[Mail]:
    mail = Mail()
    await mail.start()
    yield mail
    await mail.stop()


def settings(data: Path, hook: Hook, mail: Mail | None = None, **more: Any) -> Settings:
    """`more`: of AlertsSettings."""
    found = {"hook": TargetSettings(url=f"json://{hook.address}")}
    if mail is not None:
        found["mail"] = TargetSettings(
            url=f"mailto://ops:{{secret}}@127.0.0.1:{mail.port}?from=tapeline@example.org&to=me@example.org"
        )
    base: dict[str, Any] = {
        "quiet_start_seconds": 0.0, "backoff_first": 0.05, "backoff_most": 0.2, "time_zone": "Europe/Berlin", "targets": found,
        "notify": tuple(found), "rules": {"btc-there": RuleSettings(rule=RULE, severity="critical")},
    }  # fmt: skip
    return Settings(
        instruments=("binance:BTC-USDT",), channels=("trades", "book"), data=str(data), wire=QUICK, history=False,
        tape=TapeSettings(flush_ms=20, sync_ms=100), sinks=SinkSettings(lake=False, commit_seconds=0.1),
        server=ServerSettings(port=0), alerts=AlertsSettings(**{**base, **more}),
    )  # fmt: skip


@asynccontextmanager
async def session(chosen: Settings) -> AsyncIterator[LiveSession]:
    async with LiveSession(chosen) as live:
        server = Server(live.collector, chosen.server, live.collector.clock, alerts=live.alerts)
        live.address = await server.start()
        try:
            await live.connect("simulated")
            yield live
        finally:
            await server.stop()


def on_tape(data: Path) -> list[Alert]:
    found = [info.id for info in reader.sessions(data)]
    return [e for name in found for batch in batches(data, name) for e in batch.events if isinstance(e, Alert)]


async def test_from_the_market_to_the_mailbox_and_once_across_a_restart(tmp_path, hook, mail, monkeypatch, capsys):
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setenv("TAPELINE_ALERTS_MAIL_SECRET", PASSWORD)
    chosen = settings(tmp_path, hook, mail)
    async with session(chosen) as live, aiohttp.ClientSession(live.address) as http, http.ws_connect("/api/v1/ws") as viewer:
        await viewer.send_json({"method": "subscribe", "params": {"channel": "alerts"}})
        await until(lambda: mail.messages and hook.bodies)
        seen: list[Any] = []
        while not seen:
            told = await viewer.receive_json()
            seen += told.get("data", [])
        async with http.get("/api/v1/alerts") as answer:
            (listed,) = (await answer.json())["alerts"]
        await until(lambda: live.alerts.status()["targets"][1]["sent"] == 1)
        async with http.get("/api/v1/status") as answer:
            status, raw = (await answer.json())["alerts"], await answer.text()
    (letter,), (body,) = mail.messages, hook.bodies
    name = body["id"]
    assert letter["subject"] == "SIMULATED [critical] btc-there"
    assert letter["x-tapeline-alert"] == name
    text = letter.get_body().get_content()
    for said in (
        "instrument: sim:BTC-USDT",
        "SIMULATED: no real market",
        "UTC, 20",
        "CET",
        f"page: {live.address}",
        f"id: {name}",
    ):
        assert said in text, said
    assert (body["severity"], body["state"], body["simulated"], body["alerts"][0]["rule"]) == (
        "critical",
        "raised",
        True,
        "btc-there",
    )
    assert [(a["id"], a["state"], a["flags"]) for a in seen] == [(name, "raised", ["SIMULATED"])]
    assert (listed["id"], sorted(d["target"] for d in listed["deliveries"])) == (name, ["hook", "mail"])
    assert (status["rules"], status["raised"], status["error"]) == (1, 1, "")
    heard = capsys.readouterr()
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert mail.refusals == 0
    assert PASSWORD not in raw + heard.out + heard.err
    assert PASSWORD.encode() not in kept
    async with session(chosen) as again:
        book = again.collector
        await until(lambda: book.book("sim:BTC-USDT", 1) is not None and book.events > 200)
    assert (len(mail.messages), len(hook.bodies)) == (1, 1)
    assert [(a.id, a.state) for a in on_tape(tmp_path)] == [(name, "raised")]


async def test_a_mail_server_that_is_down_at_first_gets_it_once_it_is_up(tmp_path, hook, monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setenv("TAPELINE_ALERTS_MAIL_SECRET", PASSWORD)
    mail = Mail()
    async with session(settings(tmp_path, hook, mail)) as live:
        await until(lambda: hook.bodies)
        post = live.alerts.posts["mail"]
        await until(lambda: post.failures > 1)
        assert "refused" in post.error.lower()
        await mail.start()
        await until(lambda: mail.messages)
        await until(lambda: not post.error)
    await mail.stop()
    assert [m["x-tapeline-alert"] for m in mail.messages] == hook.ids


async def test_a_rule_that_is_added_over_the_api_is_watched_at_once_and_a_muted_one_no_more(tmp_path, hook):
    async with session(settings(tmp_path, hook, rules={})) as live, aiohttp.ClientSession(live.address) as http:
        new = {"name": "two", "rule": RULE, "severity": "info"}
        async with http.post("/api/v1/alerts/rules", json=new) as answer:
            assert answer.status == 200
        await until(lambda: hook.bodies)
        async with http.patch("/api/v1/alerts/rules", json={"name": "two", "muted": True}) as answer:
            assert [r["muted"] for r in (await answer.json())["rules"]] == [True]
        wrong = {"rule": "binance:BTC-USDT mdi > 0"}
        async with http.post("/api/v1/alerts/check", json=wrong) as answer:
            error = (await answer.json())["error"]
    assert (error["column"], error["length"], error["hint"], error["option"]) == (18, 3, "did you mean mid?", "rule")
    assert [b["alerts"][0]["rule"] for b in hook.bodies] == ["two"]


async def test_a_webhook_that_says_its_secrets_back_finds_them_nowhere(tmp_path, hook, monkeypatch, capsys):
    """In the reason of a failure, which is kept, logged and shown. Masked as it is, escaped, and as HTTP spells it."""
    monkeypatch.setattr(masking, "_hidden", {})
    token = "Xy7Qp2Lm9Rt4Wv8Zk1"
    monkeypatch.setenv("TAPELINE_ALERTS_LOUD_SECRET", f"json://ops:{PASSWORD}@{hook.address}/{token}")
    hook.status, hook.says = 500, f"no: {{}} {PASSWORD} {token} \\u0063{PASSWORD[1:]} ops%3A{PASSWORD}"
    chosen = settings(tmp_path, hook, notify=("loud",), attempts=3)
    async with session(chosen) as live, aiohttp.ClientSession(live.address) as http:
        post = live.alerts.posts["loud"]
        await until(lambda: post.given_up)
        assert "no: Basic ***" in post.error
        said = [post.error]
        for path in ("alerts", "alerts/rules", "status"):
            async with http.get(f"/api/v1/{path}") as answer:
                said.append(await answer.text())
    assert len(hook.bodies) == 3
    heard = capsys.readouterr()
    basic = hook.heard.split()[1]
    for secret in (PASSWORD, PASSWORD[1:], token, basic):
        assert secret not in "".join(said) + heard.out + heard.err
        assert secret.encode() not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


class Program:
    """`tapeline record` in a process of its own."""

    def __init__(self, chosen: Settings) -> None:
        place = Path(chosen.data).parent
        (place / "tapeline.toml").write_text(_toml(chosen))
        env = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")} | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        words = [sys.executable, "-m", "tapeline", "record", "--simulate"]
        self.process = subprocess.Popen(words, cwd=place, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        self.process.send_signal(number)
        await asyncio.to_thread(self.process.communicate)


def _toml(chosen: Settings) -> str:
    """Settings that differ from the defaults, as a file."""
    plain, lines = Settings(), []

    def walk(now: Any, default: Any, at: str) -> None:
        for name in now.__struct_fields__:
            value, normal = getattr(now, name), getattr(default, name)
            key = f"{at}{name}"
            if isinstance(value, dict):
                for one, inner in value.items():
                    walk(inner, type(inner)(), f"{key}.{one}.")
            elif isinstance(value, msgspec.Struct):
                walk(value, normal, f"{key}.")
            elif value != normal:
                lines.append(f"{key} = {msgspec.json.encode(value).decode()}")

    walk(chosen, plain, "")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_kill_after_it_was_sent_raises_and_sends_nothing_again(tmp_path, hook):
    data = tmp_path / "data"
    chosen = settings(data, hook)
    first = Program(chosen)
    await until(lambda: hook.bodies, 60)
    await first.kill()
    for _ in range(2):
        again = Program(chosen)
        await until(lambda: _events(data) > 0, 60)
        await asyncio.sleep(1.0)
        await again.kill()
    last = Program(chosen)
    await until(lambda: _events(data) > 0, 60)
    await last.stop()
    assert len(set(hook.ids)) == 1, "raised once"
    assert len(hook.ids) == 1 or "you may have this message already" in hook.bodies[1]["message"]
    assert {a.id for a in on_tape(data)} == set(hook.ids)


def _events(data: Path) -> int:
    """Frames on the tape of the newest session."""
    found = sorted(reader.sessions(data), key=lambda s: s.id) if (data / "tape").is_dir() else []
    return found[-1].frames if found and found[-1].live else 0


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_kill_while_it_is_sent_sends_it_again_under_the_same_id_and_says_so(tmp_path, hook):
    data = tmp_path / "data"
    chosen = settings(data, hook)
    hook.gate.clear()
    first = Program(chosen)
    await until(lambda: hook.bodies, 60)
    await first.kill()
    hook.gate.set()
    second = Program(chosen)
    await until(lambda: len(hook.bodies) == 2, 60)
    await second.stop()
    assert len(set(hook.ids)) == 1
    assert "may have this message already" not in hook.bodies[0]["message"]
    assert "you may have this message already" in hook.bodies[1]["message"]
    assert {a.id for a in on_tape(data)} == set(hook.ids)

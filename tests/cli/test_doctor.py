import importlib.util
import json
import re
import socket
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tapeline.cli import checks, context
from tapeline.cli.doctor import doctor
from tapeline.config import Settings
from tapeline.errors import VenueError
from tapeline.venues.registry import VENUES
from tests.cli.venue import venue

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(context, "config", None)
    monkeypatch.setattr(context, "assignments", {"server.port": "0"})
    monkeypatch.setattr(checks, "page", lambda: checks.Check("page", "ok", "built"))
    monkeypatch.setattr(checks, "LITTLE", 0)
    return tmp_path


def at(monkeypatch, address: str) -> None:
    for name in VENUES:
        monkeypatch.setitem(context.assignments, f"venues.{name}.http_url", address)


async def checked(capsys, **options) -> tuple[int, dict[str, dict[str, str]]]:
    code = await doctor(json=True, **options)
    return code, {c["name"]: c for c in json.loads(capsys.readouterr().out)}


async def test_all_is_well(monkeypatch, capsys):
    with venue() as address:
        at(monkeypatch, address)
        code, found = await checked(capsys)
    assert code == 0
    assert found["venue binance"]["state"] == found["clock"]["state"] == found["data"]["state"] == "ok"
    for name in ("python", "packages", "port", "open files", "time zones", "browser"):
        assert name in found


def test_every_dependency_is_looked_for():
    """By the names that are imported, whatever their packages are called."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {re.match(r"[\w-]+", d)[0].lower().replace("-", "_") for d in declared} - {"uvloop"}
    called = {"dotenv": "python_dotenv", "google.protobuf": "protobuf"}
    assert {called.get(name, name) for name in checks.PACKAGES} == wanted


@pytest.mark.parametrize("name", ["structlog", "google"])
def test_a_package_that_is_missing_is_named(monkeypatch, name):
    find = importlib.util.find_spec

    def found(module):
        package, _, below = module.partition(".")
        if package == name and below:
            raise ModuleNotFoundError(name=name)
        return None if package == name else find(module)

    monkeypatch.setattr(importlib.util, "find_spec", found)
    check = checks.packages()
    assert check.state == "fail"
    assert name in check.text


async def test_one_line_a_check(monkeypatch, capsys):
    with venue(451) as address:
        at(monkeypatch, address)
        assert await doctor() == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in {"ok", "warn", "fail"} for line in lines)
    refused = next(line for line in lines if "venue binance " in line)
    assert refused.startswith("warn")
    assert "does not serve this region (HTTP 451)" in refused
    assert "simulated market" in refused


@pytest.mark.parametrize(("shift", "words"), [(600.0, "600 s behind"), (-600.0, "600 s ahead of")])
async def test_a_clock_that_is_off_is_said(monkeypatch, capsys, shift, words):
    with venue(shift=shift) as address:
        at(monkeypatch, address)
        _, found = await checked(capsys)
    assert found["clock"]["state"] == "warn"
    seconds = int(found["clock"]["text"].split()[0])
    assert 570 <= seconds <= 630
    assert words.split(maxsplit=2)[2] in found["clock"]["text"]


async def test_nobody_at_the_address_is_a_warning_and_a_failure_only_when_strict(monkeypatch, capsys):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))  # bound, not listening: refused
        at(monkeypatch, f"http://127.0.0.1:{s.getsockname()[1]}")
        code, found = await checked(capsys)
        assert code == 0
        assert "cannot be reached" in found["venue binance"]["text"]
        assert found["clock"]["state"] == "warn"
        with pytest.raises(VenueError, match="no venue answers"):
            await doctor(strict=True)


async def test_an_unknown_name_is_a_matter_of_dns(monkeypatch, capsys):
    at(monkeypatch, "http://no-such-venue.invalid")
    _, found = await checked(capsys)
    assert found["venue binance"]["text"].startswith("DNS does not know no-such-venue.invalid")


def test_a_place_that_cannot_be_written_fails(place):
    (place / "file").write_text("")
    found = checks.data(place / "file")
    assert (found.state, found.fix != "") == ("fail", True)


def test_free_space(place, monkeypatch):
    monkeypatch.setattr(checks, "LITTLE", 1 << 60)
    assert checks.data(place / "new" / "data").state == "warn"
    monkeypatch.setattr(checks, "TOO_LITTLE", 1 << 60)
    assert checks.data(place).state == "fail"
    assert not (place / "new").exists()


def test_a_port_that_tapeline_itself_holds_is_well():
    class Running(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("X-Tapeline-Mode", "live")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Running) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        found = checks.port("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()
    assert (found.state, found.text.partition(": ")[2]) == ("ok", "a Tapeline runs there")


def test_a_port_in_use_is_named(monkeypatch):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        number = s.getsockname()[1]
        found = checks.port("127.0.0.1", number)
    assert found.state == "warn"
    assert str(number) in found.text
    assert checks.port("127.0.0.1", 0).state == "ok"


def test_few_open_files_are_a_warning(monkeypatch):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    assert checks.files().fix == "raise it: ulimit -n 4096"


def test_a_missing_package_fails(monkeypatch):
    monkeypatch.setattr(checks, "PACKAGES", ("msgspec", "no_such_package_here"))
    assert checks.packages().text == "missing: no_such_package_here"


async def test_a_failed_check_makes_it_exit_1(monkeypatch, capsys):
    monkeypatch.setattr(checks, "page", lambda: checks.Check("page", "fail", "the page is not built", "run `make setup`"))
    with venue() as address:
        at(monkeypatch, address)
        assert await doctor() == 1
    assert "fail  page" in capsys.readouterr().out


def test_the_defaults_can_be_checked():
    assert {c.name for c in checks.machine(Settings())} >= {"python", "data", "page"}

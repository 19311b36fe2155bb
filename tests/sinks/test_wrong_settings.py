"""Settings with which a durable log cannot work: one clear line, and exit 3."""

import importlib
import sys

import msgspec
import pytest

from tapeline.config import Settings
from tapeline.errors import ConfigError
from tapeline.sinks.registry import SINKS, make
from tests.live.program import Program
from tests.services.server import free_port

ADDRESSES = {
    "redis": ("redis.address", "redis://127.0.0.1:{port}/0"),
    "nats": ("nats.servers", "nats://127.0.0.1:{port}"),
    "kafka": ("kafka.brokers", "127.0.0.1:{port}"),
}

PACKAGES = {"redis": "redis", "nats": "nats", "kafka": "confluent_kafka"}


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_server_ends_the_program_with_one_line_and_exit_3(name, tmp_path):
    key, address = ADDRESSES[name]
    sets = {f"sinks.{name}": "true", key: address.format(port=free_port()), "data": str(tmp_path / "data")}
    words = [word for pair in sets.items() for word in ("--set", "=".join(pair))]
    with Program("record", "--simulate", "binance:BTC-USDT", *words, cwd=tmp_path) as program:
        assert program.wait() == 3
    said = [line for line in program.said.splitlines() if line]
    assert len(said) == 1, program.said
    assert f"setting {key} = " in said[0]
    assert "start it, or set another" in said[0]


@pytest.mark.parametrize(("name", "package"), PACKAGES.items())
def test_a_missing_package_is_named_with_what_installs_it(name, package, tmp_path, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    importlib.import_module(f"tapeline.sinks.{name}")  # the sink itself is there without it
    with pytest.raises(
        ConfigError, match=rf"setting sinks.{name} = True: .* is not installed: `pip install 'tapeline\[{name}\]'`"
    ):
        SINKS[name](tmp_path, Settings()).open()
    SINKS[name](tmp_path, Settings()).close()


@pytest.mark.parametrize(("name", "package"), [("postgres", "psycopg"), ("questdb", "questdb")])
def test_a_sink_that_cannot_be_imported_without_its_package_says_the_same(name, package, tmp_path, monkeypatch):
    ours = (f"tapeline.sinks.{name}", f"tapeline.sinks.{name}_")
    for module in [m for m in sys.modules if m.split(".")[0] == package or m.startswith(ours)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    settings = msgspec.convert({"sinks": {name: True}}, Settings)
    with pytest.raises(ConfigError, match=rf"not installed \({package}\): pip install 'tapeline\[{name}\]'"):
        make(tmp_path, settings)


def test_a_package_of_which_half_is_there_says_what_it_lacks(tmp_path, monkeypatch):
    """psycopg without the library of PostgreSQL that the extra brings."""

    def lacking(*_):
        raise ImportError("no pq wrapper available.\nAttempts made:\n- couldn't import psycopg 'c' implementation")

    monkeypatch.setitem(SINKS, "postgres", lacking)
    settings = msgspec.convert({"sinks": {"postgres": True}}, Settings)
    with pytest.raises(ConfigError, match=r"not whole \(no pq wrapper available\.\): pip install 'tapeline\[postgres\]'$"):
        make(tmp_path, settings)


@pytest.mark.parametrize("password", ["c0ff/ee", "c0]ff", "c0[ff"])
@pytest.mark.parametrize(("name", "scheme"), [("redis", "redis"), ("nats", "nats")])
def test_an_address_that_cannot_be_read_shows_no_piece_of_its_password(name, scheme, password, tmp_path):
    key = ADDRESSES[name][0]
    section, setting = key.split(".")
    settings = msgspec.convert({section: {setting: f"{scheme}://user:{password}@localhost:1"}}, Settings)
    sink = SINKS[name](tmp_path, settings)
    with pytest.raises(ConfigError, match=rf"setting {key} = '{scheme}://\*\*\*@localhost:1': is no address") as error:
        sink.open()
    sink.close()
    assert "c0" not in str(error.value)
    assert f"TAPELINE_{name.upper()}_PASSWORD" in str(error.value)


@pytest.mark.parametrize("servers", ["nats://localhost:abc", "nats://one:4222,nats://two:99999"])
def test_an_address_of_nats_that_is_none_is_said(servers, tmp_path):
    settings = msgspec.convert({"nats": {"servers": servers}}, Settings)
    with pytest.raises(ConfigError, match=r"nats\.servers.* is no address: write nats://HOST:PORT"):
        SINKS["nats"](tmp_path, settings).open()

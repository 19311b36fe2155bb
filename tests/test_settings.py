"""Each source, their order, and what a wrong setting says."""

from pathlib import Path

import pytest

from tapeline import masking
from tapeline.config import Settings
from tapeline.errors import ConfigError
from tapeline.settings import catalogue, load, value_of

VENUES = ["binance", "binance-usdm", "sim"]


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})


def read(tmp_path: Path, *, toml: str = "", dotenv: str = "", flags=None, **env: str):
    if toml:
        (tmp_path / "tapeline.toml").write_text(toml)
    if dotenv:
        (tmp_path / ".env").write_text(dotenv)
    return load(flags, env=env, directory=tmp_path, venues=VENUES)


def test_without_any_source_the_defaults_are_in_force(tmp_path):
    loaded = read(tmp_path)
    assert loaded.settings == Settings()
    assert loaded.origin("server.port") == "default"
    assert loaded.file is None


def test_flags_beat_the_environment_which_beats_dotenv_which_beats_the_file(tmp_path):
    toml = '[server]\nport = 1\n[tape]\nmode = "strict"\n[wire]\nbackoff_most = 5\n'
    dotenv = "TAPELINE_SERVER_PORT=2\nTAPELINE_WIRE_BACKOFF_MOST=6\n"
    loaded = read(tmp_path, toml=toml, dotenv=dotenv, TAPELINE_SERVER_PORT="3")
    assert (loaded.settings.server.port, loaded.settings.tape.mode, loaded.settings.wire.backoff_most) == (3, "strict", 6.0)
    assert loaded.origin("server.port") == "environment TAPELINE_SERVER_PORT"
    assert loaded.origin("wire.backoff_most") == ".env TAPELINE_WIRE_BACKOFF_MOST"
    assert loaded.origin("tape.mode") == "tapeline.toml"
    loaded = read(tmp_path, flags={"server.port": 4, "data": None}, TAPELINE_SERVER_PORT="3")
    assert (loaded.settings.server.port, loaded.origin("server.port"), loaded.origin("data")) == (4, "flag", "default")


def test_a_file_that_an_editor_began_with_a_mark_of_utf_8_is_read(tmp_path):
    assert read(tmp_path, toml="\ufeff[server]\nport = 1\n").settings.server.port == 1


def test_texts_of_the_environment_become_the_keys_types(tmp_path):
    settings = read(
        tmp_path,
        TAPELINE_INSTRUMENTS="binance:BTC-USDT, sim:ETH-USDT,",
        TAPELINE_SINKS_LAKE="false",
        TAPELINE_SERVER_PUSH_HZ="7.5",
        TAPELINE_DATA="",
    ).settings
    assert settings.instruments == ("binance:BTC-USDT", "sim:ETH-USDT")
    assert settings.sinks.lake is False
    assert settings.server.push_hz == 7.5
    assert settings.data == "data"  # an empty variable is none


def test_venues_are_named_with_underscores_in_the_environment_and_as_they_are_in_the_file(tmp_path):
    toml = '[venues.binance-usdm]\nws_url = "ws://127.0.0.1:1"\n'
    loaded = read(
        tmp_path,
        toml=toml,
        TAPELINE_VENUES_BINANCE_USDM_HTTP_URL="http://127.0.0.1:2",
        TAPELINE_VENUES_BINANCE_WS_URL="wss://mirror",
    )
    venues = loaded.settings.venues
    assert (venues["binance-usdm"].ws_url, venues["binance-usdm"].http_url) == ("ws://127.0.0.1:1", "http://127.0.0.1:2")
    assert venues["binance"].ws_url == "wss://mirror"
    assert value_of(loaded.settings, "venues.binance.ws_url") == "wss://mirror"
    assert value_of(loaded.settings, "venues.sim.time_unit") == "ms"


@pytest.mark.parametrize(
    ("sources", "key", "words"),
    [
        ({"TAPELINE_SERVR_PORT": "1"}, "TAPELINE_SERVR_PORT", "did you mean TAPELINE_SERVER_PORT?"),
        ({"toml": "[server]\nprot = 1"}, "server.prot", "did you mean server.port?"),
        ({"toml": "server = 1"}, "server", "no such setting (tapeline.toml)"),
        ({"toml": "[server]\nport = '1'"}, "server.port", "a whole number from 0 to 65535 (tapeline.toml)"),
        ({"TAPELINE_SERVER_PORT": "70000"}, "server.port", "from 0 to 65535 (environment TAPELINE_SERVER_PORT)"),
        (
            {"toml": f"[server]\nhistory_trades = {10**20}"},
            "server.history_trades",
            "at least 100, at most 1000000000 (tapeline",
        ),
        ({"TAPELINE_KEEP_TAPE_DAYS": "1e30"}, "keep.tape_days", "at most 1000000000 (environment"),
        ({"toml": "[server]\nhost = ''"}, "server.host", "names nothing: leave it out for the default"),
        ({"toml": "instruments = []"}, "instruments", "names nothing: leave it out for the default"),
        ({"toml": 'data = "a\\u0000b"'}, "data", "holds a NUL"),
        ({"TAPELINE_SERVER_PUSH_HZ": "0"}, "server.push_hz", "greater than 0 and at most 50"),
        ({"TAPELINE_TAPE_MODE": "fast"}, "tape.mode", "one of default, strict"),
        ({"TAPELINE_CHANNELS": "trade,book"}, "channels", "did you mean trades?"),
        ({"TAPELINE_SINKS_LAKE": "maybe"}, "sinks.lake", "true or false"),
        ({"TAPELINE_INSTRUMENTS": "BTCUSDT"}, "instruments", "write venue:symbol"),
        ({"TAPELINE_VENUES_BINANC_WS_URL": "ws://x"}, "venues.binanc.ws_url", "venues are binance, binance-usdm, sim"),
        ({"TAPELINE_VENUES_BINANCE_WS_URL": "http://x"}, "venues.binance.ws_url", "ws:// or wss://"),
        ({"flags": {"server.prt": 1}}, "server.prt", "did you mean server.port?"),
        ({"TAPELINE_CONFIG": "none.toml"}, "config", "no such file"),
        ({"toml": "a = = 1"}, "config", "cannot be read"),
    ],
)
def test_a_wrong_setting_names_the_key_the_source_and_the_fix(tmp_path, sources, key, words):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, **sources)
    assert caught.value.key == key
    assert words in str(caught.value)
    assert caught.value.exit_code == 3


def test_secrets_are_kept_apart_and_masked_from_then_on(tmp_path):
    loaded = read(tmp_path, dotenv="TAPELINE_FINNHUB_TOKEN=c0ffee-1234\n", TAPELINE_VENUES_OKX_SECRET="dec0de-5678")
    assert loaded.secrets == {"TAPELINE_FINNHUB_TOKEN": "c0ffee-1234", "TAPELINE_VENUES_OKX_SECRET": "dec0de-5678"}
    assert "c0ffee" not in repr(loaded)
    assert masking.mask("at c0ffee-1234 and dec0de-5678") == "at *** and ***"


def test_an_error_does_not_show_the_password_in_an_address(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, TAPELINE_VENUES_BINANCE_WS_URL="http://me:c0ffee@proxy")
    assert "c0ffee" not in str(caught.value)


def test_every_setting_is_described_and_its_default_is_allowed(tmp_path):
    for name, key in catalogue().items():
        assert key.description.endswith("."), name
        concrete = name.replace("*", "binance", 1).replace("*", "trades")
        value_of(load({concrete: key.default}, env={}, directory=tmp_path).settings, concrete)

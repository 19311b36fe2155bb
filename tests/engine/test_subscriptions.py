"""The set of what is subscribed, and the file in which it outlives the session."""

import json
from pathlib import Path

import pytest

from tapeline.engine import subscriptions
from tapeline.engine.subscriptions import FILE, Changed, joined, less, load, save
from tapeline.errors import ConfigError, Refused, Unreachable, UsageError, VenueError

CONFIGURED = (("binance:BTC-USDT",), ("trades",))


def test_channels_join_once_and_in_order() -> None:
    assert joined(("trades", "book"), ("book", "quotes")) == ("trades", "book", "quotes")
    assert less(("trades", "book"), ("trades",)) == ("book",)
    assert less(("trades", "book"), None) == ()


def test_what_is_saved_is_loaded_and_readable(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    save(tmp_path, CONFIGURED, {"binance:BTC-USDT": ["trades"], "kraken:BTC-USD": ("book", "trades")})
    kept = load(tmp_path)
    assert kept is not None
    assert kept.subscriptions == {"binance:BTC-USDT": ("trades",), "kraken:BTC-USD": ("book", "trades")}
    assert kept.configured == CONFIGURED
    assert json.loads((tmp_path / FILE).read_text())["subscriptions"]["kraken:BTC-USD"] == ["book", "trades"]
    save(tmp_path, CONFIGURED, {})
    assert [p.name for p in tmp_path.iterdir()] == [FILE], "nothing lies beside it"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "subscriptions": {}}',
        '{"subscriptions": {"binance:BTC-USDT": ["tardes"]}}',
        '{"subscriptions": {"binance:BTC-USDT": "trades"}}',
    ],
)
def test_a_file_that_is_none_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError):
        load(tmp_path)


def test_a_write_that_fails_leaves_the_old_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, CONFIGURED, {"binance:BTC-USDT": ["trades"]})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(subscriptions.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, CONFIGURED, {})
    kept = load(tmp_path)
    assert kept is not None
    assert list(kept.subscriptions) == ["binance:BTC-USDT"]


def test_one_failure_is_raised_as_it_is_and_several_as_one() -> None:
    Changed(("a",), {}).check()
    refused = Refused("kraken: 451", 451)
    with pytest.raises(Refused) as caught:
        Changed((), {"a": refused, "b": refused}).check()
    assert caught.value is refused
    with pytest.raises(ConfigError):
        Changed((), {"a": ConfigError("K", None, "set it")}).check()
    with pytest.raises(VenueError, match=r"451; no answer"):
        Changed((), {"a": refused, "b": Unreachable("no answer")}).check()
    with pytest.raises(UsageError, match=r"451; lists no X"):
        Changed((), {"a": refused, "b": UsageError("lists no X")}).check()

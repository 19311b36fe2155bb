"""Where a key comes from, in which order, and that it is hidden at once."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tapeline import masking
from tapeline.errors import ConfigError
from tapeline.keys import key_of, secret_of
from tapeline.masking import mask

FIRST, SECOND = "FINNHUB_API_KEY", "TAPELINE_FINNHUB_KEY"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed


def keyring(monkeypatch: pytest.MonkeyPatch, key: str | None, *, broken: bool = False) -> None:
    class KeyringError(Exception):
        pass

    def get_password(service: str, name: str) -> str | None:
        if broken:
            raise KeyringError
        return key if (service, name) == ("tapeline", "finnhub") else None

    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    module.get_password, module.errors, errors.KeyringError = get_password, errors, KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def test_the_environment_then_the_file_then_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring(monkeypatch, "of-the-keyring")
    assert key_of("finnhub", env={}, directory=tmp_path) == "of-the-keyring"
    (tmp_path / ".env").write_text(f"{SECOND}=of-the-file-2\n")
    assert key_of("finnhub", env={}, directory=tmp_path) == "of-the-file-2"
    (tmp_path / ".env").write_text(f"{FIRST}='of-the-file'\n{SECOND}=of-the-file-2\n")
    assert key_of("finnhub", env={FIRST: ""}, directory=tmp_path) == "of-the-file"
    assert key_of("finnhub", env={SECOND: "of-the-env-2"}, directory=tmp_path) == "of-the-env-2"
    assert key_of("finnhub", env={FIRST: " of-the-env\n", SECOND: "of-the-env-2"}, directory=tmp_path) == "of-the-env"
    assert mask("of-the-env of-the-env-2 of-the-file of-the-file-2 of-the-keyring") == " ".join(["***"] * 5)


def test_a_venue_that_needs_none_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert key_of("", env={}, directory=tmp_path) == ""


@pytest.mark.parametrize("broken", [None, True, False])
def test_a_missing_key_names_the_variable_and_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool | None
) -> None:
    if broken is not None:
        keyring(monkeypatch, None, broken=broken)
    with pytest.raises(ConfigError) as caught:
        key_of("finnhub", "https://finnhub.io/register", env={}, directory=tmp_path)
    for word in (FIRST, SECOND, ".env", "keyring", "https://finnhub.io/register"):
        assert word in str(caught.value)


@pytest.mark.parametrize("key", ["short", "with a blank in it", "line\nbreak-in-it", "ünïcöde-key"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        key_of("finnhub", env={FIRST: key}, directory=tmp_path)
    assert FIRST in str(caught.value)
    assert key not in str(caught.value)


def test_a_sink_gets_its_secret_from_the_environment_or_the_file_and_it_is_hidden(tmp_path: Path) -> None:
    assert secret_of("postgres", "PASSWORD", env={}, directory=tmp_path) == ""
    (tmp_path / ".env").write_text("TAPELINE_POSTGRES_PASSWORD=of-the-file\n")
    assert secret_of("postgres", "PASSWORD", env={}, directory=tmp_path) == "of-the-file"
    assert (
        secret_of("postgres", "PASSWORD", env={"TAPELINE_POSTGRES_PASSWORD": " two words \n"}, directory=tmp_path)
        == " two words "
    )
    assert mask("of-the-file, two words .") == "***,***."


def test_a_secret_under_a_name_that_would_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="TAPELINE_REDIS_ADDRESS"):
        secret_of("redis", "address", env={}, directory=tmp_path)

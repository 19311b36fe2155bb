import pytest

from tapeline.wire.address import proxy_for

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "wss://a.test/", None),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://a.test/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.test/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "ws://a.test/", None),
        ({"HTTP_PROXY": "p:1"}, "ws://a.test/", "http://p:1"),
        ({"ALL_PROXY": "socks5h://p:1"}, "wss://a.test/", "socks5://p:1"),
        ({"ALL_PROXY": "socks5://p:1", "https_proxy": "http://q:2"}, "wss://a.test/", "http://q:2"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".test"}, "wss://a.test:9443/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.test:443"}, "wss://a.test:9443/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "wss://a.test/", None),
        ({"ALL_PROXY": "http://p:1"}, "ws://127.0.0.2:80/", None),
        ({"ALL_PROXY": "http://p:1"}, "ws://[::1]:80/", None),
        ({"ALL_PROXY": "http://p:1"}, "ws://localhost/", None),
    ],
)
def test_the_proxy_of_an_address(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy

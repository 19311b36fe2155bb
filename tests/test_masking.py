import pytest

from tapeline import masking
from tapeline.masking import conceal, conceal_bytes, hide, holds, is_secret, mask, mask_bytes, mask_headers


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wss://ws.finnhub.io?token=c0ffee123", "wss://ws.finnhub.io?token=***"),
        ("https://api/x?a=1&apiKey=c0ffee&b=2", "https://api/x?a=1&apiKey=***&b=2"),
        ("https://api/x?key=c0ffee&b=2", "https://api/x?key=***&b=2"),
        ("http://user:c0ffee@proxy:3128/", "http://***@proxy:3128/"),
        ("postgresql://user:c0ff/c0ffee@host:5432/db", "postgresql://***@host:5432/db"),
        ("postgresql://user:c0@ff/c0ffee@host/db", "postgresql://***@host/db"),
        ("redis://:c0ffee@c0ffee@host:6379/0", "redis://***@host:6379/0"),
        ("nats://a:c0ffee@one:4222,nats://b:c0/c0ffee@two:4222", "nats://***@one:4222,nats://***@two:4222"),
        ('{"op":"login","args":[{"apiKey":"c0ffee","passphrase":"c0ffee","sign":"c0ffee"}]}', None),
        ("Authorization: Bearer c0ffee.c0ffee", "Authorization: Bearer ***"),
        ("listenKey=c0ffee", "listenKey=***"),
        ("X-MBX-APIKEY: c0ffee", "X-MBX-APIKEY: ***"),
    ],
)
def test_a_secret_is_known_by_its_shape(text, shown):
    masked = mask(text)
    assert "c0ffee" not in masked
    if shown and "Bearer" not in text:
        assert masked == shown


@pytest.mark.parametrize(
    "text",
    [
        '{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth"],"id":1}',
        "wss://stream.binance.com:9443/stream?streams=btcusdt@trade/btcusdt@depth@100ms",
        "ws://127.0.0.1:8080/ws/btcusdt@trade",
        "ws://[::1]:8080/ws/btcusdt@trade",
        "wss://stream.binance.com/ws/btcusdt@trade",
        "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000",
        "mail me@example.org about keys: none",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert mask(text) == text


def test_a_hidden_value_is_masked_in_any_shape(monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})
    hide("s3cr3t-value")
    hide("abc")  # too short to hide: it would riddle the text
    assert mask("GET /path/s3cr3t-value/abc") == "GET /path/***/abc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r'{"passphrase":"a\"c0ffee, c0ffee","x":1}', '{"passphrase":"***","x":1}'),
        (r'{"passphrase":"a\\","x":1}', '{"passphrase":"***","x":1}'),
        (r'{"secret":"c0ffee\"', '{"secret":"***'),
        (r'{"args":"{\"token\":\"c0ffee\",\"x\":1}"}', r'{"args":"{\"token\":\"***\",\"x\":1}"}'),
        (r"x?token=a\c0ffee&y=1", "x?token=***&y=1"),
        ('{"token":"","x":"y"}', '{"token":"","x":"y"}'),
    ],
)
def test_a_quoted_secret_ends_at_its_quotation_mark_and_nowhere_before(text, shown):
    assert mask(text) == shown


@pytest.mark.parametrize(
    "said",
    [
        "no: k/3y&s-x",
        r"no: k\/3y\u0026s-x",
        r"no: \u006B\u002f3y&s-x",
        "/p%61th?k%2F3y%26s-x",
        "<p>k/3y&amp;s-x</p>",
        "k&#x2F;3y&#038;s-x",
    ],
)
def test_a_venue_may_say_a_hidden_value_back_in_any_spelling(said, monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})
    hide("k/3y&s-x")
    assert "***" in conceal(said)
    assert "3y" not in conceal(said)
    assert conceal_bytes(said.encode() + b"\xff") == conceal(said).encode() + b"\xff"


def test_what_a_venue_says_is_not_judged_by_its_shape():
    assert conceal('{"s":"X:TOKEN","token":"5"}') == '{"s":"X:TOKEN","token":"5"}'
    assert holds("wss://ws.finnhub.io?token=c0ffee123")
    assert not holds("wss://stream.binance.com:9443/stream?streams=btcusdt@trade")


def test_raw_messages_that_are_no_text_come_through():
    assert mask_bytes(b"\xff\xfe token=c0ffee") == b"\xff\xfe token=***"


def test_headers_by_their_names():
    assert mask_headers({"X-MBX-APIKEY": "c0ffee", "Accept": "*/*"}) == {"X-MBX-APIKEY": "***", "Accept": "*/*"}
    assert is_secret("TAPELINE_FINNHUB_TOKEN")
    assert is_secret("venues.finnhub.key")  # typed as a setting, which there is not: the error must not show it
    assert not is_secret("TAPELINE_TAPE_MODE")

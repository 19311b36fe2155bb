import pytest

from tapeline.terminal import words


def test_spark_from_lowest_to_highest() -> None:
    assert words.spark([1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"
    assert words.spark([1, 2, 3], 2) == "▁█"  # the last two
    assert words.spark([5, 5, 5], 9) == "▄▄▄"
    assert words.spark([], 9) == ""


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, "    "), (1, "████"), (2, "████"), (0.5, "██  "), (0.53125, "██▏ "), (-1, "    ")]
)
def test_bar_in_eighths(share: float, drawn: str) -> None:
    assert words.bar(share, 4) == drawn


def test_numbers_have_units() -> None:
    assert [words.size(v, 4) for v in (None, 0.12345, 12345.0, 1234567.0, 2e9)] == ["–", "0.1235", "12.35k", "1.23M", "2.00G"]
    assert [words.age(v) for v in (-1, 0.25, 5, 120, 7200)] == ["0ms", "250ms", "5s", "2m", "2h"]
    assert words.price(67250.5, 2) == "67,250.50"
    assert words.price(None, 2) == "–"
    assert words.clock(1_795_132_800_123_456, millis=True) == "00:00:00.123"
    assert words.change([100.0, 1.0], 110.0) == pytest.approx(10)
    assert words.change([], 110.0) is None

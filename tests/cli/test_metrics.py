"""`tapeline metrics`: every metric in one line, a search, one in full, JSON."""

import json

import pytest

from tapeline.cli.metrics import metrics
from tapeline.errors import UsageError
from tapeline.market.metrics import registry


def test_each_is_a_line_that_fits_and_begins_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    metrics()
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "metric"
    assert [line.split()[0] for line in lines] == [registry.form(found) for _, found in sorted(registry.METRICS.items())]
    assert max(map(len, lines)) < 200


def test_a_search_that_finds_few_tells_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    metrics("kyle")
    (_, line) = capsys.readouterr().out.splitlines()
    assert line.startswith("kyle_lambda_10m_10s")
    assert "Kyle" in line
    assert "1985" in line


def test_what_nothing_says_is_an_error() -> None:
    with pytest.raises(UsageError, match="no metric says 'moonphase'"):
        metrics("moonphase")


def test_json_has_parameters_and_parts(capsys: pytest.CaptureFixture[str]) -> None:
    metrics("depth_10bps", json=True)
    (entry,) = [e for e in json.loads(capsys.readouterr().out) if e["name"] == "depth"]
    assert (entry["form"], entry["parts"], entry["gap"]) == ("depth_10bps", ["bid", "ask"], "none")
    assert entry["parameters"][0]["default"] == "10bps"

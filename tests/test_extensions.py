"""Metrics of other packages: found by entry point, on the tape like ours, and no danger to the feed."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from tapeline import extensions
from tapeline.config import PipelineSettings
from tapeline.engine import checkpoint, extending
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import TapeError, UsageError
from tapeline.events import Event, Metrics, Status
from tapeline.frames import Frame
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Metric, Parameter, Sample
from tapeline.testing import check_metric
from tests.engine.feeds import MS, SECOND, T0, opened, recv, trade


class LargestTrade(Metric):
    """The largest size of the last `window`."""

    name = "largest_trade"
    parameters = (Parameter("window", "time", "1m"),)

    def sample(self, s: Sample) -> float | None:
        sizes = s.trades.size[s.trades.since(s.now - self.reach) :]
        return float(sizes.max()) if len(sizes) else None


class Broken(Metric):
    name = "broken"

    def sample(self, s: Sample) -> float:
        return 1 / 0


class Leaving(Metric):
    name = "leaving"

    def sample(self, s: Sample) -> float:
        sys.exit(3)


class Unbegun(Metric):
    name = "unbegun"

    def begin(self) -> None:
        raise RuntimeError("no file")


class Wide(Metric):
    name = "wide"
    reach = "a minute"  # type: ignore[assignment]


class Vague(Broken):
    name = "vague"

    def sample(self, s: Sample) -> float:
        return 1.0

    def reaches_to(self, now: int) -> int:
        raise KeyError("when")


class NoMetric:
    name = "no_metric"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if packages with these entry points were installed."""
    here = __name__
    values = {
        "a": "LargestTrade",
        "b": "Broken",
        "c": "NoMetric",
        "d": "Missing",
        "e": "T0",
        "g": "Leaving",
        "h": "Unbegun",
        "i": "Wide",
        "j": "Vague",
    }
    points = EntryPoints(EntryPoint(name, f"{here}:{value}", "tapeline.metrics") for name, value in values.items())
    monkeypatch.setattr(extensions.importlib.metadata, "entry_points", lambda group: points.select(group=group))
    before = dict(registry.METRICS)
    extensions.found.cache_clear()
    extending.install.cache_clear()
    yield
    registry.METRICS.clear()
    registry.METRICS.update(before)
    extensions.found.cache_clear()
    extending.install.cache_clear()


def market(seconds: int) -> list[Frame]:
    frames = [opened(streams=["btcusdt@trade"])]
    times = [T0 + i * SECOND for i in range(seconds)]
    frames += [recv(ts, trade(i + 1, ts // MS, size=str(1 + i % 3))) for i, ts in enumerate(times)]
    return frames


def played(*metrics: str) -> tuple[list[Event], Pipeline]:
    pipeline, out = Pipeline(PipelineSettings(metrics=metrics)), []
    pipeline.feed_many(0, market(10), out)
    assert pipeline.faults == 0
    return out, pipeline


def samples(events: list[Event]) -> list[Metrics]:
    return [e for e in events if isinstance(e, Metrics) and e.values is not None]


@pytest.mark.usefixtures("installed")
def test_a_metric_of_another_package_is_sampled_like_ours() -> None:
    out, pipeline = played("largest_trade_2s")
    assert samples(out)[-1].values == {"largest_trade_2s": 3.0}
    with pytest.raises(TapeError, match="another package"):
        checkpoint.dump(pipeline)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "error"), [("broken", "ZeroDivisionError"), ("leaving", "SystemExit: 3"), ("vague", "KeyError: 'when'")]
)
def test_one_that_raises_is_told_of_once_and_the_others_go_on(name: str, error: str) -> None:
    out, _ = played(name, "volume_1m")
    (told,) = [e for e in out if isinstance(e, Status) and e.channel == "metrics"]
    assert told.kind == "rejected"
    assert f"{name} failed and is off from here on: {error}" in told.reason
    assert len(samples(out)) > 5


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "words"), [("unbegun", "Unbegun cannot be begun: RuntimeError: no file"), ("wide", "its reach is 'a minute'")]
)
def test_one_that_cannot_be_begun_is_said_before_the_start_and_the_others_of_a_recording_go_on(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        extending.metric(name)
    out, _ = played(name, "volume_1m")
    (told,) = [e for e in out if isinstance(e, Status) and e.channel == "metrics"]
    assert words in told.reason
    assert len(samples(out)) > 5


@pytest.mark.usefixtures("installed")
def test_what_is_no_metric_is_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(extensions.found("metrics")) == {*"abcghij"}
    with pytest.raises(UsageError, match="there is no metric 'no_metric'"):
        extending.metric("no_metric")
    said = "".join(capsys.readouterr())
    for name in ("name=c", "name=d", "name=e"):
        assert name in said


def test_a_package_that_is_a_script_and_exits_is_left_out_and_told(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "leaves_at_import.py").write_text("import sys\nsys.exit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = EntryPoints([EntryPoint("script", "leaves_at_import:Main", "tapeline.metrics")])
    monkeypatch.setattr(extensions.importlib.metadata, "entry_points", lambda group: points.select(group=group))
    extensions.found.cache_clear()
    assert extensions.found("metrics") == {}
    extensions.found.cache_clear()
    assert "SystemExit: 7" in "".join(capsys.readouterr())


def test_a_recording_that_names_a_metric_which_is_gone_says_so_and_plays_on() -> None:
    out, _ = played("gone_5m", "volume_1m")
    (told,) = [e for e in out if isinstance(e, Status) and e.channel == "metrics"]
    assert "there is no metric 'gone_5m'" in told.reason
    assert set(samples(out)[-1].values or {}) == {"volume_1m"}


def test_a_package_that_is_really_installed_is_found(tmp_path: Path) -> None:
    """A distribution on the path, as pip leaves it there."""
    (tmp_path / "whale.py").write_text(
        "import tapeline as tl\n\n\n"
        "class WhaleShare(tl.Metric):\n    name = 'whale_share'\n\n    def sample(self, s):\n        return 0.5\n"
    )
    info = tmp_path / "whale-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: whale\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tapeline.metrics]\nwhale_share = whale:WhaleShare\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tapeline.engine import extending\nprint(extending.metric('whale_share').sample(None))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.5"


def test_the_example_of_the_documents_passes_the_tests_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "analytics.md").read_text()
    example = re.search(r"```python\n(import tapeline as tl\n.*?)```", page, re.DOTALL)
    (tmp_path / "large_share.py").write_text(example[1])
    monkeypatch.syspath_prepend(tmp_path)
    names = vars(importlib.import_module("large_share"))
    monkeypatch.setattr(registry, "METRICS", dict(registry.METRICS))
    check_metric(names["LargeShare"])
    assert registry.form(names["LargeShare"]) == "large_share_5m_1"

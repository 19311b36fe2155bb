"""Every metric equals its batch twin on a made-up market in which everything goes wrong, and survives being put away."""

import pytest

from tapeline.errors import UsageError
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import History, Metric, Parameter, Sample
from tapeline.testing import check_metric


@pytest.mark.parametrize("name", sorted(registry.METRICS))
def test_it_equals_its_twin(name: str) -> None:
    """By itself: it must say how far it reaches."""
    check_metric(registry.form(registry.METRICS[name]), seeds=[0])


@pytest.mark.parametrize("seed", range(1, 6))
def test_all_of_them_at_once(seed: int) -> None:
    check_metric(*map(registry.form, registry.METRICS.values()), seeds=[seed])


def test_every_metric_says_what_it_is() -> None:
    for found in registry.METRICS.values():
        assert found.__doc__, found
        assert type(found).__name__
        assert found.batch is not Metric.batch, f"{found.name} has no twin"


class _Forgetful(Metric):
    """Counts trades, and forgets late ones."""

    name = "forgetful"

    def begin(self) -> None:
        self.last, self.count = -1, 0

    def sample(self, s: Sample) -> float:
        for place in s.new_trades.tolist():
            if s.trades.ts[place] >= self.last:
                self.last, self.count = int(s.trades.ts[place]), self.count + 1
        return self.count

    def batch(self, h: History) -> float:
        return len(h.price)


class _Amnesiac(Metric):
    """Keeps what cannot be kept."""

    name = "amnesiac"

    def begin(self) -> None:
        self.seen = 0

    def sample(self, s: Sample) -> float:
        self.seen += len(s.new_trades)
        return self.seen

    def __getstate__(self) -> dict[str, object]:
        return {"full_name": self.full_name, "seen": 0}


class _Greedy(Metric):
    """All that is kept, whoever keeps it."""

    name = "greedy"
    parameters = (Parameter("window", "time", "5s"),)

    def sample(self, s: Sample) -> float:
        return len(s.trades)


def test_the_check_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "METRICS", dict(registry.METRICS))
    with pytest.raises(AssertionError, match="its twin says"):
        check_metric(_Forgetful)
    with pytest.raises(AssertionError, match="once it was put away"):
        check_metric(_Amnesiac)
    with pytest.raises(AssertionError, match="beside a metric that reaches further back"):
        check_metric(_Greedy)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vwapp_5m", "there is no metric 'vwapp_5m'; did you mean vwap_5m?"),
        ("vwap_5", "'5' is no window, as in 5m; write vwap_5m"),
        ("vwap_0m", "out of range"),
        ("vwap_99d", "at most 31 days"),
        ("vwap_5m_3", "'3' is one parameter too many; write vwap_5m"),
        ("", "there is no metric ''"),
    ],
)
def test_a_wrong_name_gets_the_place_and_the_fix(name: str, said: str) -> None:
    with pytest.raises(UsageError) as e:
        registry.metric(name)
    assert said in str(e.value)


def test_the_kinds_of_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Everything(Metric):
        name = "every_thing"
        parameters = (
            Parameter("n", "count"),
            Parameter("width", "bps", "10bps"),
            Parameter("notional", "amount", "100k"),
            Parameter("since", "moment", "20261121T093000Z"),
            Parameter("bar", "interval", "1m"),
        )

    monkeypatch.setattr(registry, "METRICS", dict(registry.METRICS))
    registry.register(Everything)
    made = registry.metric("every_thing_14_2.5bps_1.5M")
    assert (made.n, made.width, made.notional, made.since, made.bar) == (14, 2.5, 1_500_000.0, 1_795_253_400 * 10**9, "1m")
    with pytest.raises(UsageError, match="its n is missing; write every_thing_14"):
        registry.metric("every_thing")
    with pytest.raises(UsageError, match="there is a metric every_thing already"):
        registry.register(type("Other", (Metric,), {"name": "every_thing"}))
    with pytest.raises(UsageError, match="must be lower-case words"):
        registry.register(type("Loud", (Metric,), {"name": "Loud!"}))

"""Rings of numbers: what they keep, what they forget, and what is not known in them."""

from tapeline.server.memory import samples as rooms
from tapeline.server.memory.samples import Samples
from tests.server.fakes import T0, sample

US = T0 // 1000


def test_a_metric_that_comes_later_or_pauses_is_not_known_there():
    samples = Samples()
    samples.put(sample(0, {"vwap_5m": 1.0}, "vwap_5m"))
    samples.put(sample(1, {"vwap_5m": 2.0, "profile_1h.poc": 7.0}, "profile_1h"))
    samples.put(sample(2, {"profile_1h.poc": 8.0}))
    assert samples.rows(["vwap_5m", "profile_1h.poc", "never"], 10) == {
        "times": [US, US + 1_000_000, US + 2_000_000],
        "values": {"vwap_5m": [1.0, 2.0, None], "profile_1h.poc": [None, 7.0, 8.0], "never": [None, None, None]},
        "incomplete": {"vwap_5m": [0], "profile_1h.poc": [1]},
    }
    assert samples.latest == sample(2, {"profile_1h.poc": 8.0})


def test_the_ring_forgets_the_oldest():
    samples = Samples(points=4)
    for n in range(11):
        samples.put(sample(n, {"x": float(n)}, "x" if n % 2 else None))
    whole = samples.rows(["x"], 99)
    assert (whole["values"], whole["incomplete"]) == ({"x": [7.0, 8.0, 9.0, 10.0]}, {"x": [0, 2]})
    assert samples.rows(["x"], 2)["times"] == [US + 9_000_000, US + 10_000_000]
    assert Samples().rows(["x"], 5) == {"times": [], "values": {"x": []}, "incomplete": {}}


def test_names_are_bounded_and_what_is_not_kept_is_counted(monkeypatch):
    monkeypatch.setattr(rooms, "MOST_NAMES", 3)
    samples = Samples(points=4)
    for _ in range(2):
        samples.put(sample(0, {f"m{i}": 1.0 for i in range(5)}))
    assert (sorted(samples.columns), samples.not_kept) == (["m0", "m1", "m2"], 4)
    assert samples.latest.values["m4"] == 1.0

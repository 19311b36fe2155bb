"""The soak's own tools: a plan of faults that repeats itself, and a comparison that misses nothing."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from tapeline.events import Bar, BookUpdate, Metrics, Quote, Status, Trade
from tapeline.lake.layout import dataset_glob
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.sqlite import FILE, SqliteSink
from tools import soak_faults, soak_proof

T = 1_795_132_800_123_456_789
NAME, SIM = "sim:BTC-USDT", 128


def bar(revision=0, volume=1.5):
    return Bar(NAME, T, T, SIM, "1s", T - 10**9, 1.0, 2.0, 0.5, 1.5, volume, None, 1.1, None, 3, True, revision, "trades")


def sample(ts, values, incomplete=None):
    return Metrics(NAME, ts, ts, SIM, 67250.015, 0.01, 0.00148, -0.9999600007999841, 67250.01, 7, values, incomplete)


def events():
    touch = (67250.01, 0.5, 67250.02, 1e-05, 7, "book")
    return [
        Trade(NAME, T, T + 1, SIM, 67250.01, 0.123456, "buy", "1"),
        Trade(NAME, T + 1, T + 2, SIM, 67250.02, 0.1 + 0.2, "sell", "2"),
        BookUpdate(NAME, T, T, SIM, [(67250.01, 0.5)], [], False, 7, 6),
        Quote(NAME, T, T, SIM, *touch),
        Quote(NAME, T + 1, T + 1, SIM, *touch),  # says nothing new: not in SQLite
        Quote(NAME, T + 2, T + 2, SIM, None, None, 67250.02, 1.0, 8, "book"),
        Metrics(NAME, T, T, SIM, 67250.015, 0.01, 0.00148, -0.9999600007999841, 67250.01, 7),
        sample(T, {"volume_1m": 0.1 + 0.2, "delta_1m": -12.5}),
        sample(T + 1, {"volume_1m": 0.1 + 0.2, "delta_1m": -12.5}),  # says nothing new: not in SQLite
        sample(T + 2, {"volume_1m": 0.1 + 0.2, "delta_1m": -12.5}, "volume_1m"),
        sample(T + 3, {}),
        bar(),
        bar(1, 1.75),
        Status("", T, T, SIM, "gap", "sim", "trades", "Lücke „zwölf“", 5, 2**63 + 5, None),  # an id that no table holds
    ]


@pytest.fixture
def kept(tmp_path):
    for sink in (SqliteSink(tmp_path), LakeSink(tmp_path)):
        sink.open()
        sink.commit("s", 9, events())
        sink.close()
    return tmp_path


@pytest.fixture
def expected():
    found = soak_proof.Expected()
    found.add(events())
    return found


def test_the_seed_alone_makes_the_plan():
    plan = soak_faults.schedule(7, 600, 5.0)
    assert plan == soak_faults.schedule(7, 600, 5.0)
    assert plan != soak_faults.schedule(8, 600, 5.0)
    gaps = [b.at - a.at for a, b in pairwise(plan)]
    assert all(2.5 <= gap <= 7.5 for gap in gaps)
    assert plan[-1].at < 600


def test_each_kind_comes_before_any_comes_again():
    bag = len(soak_faults.BAG)
    plan = soak_faults.schedule(3, 5 * 3 * bag, 5.0)
    names = [frozenset(str(f.__struct_config__.tag) for f in planned.faults) for planned in plan]
    assert sorted(map(sorted, names[:bag])) == sorted(map(sorted, names[bag : 2 * bag]))
    assert soak_faults.SHOWS_AS.keys() <= frozenset().union(*names)


def test_what_is_kept_equals_what_was_made(kept, expected):
    assert soak_proof.differences("sqlite", expected.sqlite(), soak_proof.kept_in_sqlite(kept)) == []
    assert soak_proof.differences("lake", expected.lake(), soak_proof.kept_in_lake(kept)) == []
    assert expected.sqlite()["quote"]["rows"] == 2
    assert expected.lake()["quote"]["rows"] == 3
    assert expected.sqlite()["metrics"]["rows"] == 4
    assert expected.lake()["metrics"]["rows"] == 5
    assert expected.sqlite()["bar"]["rows"] == 1


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM trades WHERE id = '1'", "sqlite: 1 rows of kind trade, and the tape makes 2"),
        ("INSERT INTO trades SELECT * FROM trades WHERE id = '1'", "sqlite: 3 rows of kind trade, and the tape makes 2"),
        (
            "UPDATE trades SET price = price + 0.01 WHERE id = '1'",
            "sqlite: the rows of kind trade differ from the tape's in price",
        ),
        (
            """UPDATE metrics SET "values" = replace("values", '-12.5', '-12.6')""",
            "sqlite: the rows of kind metrics differ from the tape's in values",
        ),
        ("UPDATE bars SET revision = 0", "sqlite: the rows of kind bar differ from the tape's in revision"),
        ("DELETE FROM status", "sqlite: 0 rows of kind status, and the tape makes 1"),
    ],
)
def test_a_row_lost_doubled_or_changed_in_sqlite_shows(kept, expected, statement, sentence):
    db = sqlite3.connect(kept / FILE)
    with db:
        db.execute(statement)
    db.close()
    assert soak_proof.differences("sqlite", expected.sqlite(), soak_proof.kept_in_sqlite(kept)) == [sentence]


def test_a_doubled_file_in_the_lake_shows(kept, expected):
    (path,) = kept.glob(str(Path(dataset_glob(kept, "book")).relative_to(kept)))
    path.with_name("again.parquet").write_bytes(path.read_bytes())
    found = soak_proof.differences("lake", expected.lake(), soak_proof.kept_in_lake(kept))
    assert found == ["lake: 2 rows of kind book, and the tape makes 1"]


def test_the_digest_depends_on_each_event_and_their_order_but_not_on_batches():
    def digest(*batches):
        d = soak_proof.Digest()
        for batch in batches:
            d.add(list(batch))
        return str(d)

    made = events()
    assert digest(made) == digest(made[:3], made[3:])
    assert digest(made) != digest(reversed(made))
    assert digest(made) != digest([msgspec.structs.replace(made[0], size=0.123457), *made[1:]])

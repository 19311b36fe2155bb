"""Swaps: a crash at each step leaves either the old files or the new ones, in the list and in the folders."""

from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.lake import store as store_module
from tapeline.lake import turns
from tapeline.lake.catalogue import fresh, read
from tapeline.lake.layout import unique_name
from tapeline.lake.state import Intent, LakeFile, LakeState, Outdated
from tapeline.lake.store import Store

FOLDER = "kind=book_snapshot/venue=x/instrument=A/date=2026-11-20"


class Crash(BaseException):
    """The process is gone: nothing may tidy up after it."""


@pytest.fixture
def opened(tmp_path):
    stores: list[Store] = []

    def make() -> Store:
        for old in stores:
            old.close()
        stores.append(Store(tmp_path))
        stores[-1].open()
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def staged(store: Store, *values: int) -> tuple[Intent, LakeFile]:
    """A file of a kind of its own in `_pending`, ready to be added."""
    name = unique_name("made")
    intent = Intent(f"{name}.tmp", f"{FOLDER}/{name}")
    pq.write_table(pa.table({"v": values}), store.pending / intent.pending)
    size = (store.pending / intent.pending).stat().st_size
    return intent, LakeFile(
        intent.final, "book_snapshot", "x", "A", "2026-11-20", min(values), max(values), len(values), size, compacted=True
    )


def by_glob(data: Path) -> list[int]:
    return sorted(
        v for p in (data / "lake" / FOLDER).glob("*.parquet") for v in pq.read_table(p, partitioning=None)["v"].to_pylist()
    )


def by_list(data: Path) -> list[int]:
    def values(catalogue):
        return sorted(v for f in catalogue.files for v in pq.read_table(catalogue.path(f), partitioning=None)["v"].to_pylist())

    return fresh(data, values)


def crash_at(call: int, real):
    calls = iter(range(1 << 30))

    def instead(*args, **kwargs):
        if next(calls) == call:
            raise Crash
        return real(*args, **kwargs)

    return instead


STEPS = [
    ("syncing the second new file", store_module, "sync_file", 1, False),
    ("before the transaction", LakeState, "swap", 0, False),
    ("right after it", LakeState, "removed", 0, True),
    ("moving the first file", Path, "replace", 0, True),
    ("moving the second file", Path, "replace", 1, True),
    ("unlinking the first file", store_module, "_unlink", 0, True),
    ("unlinking the third file", store_module, "_unlink", 2, True),
    ("before the moves are forgotten", LakeState, "moved", 0, True),
    ("before the unlinks are forgotten", LakeState, "unlinked", 0, True),
]


@pytest.mark.parametrize(("where", "name", "call", "kept"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS])
def test_a_crash_at_each_step_of_a_swap(opened, tmp_path, monkeypatch, where, name, call, kept):
    store = opened()
    old = [staged(store, i) for i in (1, 2, 3)]
    store.swap([], old)
    assert by_glob(tmp_path) == by_list(tmp_path) == [1, 2, 3]
    new = [staged(store, 10, 20), staged(store, 30)]
    with monkeypatch.context() as broken:
        broken.setattr(where, name, crash_at(call, getattr(where, name)))
        broken.setattr(Store, "discard", lambda *_: None)  # a dead process tidies nothing
        with pytest.raises(Crash):
            store.swap([f for _, f in old], new)
    seen = set(by_glob(tmp_path))
    assert seen >= {1, 2, 3} or seen >= {10, 20, 30}, "an event is missing, if only for a blink"
    opened()
    assert by_glob(tmp_path) == by_list(tmp_path) == ([10, 20, 30] if kept else [1, 2, 3])
    assert list(store.pending.iterdir()) == []


def test_a_file_that_cannot_be_unlinked_is_remembered_and_tried_again(opened, tmp_path, monkeypatch):
    store = opened()
    old = staged(store, 1)
    store.swap([], [old])
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError("a reader has it")))
        broken.setattr(Store, "_probe", lambda *_: None)
        store.swap([old[1]], [staged(store, 2)])
        assert by_glob(tmp_path) == [1, 2]
        assert by_list(tmp_path) == [2]
    store.commit("s", 0, 0, [])
    assert by_glob(tmp_path) == by_list(tmp_path) == [2]


def test_a_swap_of_what_is_gone_changes_nothing(opened, tmp_path):
    store = opened()
    one, two = staged(store, 1), staged(store, 2)
    store.swap([], [one, two])
    store.swap([one[1]], [])
    new = staged(store, 3)
    with pytest.raises(Outdated, match="no longer in the lake"):
        store.swap([two[1], one[1]], [new])
    assert by_glob(tmp_path) == by_list(tmp_path) == [2]
    assert list(store.pending.iterdir()) == []


def test_folders_that_become_empty_go(opened, tmp_path):
    store = opened()
    one = staged(store, 1)
    store.swap([], [one])
    store.swap([one[1]], [])
    assert [p.name for p in (tmp_path / "lake").iterdir() if p.name.startswith("kind=")] == []
    assert by_list(tmp_path) == []


def test_a_reader_whose_file_was_swapped_away_takes_a_new_catalogue(opened, tmp_path):
    store = opened()
    one = staged(store, 1)
    store.swap([], [one])
    seen = []

    def values(catalogue):
        seen.append([f.path for f in catalogue.files])
        if len(seen) == 1:  # between taking the catalogue and opening its files
            store.swap([one[1]], [staged(store, 1, 2)])
        return [v for f in catalogue.files for v in pq.read_table(catalogue.path(f), partitioning=None)["v"].to_pylist()]

    stale = read(tmp_path)
    assert fresh(tmp_path, values) == [1, 2]
    assert len(seen) == 2
    with pytest.raises(FileNotFoundError):
        pq.read_table(stale.path(stale.files[0]), partitioning=None)


def swapped_beside(store, old, new):
    thread = Thread(target=store.swap, args=([old[1]], [new]))
    thread.start()
    return thread


def test_a_swap_waits_for_a_reader_that_was_disturbed_once(opened, tmp_path):
    """Else a reader that is slower than the swaps would begin again for ever."""
    store = opened()
    one, two, three = staged(store, 1), staged(store, 2), staged(store, 3)
    store.swap([], [one])
    seen, threads = [], []

    def values(catalogue):
        seen.append([f.path for f in catalogue.files])
        if len(seen) == 1:
            store.swap([one[1]], [two])
        if len(seen) == 2:
            threads.append(swapped_beside(store, two, three))
            threads[0].join(0.1)
        return [v for f in catalogue.files for v in pq.read_table(catalogue.path(f), partitioning=None)["v"].to_pylist()]

    assert fresh(tmp_path, values) == [2]
    threads[0].join()
    assert len(seen) == 2
    assert by_list(tmp_path) == [3]


@pytest.mark.parametrize("how", ["patience", "hurry"])
def test_a_swap_does_not_wait_for_ever(opened, tmp_path, monkeypatch, how):
    store = opened()
    one, two = staged(store, 1), staged(store, 2)
    store.swap([], [one])
    store.swap([one[1]], [two])
    if how == "patience":
        monkeypatch.setattr(turns, "PATIENCE", 0.05)
    with turns.reading(store.root):
        thread = swapped_beside(store, two, staged(store, 3))
        if how == "hurry":
            store.hurry.set()
        thread.join()
        assert by_list(tmp_path) == [3]

"""A full collection of a long-running command visits what came since, and nothing is kept that nobody holds."""

import gc
import weakref

import pytest

from tapeline.cli.collecting import FIRST, settled


class Thing:
    other: "Thing | None" = None


def test_what_was_there_is_not_visited_and_what_came_is_collected() -> None:
    before, callbacks = Thing(), list(gc.callbacks)
    with settled():
        frozen = gc.get_freeze_count()
        assert frozen > 1000
        assert not any(one is before for one in gc.get_objects())
        for _ in range(FIRST + 2):
            late = Thing()
            late.other = late
            gone = weakref.ref(late)
            del late
            gc.collect()
            assert gone() is None
        stays = Thing()
        gc.collect()
        assert any(one is stays for one in gc.get_objects()), "only the first few collections are followed by a freeze"
        held = weakref.ref(before)
        del before
        assert held() is None, "what is frozen is freed by its count all the same"
    assert gc.get_freeze_count() == 0
    assert gc.callbacks == callbacks


def test_it_ends_where_the_command_fails() -> None:
    callbacks = list(gc.callbacks)
    with pytest.raises(ZeroDivisionError), settled():
        1 / 0  # noqa: B018  a fault
    assert (gc.get_freeze_count(), gc.callbacks) == (0, callbacks)

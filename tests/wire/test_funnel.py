import asyncio

from tapeline.frames import Frame, FrameKind
from tapeline.wire.funnel import BATCH, Funnel


def frames(a: int, b: int) -> list[Frame]:
    return [Frame(i, FrameKind.RECV, 1, b"") for i in range(a, b)]


async def test_what_fits_is_handed_on_at_once_and_the_rest_in_turn() -> None:
    got: list[list[int]] = []
    funnel = Funnel(lambda fs: got.append([f.ts_recv for f in fs]))
    funnel(frames(0, BATCH))
    assert got == [list(range(BATCH))]
    funnel(frames(256, 800))
    assert len(got) == 2
    assert funnel.waiting == 544 - 256
    funnel(frames(800, 801))  # another connection: it may not overtake
    emptied: list[int] = []
    funnel.when_empty(lambda: emptied.append(funnel.waiting))
    while funnel.waiting:
        await asyncio.sleep(0)
    assert emptied == [0]
    assert [ts for call in got for ts in call] == list(range(801))
    assert [len(g) for g in got] == [256, 256, 256, 33]


async def test_what_the_handler_itself_pushes_comes_after() -> None:
    got: list[int] = []

    def handle(fs: list[Frame]) -> None:
        if fs[0].ts_recv == 0:
            funnel(frames(1, 2))
        got.extend(f.ts_recv for f in fs)

    funnel = Funnel(handle)
    funnel(frames(0, 1))
    funnel.flush()
    assert got == [0, 1]


async def test_a_handler_that_failed_is_left_alone_and_what_follows_counted() -> None:
    calls: list[int] = []

    def handle(fs: list[Frame]) -> None:
        calls.append(len(fs))
        raise RuntimeError("disk")

    funnel = Funnel(handle)
    failed: list[bool] = []
    funnel.when_failed(lambda: failed.append(True))
    funnel(frames(0, 300))
    funnel.flush()
    assert isinstance(funnel.failed, RuntimeError)
    assert (calls, failed, funnel.lost) == ([256], [True], 300)
    funnel.when_failed(lambda: failed.append(False))
    assert failed == [True, False], "who comes late is told at once"


def test_a_funnel_is_not_wrapped_again() -> None:
    funnel = Funnel(print)
    assert Funnel.around(funnel) is funnel
    assert Funnel.around(print) is not funnel

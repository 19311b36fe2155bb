"""The simulator in a thread of its own: what goes wrong there is raised here, and nobody waits for it for ever."""

import pytest

from tapeline.sim import SimServer, threaded


def test_a_start_that_fails_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> SimServer:
        raise RuntimeError("no thread, no memory, no files")

    monkeypatch.setattr(threaded, "SimServer", broken)
    with pytest.raises(RuntimeError, match="no files"), SimServer.in_thread():
        pass

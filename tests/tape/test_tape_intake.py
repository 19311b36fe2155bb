"""Sessions that come from elsewhere: on the tape whole or not at all."""

from pathlib import Path

import pytest

from tapeline.config import TapeSettings
from tapeline.errors import TapeError, UsageError
from tapeline.frames import Frame, FrameKind, Session, Source
from tapeline.tape import intake, layout, reader

T0 = 1_559_347_383_123_878_400  # 2019-06-01T00:03:03.1238784Z
SOURCE = Source(name="a.gz", digest="d1" * 32, bytes=5, format="tardis")
HEAD = Session(id=intake.session_id(T0, [SOURCE]), version="1", note="imported", sources=[SOURCE])


def frames(n: int) -> list[Frame]:
    hour = 3600 * 1_000_000_000
    return [Frame(T0 + i * hour // 100, FrameKind.RECV, 1, b"%d" % i) for i in range(n)]


def brought(data: Path, n: int = 1000) -> int:
    before = reader.sessions(data)
    with intake.staged(data) as place:
        last = intake.write(place, HEAD, T0, frames(n), TapeSettings(mode="strict"))
        assert reader.sessions(data) == before
        intake.settle(place, data, HEAD.id)
    return last


def test_a_session_is_moved_onto_the_tape_whole_and_sealed(tmp_path: Path) -> None:
    assert brought(tmp_path) == 1000
    (info,) = reader.sessions(tmp_path)
    assert (info.id, info.frames, info.live, info.holes) == (HEAD.id, 1001, False, [])
    assert len(info.segments) == 4 and all(s.sealed for s in info.segments)
    assert [f.data for _, f in reader.read(tmp_path, HEAD.id, after=0)] == [f.data for f in frames(1000)]
    assert not reader.verify(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["tape"]


def test_its_id_is_of_its_own_time_and_of_its_sources() -> None:
    assert HEAD.id.startswith("20190601T000303Z-") and len(HEAD.id) == len("20190601T000303Z-12345678")
    other = Source(name="b", digest="e2" * 32, bytes=1, format="lines")
    assert intake.session_id(T0, [SOURCE, other]) == intake.session_id(T0, [other, SOURCE]) != HEAD.id


def test_what_was_imported_is_known_by_its_digest(tmp_path: Path) -> None:
    assert intake.known_sources(tmp_path) == {}
    brought(tmp_path)
    assert intake.known_sources(tmp_path) == {SOURCE.digest: HEAD.id}
    (tmp_path / "tape" / "20190101T000000Z-abcd").mkdir()  # a session without a head is none of ours
    assert intake.known_sources(tmp_path) == {SOURCE.digest: HEAD.id}


def test_what_a_killed_import_left_is_swept_away(tmp_path: Path) -> None:
    left = tmp_path / "importing" / "tape" / HEAD.id
    left.mkdir(parents=True)
    (left / "000000000000.open").write_bytes(b"half")
    assert reader.sessions(tmp_path) == []
    assert brought(tmp_path, 3) == 3
    assert not reader.verify(tmp_path)


def test_two_imports_at_once_are_refused(tmp_path: Path) -> None:
    with intake.staged(tmp_path), pytest.raises(UsageError, match="another import"), intake.staged(tmp_path):
        pass


def test_a_session_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    brought(tmp_path)
    with pytest.raises(TapeError, match="nothing was imported"):
        brought(tmp_path)
    assert reader.sessions(tmp_path)[0].frames == 1001


def test_where_the_disk_takes_nothing_nothing_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tapeline.tape.segment import Segment

    written = Segment.write

    def full(self: Segment, block: bytes, count: int) -> None:
        if self.path.stem > "000000000200":
            raise OSError(28, "No space left on device")
        written(self, block, count)

    monkeypatch.setattr(Segment, "write", full)
    with intake.staged(tmp_path) as place, pytest.raises(TapeError, match="No space left on device"):
        intake.write(place, HEAD, T0, frames(1000), TapeSettings())
    assert not layout.tape_dir(tmp_path).exists()

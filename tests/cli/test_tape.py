"""`tapeline tape` as a user meets it: the two streams and the exit codes."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from tapeline.cli import main
from tapeline.clock import iso
from tapeline.frames import Closed, Frame, FrameKind, pack
from tapeline.sinks.sqlite import SqliteSink
from tests.tape.tapes import SESSION, T0, frames, taped

SECOND_SESSION = "20261121T110500Z-0000"


@pytest.fixture
def data(tmp_path):
    taped(tmp_path / "data", [frames(300)], seal=True)
    odd = [
        Frame(T0 + 1, FrameKind.RECV, 1, b'{\n"a":"\xc3\xa9"}'),
        Frame(T0 + 2, FrameKind.BINARY, 1, b"\x00\xff"),
        Frame(T0 + 3, FrameKind.CLOSED, 1, pack(Closed(code=1006, reason="gone"))),
        Frame(T0 + 4, 99, 2, b"\x1b[31m\xff"),
    ]
    taped(tmp_path / "data", [odd], session=SECOND_SESSION)
    return tmp_path / "data"


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """The launcher itself, in this process: a process of its own each time would take most of the test's time."""
    monkeypatch.chdir(tmp_path)
    for name in [k for k in os.environ if k.startswith("TAPELINE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> Done:
        code = main(["tape", *arguments])
        sys.stdout.flush()
        return Done(code, *capfd.readouterr())

    return run


def test_a_reader_that_goes_away_is_no_failure(data):
    taped(data, [frames(2000, size=300)], session="20261121T120500Z-0000")  # more than a pipe holds
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    code = [sys.executable, "-m", "tapeline", "tape", "cat", data]
    with subprocess.Popen(code, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline().split()[1] == b"0"
        child.stdout.close()
        assert child.stderr is not None
        assert child.stderr.read() == b""
    assert child.returncode == 0


def test_ls(data, run):
    done = run("ls")
    assert (done.returncode, done.stderr) == (0, "")
    head, first, second = (line.split() for line in done.stdout.splitlines())
    assert head == ["session", "from", "to", "frames", "bytes", "segments", "state"]
    assert (first[0], first[1], first[3], first[5:]) == (SESSION, "2026-11-21T10:05:00Z", "301", ["1", "sealed"])
    assert (second[0], second[6]) == (SECOND_SESSION, "open")
    listed = json.loads(run("ls", "data", "--json").stdout)
    assert [s["id"] for s in listed] == [SESSION, SECOND_SESSION]
    assert listed[0]["segments"][0]["last_seq"] == 300


def test_cat_prints_one_line_a_frame(data, run):
    lines = run("cat").stdout.splitlines()
    assert len(lines) == 301 + 5
    assert lines[0].startswith(f'{iso(T0)} 0 session 0 {{"id":"{SESSION}"')
    assert lines[1] == f'{iso(T0)} 1 recv 1 {{"n":0}}'
    assert lines[-4:] == [
        f'{iso(T0 + 1)} 1 recv 1 {{\\n"a":"é"}}',
        f"{iso(T0 + 2)} 2 binary 1 \\x00\\xff",
        f'{iso(T0 + 3)} 3 closed 1 {{"code":1006,"reason":"gone"}}',
        f"{iso(T0 + 4)} 4 99 2 \\x1b[31m\\xff",
    ]


def test_cat_selects(data, run):
    def seqs(*arguments):
        return [int(line.split()[1]) for line in run("cat", "data", *arguments).stdout.splitlines()]

    assert seqs("--session", SESSION, "--after", "297") == [298, 299, 300]
    assert seqs("--kind", "closed", "--kind", "BINARY") == [2, 3]
    assert seqs("--limit", "2") == [0, 1]
    assert seqs("--start", iso(T0 + 5_000_000), "--end", iso(T0 + 7_000_000)) == [6, 7]


def test_cat_raw_is_what_decode_reads(data, run):
    lines = run("cat", "data", "--raw").stdout.splitlines()
    assert len(lines) == 301
    assert lines[3].rstrip() == f'{T0 + 3_000_000} {{"n":3}}'
    assert lines[-1] == f'{T0 + 1} {{ "a":"é"}}'


def test_verify_and_seal(data, run):
    assert run("verify").returncode == 0
    (left,) = (data / "tape" / SECOND_SESSION).glob("*.open")
    left.write_bytes(left.read_bytes() + b"torn")
    done = run("verify", "data")
    assert done.returncode == 5
    assert done.stdout.startswith("torn ")
    assert "findings: 1" in done.stderr
    assert [f["kind"] for f in json.loads(run("verify", "--json").stdout)] == ["torn"]
    done = run("seal")
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 frames" in done.stdout
    assert "4 torn bytes dropped" in done.stdout
    assert run("verify").returncode == 0
    assert run("ls").stdout.splitlines()[2].split()[6] == "sealed"


def test_damage_in_the_middle_exits_5(data, run):
    (path,) = (data / "tape" / SESSION).glob("*.tape")
    blob = bytearray(path.read_bytes())
    blob[-100] ^= 1
    path.write_bytes(blob)
    done = run("cat")
    assert done.returncode == 5
    assert "offset" in done.stderr
    assert run("verify").returncode == 5


@pytest.mark.parametrize(
    "line",
    [
        ("cat", "--session", "nobody"),
        ("cat", "--after", "5"),
        ("cat", "--start", "soon"),
        ("cat", "--kind", "parcel"),
        ("ls", "nowhere"),
        ("seal", "--session", "nobody"),
    ],
)
def test_what_makes_no_sense_exits_2(data, run, line):
    done = run(*line)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tapeline: ")


def test_no_tape_is_no_error(tmp_path, run):
    done = run("ls")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_prune_needs_to_be_told_what_to_keep(data, run):
    done = run("prune", str(data))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--days" in done.stderr


SMALL = ("--gb", "0.000000001")


def test_prune_removes_what_every_sink_has(data, run):
    """One session is in the sinks, one is not."""
    sink = SqliteSink(data)
    sink.open()
    sink.commit(SESSION, 300, [])
    sink.finish(SESSION)
    sink.close()
    assert run("prune", str(data), *SMALL).stdout == ""  # the lake is on, too, and has nothing
    (data.parent / "tapeline.toml").write_text("[sinks]\nlake = false\n")
    dry = run("prune", str(data), *SMALL, "--dry-run")
    assert "would be removed, which is all of it" in dry.stdout
    assert run("verify", str(data)).stderr.endswith("2 sessions, 2 segments, 306 frames\n")
    done = run("prune", str(data), *SMALL)
    assert done.returncode == 0
    assert done.stdout == dry.stdout.replace("would be removed", "removed")
    assert f"session {SESSION}, frames 1 to 300" in done.stdout
    listed = json.loads(run("ls", str(data), "--json").stdout)
    assert [(s["id"], s["frames"], s["removed"]) for s in listed] == [(SESSION, 0, 300), (SECOND_SESSION, 5, -1)]
    assert "emptied, removed to frame 300" in run("ls", str(data)).stdout
    assert f"session {SESSION}: frames 1 to 300 were removed to make room" in run("verify", str(data)).stderr
    assert run("prune", str(data), *SMALL).stdout == ""

"""Every benchmark, side by side in one run: medians beside their aims, ratios, the machine, and the command that gives each.

    python bench/run.py [--short] [--markdown]          make bench

Each row is measured by the script its command names, in a process of its own; the two figures of a ratio come from the same
process, taking turns, so that they share whatever else the machine was doing. `--short` shows in seconds that everything runs; its
figures mean nothing. Viewers have a benchmark of their own (`bench/server.py`), because it waits for minutes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
SCRIPTS = ("pipeline", "loopback", "bars", "windows", "metrics", "sinks", "lake", "alerts", "wire", "simulator", "imports")
BESIDE = {"sqlite": "SQLite", "pandas": "CSV by pandas"}
MANY = {"sinks", "simulator"}  # scripts that print a line a row


class Row(NamedTuple):
    what: str
    figure: str
    aim: str
    beside: str
    command: str


def results(script: str, *, short: bool) -> dict[str, Any]:
    """What one script measured: its JSON lines, under its name."""
    print(f"bench/{script}.py …", file=sys.stderr, flush=True)
    command = [sys.executable, str(HERE / f"{script}.py"), "--json", *(["--short"] if short else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench/{script}.py failed:\n{done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {script: lines} if script in MANY else lines[0]


def rate(x: float) -> str:
    return f"{x / 1e6:.2f} M/s" if x >= 1e6 else f"{x:,.0f}/s"


def pipeline_rows(measured: dict[str, Any]) -> Iterator[Row]:
    command = "bench/pipeline.py"
    aims = {("binance-usdm", "tape off"): "250,000/s", ("binance-usdm", "tape on"): "180,000/s"}
    for venue, r in measured["pipeline"].items():
        for case in ("tape off", "tape on"):
            what = f"frames a core-second to events, books, metrics, bars: {r['session']} {venue} session, {case}"
            beside = f"{r['msgspec'] / r[case]:.1f} × the time of msgspec alone ({rate(r['msgspec'])})"
            yield Row(what, rate(r[case]), aims.get((venue, case), ""), beside, command)


def loopback_rows(measured: dict[str, Any]) -> Iterator[Row]:
    r, command = measured["loopback"], "bench/loopback.py"
    what = f"the same over a loopback WebSocket, {r['session']} futures session"
    yield Row(f"{what}, tape off", rate(r["tapeline"]["cpu"]), "100,000/s", "", command)
    yield Row(f"{what}, tape on", rate(r["with tape"]["cpu"]), "", "", command)
    for kind, text in (("cpu", "frames a core-second"), ("wall", "frames a second by the clock")):
        ours, script = r["few, with tape"][kind], r["weekend"][kind]
        beside = f"{ours / script:.0f} × the weekend script's {rate(script)}"
        yield Row(f"… its first frames, tape on, {text}", rate(ours), "50 ×", beside, command)


def bars_rows(measured: dict[str, Any]) -> Iterator[Row]:
    for venue, r in measured["bars"].items():
        ten = [(f"ten kinds, {how}", aim) for how, aim in (("in a run", "500,000/s"), ("from columns", ""), ("one by one", ""))]
        for case, aim in [("in a run", "2 M/s"), ("one by one", ""), *ten]:
            yield Row(f"trades to bars, {case}, {r['session']} {venue} session", rate(r[case]), aim, "", "bench/bars.py")


def metrics_rows(measured: dict[str, Any]) -> Iterator[Row]:
    for venue, r in measured["metrics"].items():
        for name, count, aim in (("default", r["defaults"], "less than 1"), ("every", r["metrics"], "")):
            cost, base = r[name] - r["without"], r["decoding and books"]
            what = f"cost of {count} metrics ({name}) over that of decoding and books, {r['session']} {venue} session"
            sample = f"{cost / max(r['samples'], 1) * 1e6:,.0f} µs a sample"
            beside = f"{sample}; the whole pipeline without them {r['without'] / base:.1f}"
            yield Row(what, f"{cost / base:.2f}", aim, beside, "bench/metrics.py")


def windows_rows(measured: dict[str, Any]) -> Iterator[Row]:
    for venue, r in measured["windows"].items():
        what = f"trades to one-minute windows of five aggregates, {r['session']} {venue} session"
        beside = f"{r['windows'] / r['pandas']:.2f} × pandas' resample, {r['windows'] / r['fold']:.2f} × a plain fold"
        yield Row(what, rate(r["windows"]), "", beside, "bench/windows.py")
        yield Row("… five features by a function of NumPy arrays", rate(r["function"]), "", "", "bench/windows.py")


def sinks_rows(measured: dict[str, Any]) -> Iterator[Row]:
    aims = {("lake", "trades"): "1 M/s, 13 bytes", ("sqlite", "trades"): "150,000/s"}
    for r in measured["sinks"]:
        if "missing" in r:
            yield Row(f"into {r['sink']}", "not measured", "", r["missing"], "bench/sinks.py")
            continue
        what = f"{r['kind']} into {r['sink']}, {r['session']} session{', a stand-in for the server' if r['stand_in'] else ''}"
        speed = f"{rate(r['rows_per_second'])}, {rate(r['per_core_second']).removesuffix('/s')} a core-second"
        figure = f"{speed}, {r['bytes']:,.1f} bytes ({r['counted']})"
        beside = f"{r['rows_per_second'] / r['script']:.1f} × {r['way']} ({rate(r['script'])})" if "script" in r else ""
        yield Row(what, figure, aims.get((r["sink"], r["kind"]), ""), beside, "bench/sinks.py")


def seconds(x: float) -> str:
    return f"{x * 1e3:,.0f} ms" if x < 1 else f"{x:,.1f} s"


def against(other: float, ours: float) -> str:
    """Seconds that another way took, and how many times ours."""
    return f"{seconds(other)}, {other / ours:.{0 if other > 10 * ours else 1}f} ×"


def lake_rows(measured: dict[str, Any]) -> Iterator[Row]:
    r, command = measured["lake"], "bench/lake.py"
    t, others, books, busy = r["trades"], r["beside"], r["books"], r["busy"]
    day = f"a day of {t['trades']:,} trades"
    speed = f"{rate(t['written'])}, {rate(t['written, a core-second']).removesuffix('/s')} a core-second"
    figure = f"{speed}, {t['bytes a trade']:.1f} bytes"
    yield Row(f"{day} into the lake, put together", figure, "1 M/s, 13 bytes", f"{rate(t['compacted'])} put together", command)
    for what, text, aim, asked in (
        ("minutes", "its 1-minute bars, stored ones", "50 ms", "minutes"),
        ("minutes from trades", "its 1-minute bars from the trades alone", "50 ms", "minutes"),
        ("an hour from trades", "an hour's 1-minute bars from the trades alone", "", ""),
        ("minutes by sql", "high, low, volume a minute by SQL", "", "minutes"),
        ("total", "all of them read and added up by SQL", "0.5 s", "total"),
        ("total, not compacted", "… before they are put together", "0.5 s", "total"),
    ):
        beside = [f"{text} {against(others[f'{name} {asked}'], t[what])}" for name, text in BESIDE.items() if asked]
        yield Row(f"{day}: {text}", seconds(t[what]), aim, "; ".join(beside), command)
    what = f"the book at any instant of a day of {books['updates']:,} updates"
    yield Row(what, seconds(books["book at"]), "200 ms", f"worst {seconds(books['book at, worst'])}", command)
    what = f"the last minute asked by SQL while {busy['arrived a second']:,.0f} trades a second arrive"
    beside = f"worst {seconds(busy['worst'])}; {seconds(busy['when none arrive'])} when none arrive"
    yield Row(
        what, seconds(busy["while they arrive"]), "", f"{beside}; writer {seconds(busy['writer behind'])} behind", command
    )


def wire_rows(measured: dict[str, Any]) -> Iterator[Row]:
    for load, r in measured["wire"].items():
        beside = f"{r['tapeline'] / r['websockets']:.1f} × the websockets client"
        yield Row(f"wire alone, frames a core-second, {load}", rate(r["tapeline"]), "", beside, "bench/wire.py")


def simulator_rows(measured: dict[str, Any]) -> Iterator[Row]:
    for r in measured["simulator"]:
        names = r["venues"].split()
        where = names[0] if len(names) == 1 else f"{len(names)} venues at once"
        what = f"simulated: {where}, {r['listed']} instruments, every channel"
        yield Row(what, f"{r['core']:.1%} of a core", "", f"{rate(r['messages'])} sent", "bench/simulator.py")


def alerts_rows(measured: dict[str, Any]) -> Iterator[Row]:
    r, command = measured["alerts"], "bench/alerts.py"
    what = f"{r['rules']:,} alert rules on 100 instruments, 20,000 events/s"
    beside = f"asking every rule at every event takes {r['naive']:.0f} ×; {r['core']:.0%} of a core"
    yield Row(f"{what}: median delay", f"{r['delay'] * 1e3:.2f} ms", "1 ms", beside, command)


def imports_rows(measured: dict[str, Any]) -> Iterator[Row]:
    r = measured["imports"]
    bare = r["python -c pass"]
    for case in ("import tapeline", "tapeline --help"):
        yield Row(case, f"{r[case]:.2f} s", "0.3 s", f"an empty Python {bare:.2f} s", "bench/imports.py")


ROWS = {
    "pipeline": pipeline_rows,
    "loopback": loopback_rows,
    "bars": bars_rows,
    "windows": windows_rows,
    "metrics": metrics_rows,
    "sinks": sinks_rows,
    "lake": lake_rows,
    "alerts": alerts_rows,
    "wire": wire_rows,
    "simulator": simulator_rows,
    "imports": imports_rows,
}


def machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next(
            (line.partition(": ")[2] for line in info.read_text().splitlines() if line.startswith("model name")), model
        )
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {os.cpu_count()} cores{load}; {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def table(rows: list[Row]) -> str:
    head = Row("what", "median", "aim", "beside", "python …")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def markdown(rows: list[Row]) -> str:
    head = ["| what | median | aim | beside | `python …` |", "|---|---|---|---|---|"]
    return "\n".join(head + [f"| {r.what} | {r.figure} | {r.aim} | {r.beside} | `{r.command}` |" for r in rows])


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="seconds instead of minutes, to see that everything runs")
    arguments.add_argument("--markdown", action="store_true", help="the table as docs/benchmarks.md has it")
    given = arguments.parse_args()
    print(machine(), flush=True)
    with ThreadPoolExecutor(2 if given.short else 1) as pool:  # whose figures mean something has the machine for itself
        found = pool.map(lambda script: ROWS[script](results(script, short=given.short)), SCRIPTS)
        rows = [row for of_one in found for row in of_one]
    print(markdown(rows) if given.markdown else table(rows))


if __name__ == "__main__":
    main()

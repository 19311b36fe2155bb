"""What `doctor` looks at on this machine. Each check is one line: what was found, and what to do where it is not well."""

import http.client
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tapeline.config import ServerSettings, Settings
from tapeline.errors import ConfigError

State = Literal["ok", "warn", "fail"]
PACKAGES = (
    "aiohappyeyeballs", "aiohttp", "apprise", "cyclopts", "dotenv", "duckdb", "exchange_calendars", "google.protobuf", "msgspec",
    "numpy", "picows", "prometheus_client", "pyarrow", "python_socks", "rich", "starlette", "structlog", "tzdata", "uvicorn",
    "websockets", "zstandard",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox", "open", "xdg-open", "wslview")
GB = 1 << 30
LITTLE, TOO_LITTLE = 5 * GB, GB // 2
"""Free space that is worth a warning, and that is no longer enough: four liquid pairs write some 2 GB a day, sealed."""
FILES = 1024


class Check(msgspec.Struct, frozen=True):
    name: str
    state: State
    text: str
    fix: str = ""


def machine(settings: Settings) -> Iterator[Check]:
    yield python()
    yield packages()
    yield data(Path(settings.data))
    yield port(settings.server.host, settings.server.port)
    yield door(settings.server)
    yield files()
    yield zones()
    yield page()
    yield browser()


def python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in {(3, 11), (3, 12), (3, 13)}:
        return Check("python", "ok", version)
    return Check("python", "warn", f"{version} is not tested", "use Python 3.11, 3.12 or 3.13")


def packages() -> Check:
    wanted = (*PACKAGES, *(["uvloop"] if os.name == "posix" else []))
    missing = [name for name in wanted if not _is_there(name)]
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", "run `make setup`, or pip install tapeline again")
    return Check("packages", "ok", f"{len(wanted)} found")


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of `google.protobuf`, that there is no `google`
        return False


def data(directory: Path) -> Check:
    where = directory.absolute()
    while not where.exists():
        where = where.parent
    try:
        with tempfile.TemporaryFile(dir=where) as file:
            file.write(b"tapeline")
    except OSError as e:
        return Check("data", "fail", f"{directory} cannot be written: {e.strerror}", "name another with `data` or --data")
    free = shutil.disk_usage(where).free
    text = f"{directory} can be written, {free / GB:.1f} GB free"
    if free < LITTLE:
        return Check("data", "fail" if free < TOO_LITTLE else "warn", text, "make room, or name another disk with `data`")
    return Check("data", "ok", text)


def port(host: str, number: int) -> Check:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as e:
            if _tapeline_at(host, number):
                return Check("port", "ok", f"{host}:{number} is in use: a Tapeline runs there")
            reason = f"{host}:{number} cannot be had: {e.strerror or e}"
            return Check("port", "warn", reason, "stop what holds it, or set server.port (0 takes a free one)")
    return Check("port", "ok", f"{host}:{number} is free")


def _tapeline_at(host: str, number: int) -> bool:
    asked = http.client.HTTPConnection(host, number, timeout=1)
    try:
        asked.request("GET", "/livez")
        return asked.getresponse().getheader("X-Tapeline-Mode") is not None
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def door(settings: ServerSettings) -> Check:
    """Who may come in."""
    from tapeline.server.access.access import VARIABLE, is_loopback, lock_of

    try:
        lock = lock_of(settings)
    except ConfigError as e:
        return Check("access", "fail", str(e), f"set {VARIABLE} anew, or leave it out")
    if not lock.shut:
        return Check("access", "ok", f"this machine only ({settings.host}), without a token")
    where = "this machine only" if is_loopback(settings.host) else f"whoever reaches {settings.host}"
    if lock.random:
        text = f"{where}, with a token that is made at each start"
        return Check("access", "ok", text, f"{VARIABLE} names one that stays; docs/security.md tells of TLS")
    return Check("access", "ok", f"{where}, with the token of {VARIABLE}")


def files() -> Check:
    try:
        import resource
    except ImportError:  # Windows
        return Check("open files", "ok", "no limit here")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= soft < FILES:
        return Check("open files", "warn", f"at most {soft}", f"raise it: ulimit -n {4 * FILES}")
    return Check("open files", "ok", f"at most {soft}" if soft >= 0 else "no limit")


def zones() -> Check:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        return Check("time zones", "warn", "no time-zone data", "apt-get install tzdata, or pip install tzdata")
    return Check("time zones", "ok", "found")


def page() -> Check:
    index = Path(__file__).parents[1] / "server" / "page" / "index.html"
    if index.is_file():
        return Check("page", "ok", "built")
    return Check("page", "fail", "the page is not built", "run `make setup` (or python hatch_build.py)")


def browser() -> Check:
    found = next((name for name in BROWSERS if shutil.which(name)), None)
    if found:
        return Check("browser", "ok", found)
    return Check("browser", "warn", "none found here", "open the address that `tapeline run` prints from another machine")

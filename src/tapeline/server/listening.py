"""Where the server listens, and by what address a person reaches it."""

import contextlib
import errno
import socket

from tapeline.errors import ConfigError
from tapeline.server.access.gate import WILDCARD
from tapeline.server.live.pipe import HIGH_WATER


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Its small send buffer, inherited by each connection, is what makes a slow viewer show early."""
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as e:
        raise ConfigError("server.host", host, f"no such address ({e.strerror}): use 127.0.0.1") from None
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * HIGH_WATER)
        listener.setblocking(False)
        listener.bind(where)
    except OSError as e:
        listener.close()
        raise _refused(host, port, e) from None
    return listener


def _refused(host: str, port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError("server.port", port, "another program listens there: choose another port, or 0 for a free one")
    if error.errno == errno.EACCES:
        return ConfigError("server.port", port, "ports below 1024 need special rights: choose a higher one")
    return ConfigError("server.host", host, f"cannot listen there ({error.strerror}): use 127.0.0.1")


def address_of(host: str, port: int) -> str:
    name = "127.0.0.1" if host in ("", "0.0.0.0") else "::1" if host == "::" else host  # noqa: S104  compared with, not bound to
    return written(name, str(port))


def written(host: str, port: str) -> str:
    """As an address of the web."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str) -> list[str]:
    """Where all addresses are listened on: those by which others may find this machine, and its name. Nothing is sent for it: the
    system is asked which of its own addresses it would send from.
    """
    if host not in WILDCARD:
        return []
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):  # of documents, nobody's
        if family == socket.AF_INET6 and host == "0.0.0.0":  # noqa: S104  compared with, not bound to
            continue
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return [*found, socket.gethostname().lower()]

"""By what address a server is reached: from this machine, and from others. Light, as commands that only ask a server need it."""

import contextlib
import socket

_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  compared with, not bound to


def is_wildcard(host: str) -> bool:
    """Whether who listens there listens on all addresses."""
    return host in _HERE


def here(host: str) -> str:
    """What to connect to on this machine."""
    return _HERE.get(host, host)


def written(host: str, port: int) -> str:
    """As an address of the web."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str) -> list[str]:
    """Where all addresses are listened on: those by which others may find this machine, and its name. Nothing is sent for it: the
    system is asked which of its own addresses it would send from.
    """
    if not is_wildcard(host):
        return []
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):  # of documents, nobody's
        if family == socket.AF_INET6 and host == "0.0.0.0":  # noqa: S104  compared with, not bound to
            continue
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return [*found, socket.gethostname().lower()]

"""The socket that the server listens on."""

import errno
import socket

from tapeline.errors import ConfigError
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

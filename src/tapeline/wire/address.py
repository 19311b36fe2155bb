"""Which proxy leads to an address.

Proxies come from the environment as everywhere else: `HTTPS_PROXY` for `wss` and `https`, `HTTP_PROXY` for `ws` and `http`,
`ALL_PROXY` for what those leave open, `NO_PROXY` for exceptions; `socks5://` and `socks4://` are understood. The loopback
interface never goes through a proxy, as in browsers: a simulated venue on this machine cannot be reached by way of another.
"""

import ipaddress
import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url`, None for a direct connection."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return re.sub(r"^socks(5h|4a)?://", lambda m: {"5h": "socks5://", "4a": "socks4://"}.get(m[1] or "", "socks5://"), proxy)


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

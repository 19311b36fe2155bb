"""Where others find a server that listens for all; where one can listen at all stands in test_app.py."""

import ipaddress
import socket

import httpx

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server import addresses
from tapeline.server.app import Server
from tests.server.fakes import T0


def test_who_listens_for_all_names_what_others_can_reach(monkeypatch):
    assert addresses.reachable("127.0.0.1") == addresses.reachable("192.168.1.7") == []
    name = socket.gethostname().lower()
    for host in ("0.0.0.0", "::", ""):
        *found, last = addresses.reachable(host)
        assert last == name
        assert all(ipaddress.ip_address(one) for one in found)
    monkeypatch.setattr(addresses.socket.socket, "connect", lambda *_: (_ for _ in ()).throw(OSError("no way out")))
    assert addresses.reachable("0.0.0.0") == [name]


async def test_the_links_for_others_hold_the_token_and_are_answered(source, tmp_path):
    server = Server(source, ServerSettings(port=0, host="0.0.0.0"), ReplayClock(T0), page=tmp_path / "none")
    async with server as address:
        port = address.rpartition(":")[2]
        assert all(link.endswith(f":{port}/?token={server.lock.token}") for link in server.links())
        assert server.elsewhere() == [link.partition("/?")[0] for link in server.links()]
        for link in server.links():
            host = link.removeprefix("http://").partition("/")[0]
            async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
                assert (await http.get(link.rpartition("/")[2], headers={"host": host})).status_code == 303
    assert Server(source, ServerSettings(port=0), ReplayClock(T0), page=tmp_path / "none").links() == []

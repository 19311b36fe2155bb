"""A venue of one's own making on a real socket: it lists nothing, takes any subscription, and then says what the test wants said."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


class Talking:
    """`heard` is set once the client has answered a ping that followed everything there was to say."""

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages, self.heard = messages, threading.Event()
        self.address = ""

    def settings(self, venue: str) -> list[str]:
        both = (("http_url", "http"), ("ws_url", "ws"))
        return [part for key, scheme in both for part in ("--set", f"venues.{venue}.{key}={scheme}://{self.address}")]

    def door(self, connection: ServerConnection, request):
        return None if "Upgrade" in request.headers else connection.respond(HTTPStatus.NOT_FOUND, "{}")

    def talk(self, connection: ServerConnection) -> None:
        try:
            asked = json.loads(connection.recv())
            connection.send(json.dumps({"result": None, "id": asked["id"]}))
            for message in self.messages:
                connection.send(message)
            connection.ping().wait(20)
            self.heard.set()
            connection.recv()
        except ConnectionClosed:
            return


@contextmanager
def talking(*messages: str) -> Iterator[Talking]:
    venue = Talking(messages)
    with serve(venue.talk, "127.0.0.1", 0, process_request=venue.door) as server:
        venue.address = f"127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield venue
        server.shutdown()
        thread.join()

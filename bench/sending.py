"""The server of the benchmarks that go over a real socket: a process of its own, so that its work is not counted.

It writes ready-made WebSocket frames as fast as the client takes them, or one a nap. The path says what: /COUNT/HOW.
"""

import asyncio
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe

import uvloop

from tapeline.sim import wsframes

BLOCK = 500
PACE_SECONDS = 0.001  # shorter naps are rounded to none, and frames would come in company


async def serve(pipe: Pipe, messages: Sequence[bytes]) -> None:
    """Send the first COUNT of `messages`, again from the beginning where they do not suffice. Ends at a word through `pipe`."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

    encoded = [wsframes.encode(message) for message in messages]
    tasks: set[asyncio.Task[None]] = set()

    class Sender(WSListener):
        def __init__(self, count: int, paced: bool) -> None:
            self.blocks, self.pace = (1, PACE_SECONDS) if paced else (BLOCK, 0.0)
            self.frames = (encoded * -(-count // len(encoded)))[:count]
            self.room = asyncio.Event()
            self.room.set()

        def on_ws_connected(self, transport: WSTransport) -> None:
            task = asyncio.ensure_future(self.send(transport))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.send_close()
                transport.disconnect()

        def pause_writing(self) -> None:
            self.room.clear()

        def resume_writing(self) -> None:
            self.room.set()

        async def send(self, transport: WSTransport) -> None:
            for i in range(0, len(self.frames), self.blocks):
                await self.room.wait()
                transport.underlying_transport.write(b"".join(self.frames[i : i + self.blocks]))
                if self.pace:
                    await asyncio.sleep(self.pace)

    def listener(request: WSUpgradeRequest) -> Sender:
        count, _, how = request.path.decode().strip("/").partition("/")
        return Sender(int(count), how == "paced")

    server = await ws_create_server(listener, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    server.close()


def serve_process(pipe: Pipe, messages: Sequence[bytes]) -> None:
    uvloop.run(serve(pipe, messages))

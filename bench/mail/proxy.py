"""A line with a delay: passes bytes on, each after half of the time of a way there and back. `python -m` this file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 18
_WAITING = 64
"""Chunks on the line; a reader that does not keep up holds the sender back."""


@contextmanager
def delayed(port: int, delay_ms: int) -> Iterator[int]:
    """A port of a process of its own, behind which `port` is `delay_ms` away, there and back; the same one for 0."""
    if not delay_ms:
        yield port
        return
    command = [sys.executable, "-m", __name__, str(port), str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING)
    clock = asyncio.get_running_loop().time

    async def deliver() -> None:
        while True:
            due, chunk = await line.get()
            await asyncio.sleep(due - clock())
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            await line.put((clock() + delay_s, chunk))
    await line.put((clock() + delay_s, b""))
    with suppress(ConnectionError):
        await delivery
    writer.close()


async def _serve(port: int, delay_ms: int) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        delay_s = delay_ms / 2000
        await asyncio.gather(_pass_on(reader, far_writer, delay_s), _pass_on(far_reader, writer, delay_s))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))

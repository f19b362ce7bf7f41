"""A provider that answers every account at once, and writes down when each of them asked.

`python -m bench.paced.provider` prints its port and answers until its standard input ends. It does as little as a
provider can, because it shares the machine with the fleet that is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

ITEMS = 10
"""Items of a page."""
TEXT = "words " * 60


class Accounts:
    """The requests that came so far."""

    def __init__(self) -> None:
        self.arrivals: defaultdict[str, list[float]] = defaultdict(list)
        """Account to the instants (monotonic, s) of its requests."""
        self.lists: defaultdict[str, int] = defaultdict(int)
        """Account to how many of them were for the list."""

    def answer(self, path: str) -> Any:
        """The answer to `/ACCOUNT/list`, `/ACCOUNT/items?after=N` or `/arrivals`."""
        if path == "/arrivals":
            return {"now": time.monotonic(), "arrivals": self.arrivals, "lists": self.lists}
        _, account, what = path.split("/")
        self.arrivals[account].append(time.monotonic())
        if what == "list":
            self.lists[account] += 1
            return {"total": 1_000_000}
        after = int(what.partition("=")[2])
        items = [{"id": str(number), "text": TEXT} for number in range(after, after + ITEMS)]
        return {"items": items, "next": after + ITEMS}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = json.dumps(self.answer(head.split(b" ", 2)[1].decode())).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    """Serve until the parent is gone."""
    server = await asyncio.start_server(Accounts().serve, "127.0.0.1", 0, backlog=2000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

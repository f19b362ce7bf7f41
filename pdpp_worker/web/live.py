"""Live pages: each open page is told when something was committed, and then asks for itself anew."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from pdpp_worker.logs import get_logger
from pdpp_worker.owner.session import Database
from pdpp_worker.store.views.change_views import listen

MOST = 64
"""Pages that are told; a further one is shown as it was when it was loaded."""
_AGAIN_S = 5.0
_ALIVE_S = 15.0


class Live:
    """Listens while there is a page to tell."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pages: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    async def endpoint(self, _: Request) -> Response:
        """The stream of one page."""
        if len(self._pages) >= MOST:
            return PlainTextResponse("Too many pages are open.", 503, {"retry-after": "60"})
        changed = asyncio.Event()
        self._pages.add(changed)
        self._listen()
        return StreamingResponse(self._told(changed), media_type="text/event-stream")

    def close(self) -> None:
        """Stop listening."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    async def _told(self, changed: asyncio.Event) -> AsyncIterator[str]:
        """A message for each change; a comment now and then, by which a page that is gone is noticed."""
        try:
            yield ": hello\n\n"
            while not self._stopped.is_set():
                try:
                    await asyncio.wait_for(changed.wait(), _ALIVE_S)
                    changed.clear()
                    yield "data: changed\n\n"
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._pages.discard(changed)

    def _listen(self) -> None:
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="live", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                for _ in listen(self._db, self._stopped.is_set):
                    self._tell()
            except ConnectionError as error:
                get_logger().warning("live pages are not told of changes; trying again", error=str(error))
                self._stopped.wait(_AGAIN_S)

    def _tell(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            for changed in list(self._pages):
                loop.call_soon_threadsafe(changed.set)

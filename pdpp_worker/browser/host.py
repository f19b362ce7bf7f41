"""The process that drives one browser for a worker, and ends with it.

    python -m pdpp_worker.browser.host '{"executable": …, "profile": …, "headed": …, "sandbox": …, "flags": […]}'

Requests come in on standard input, which is a socket, and answers leave through it (see `frames`). It is a process of
its own, because the driver cannot run in a thread that has an event loop, and because a worker can always kill it.

The page is an empty document under the provider's origin that never leaves this process: the provider's own scripts do
not run, and the only requests that go out are those that were asked for. Cookies, TLS and headers are the browser's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, CDPSession, Error, Page, async_playwright
from playwright.async_api import TimeoutError as DriverTimeoutError

from pdpp_worker.browser.frames import HEADER, Kind, frame, json_frame

PIECE_BYTES = 1 << 20
LAUNCH_S, FORGET_S = 60.0, 3.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DOCUMENT = base64.b64encode(b'<!doctype html><link rel="icon" href="data:,"><title>pdpp-worker</title>').decode()

_SEND = """
async ({method, url, headers, body}) => {
  const init = {method, headers, cache: "no-store", credentials: "include"};
  if (body !== null) init.body = Uint8Array.from(atob(body), one => one.charCodeAt(0));
  const response = await fetch(url, init);
  window.reader = response.body === null ? null : response.body.getReader();
  return {status: response.status, headers: [...response.headers], cookies: document.cookie};
}
"""
_READ = """
async (least) => {
  const parts = [];
  const begun = performance.now();
  let size = 0;
  while (window.reader && size < least && (size === 0 || performance.now() - begun < 1000)) {
    const {done, value} = await window.reader.read();
    if (done) window.reader = null;
    else { parts.push(value); size += value.length; }
  }
  const text = await new Promise((resolve, reject) => {
    const file = new FileReader();
    file.onload = () => resolve(file.result);
    file.onerror = () => reject(file.error);
    file.readAsDataURL(new Blob(parts));
  });
  return {data: text.slice(text.indexOf(",") + 1), done: !window.reader};
}
"""


class _Failed(Exception):  # noqa: N818 - how a request ends
    """The request got no answer, or not the whole of it."""

    def __init__(self, why: str, *, timed_out: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out


class Tab:
    """A page that sends requests for the worker."""

    def __init__(self, page: Page, devtools: CDPSession, writer: asyncio.StreamWriter) -> None:
        self._page = page
        self._devtools = devtools
        self._writer = writer
        self._origin = ""
        self._redirect: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsent = False

    @classmethod
    async def open(cls, context: BrowserContext, writer: asyncio.StreamWriter) -> Tab:
        """Open the browser's first page, and intercept every request of it."""
        page = context.pages[0] if context.pages else await context.new_page()
        devtools = await context.new_cdp_session(page)
        tab = cls(page, devtools, writer)
        devtools.on("Fetch.requestPaused", tab._on_paused)
        await devtools.send("Network.enable")
        await devtools.send("Network.setBypassServiceWorker", {"bypass": True})
        await devtools.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})
        return tab

    async def perform(self, request: dict[str, Any]) -> None:
        """Send a request and write its answer; a failure is written as one."""
        try:
            await self._perform(request)
            await self._writer.drain()
        except _Failed as failure:
            await self._forget()
            self._writer.write(json_frame(Kind.FAILED, why=str(failure), timed_out=failure.timed_out))
            await self._writer.drain()

    async def _perform(self, request: dict[str, Any]) -> None:
        timeout_s = request.pop("timeout_s")
        await self._enter(request["url"], timeout_s)
        self._redirect, self._unsent = None, True
        head = await self._head(request, timeout_s)
        self._writer.write(json_frame(Kind.HEAD, **head))
        done = head["status"] in _REDIRECTS
        while not done:
            piece = await self._evaluate(_READ, PIECE_BYTES, timeout_s)
            self._writer.write(frame(Kind.BODY, base64.b64decode(piece["data"])))
            await self._writer.drain()
            done = piece["done"]
        self._writer.write(frame(Kind.END))

    async def _head(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            head: dict[str, Any] = await self._evaluate(_SEND, request, timeout_s)
        except _Failed:
            if self._redirect is None:
                raise
            return self._redirect
        return head

    async def _enter(self, url: str, timeout_s: float) -> None:
        """Go to a page of the address's origin."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin != self._origin:
            try:
                await self._page.goto(f"{origin}/", timeout=timeout_s * 1000)
            except Error as error:
                raise _Failed(_first_line(error), timed_out=isinstance(error, DriverTimeoutError)) from error
            self._origin = origin

    async def _forget(self) -> None:
        """Leave the page, which ends every request of it; raises Error when the browser is gone."""
        self._origin = ""
        await self._page.goto("about:blank", timeout=FORGET_S * 1000)

    async def _evaluate(self, script: str, argument: Any, timeout_s: float) -> Any:
        try:
            return await asyncio.wait_for(self._page.evaluate(script, argument), timeout_s)
        except TimeoutError:
            raise _Failed(f"nothing came for {timeout_s:.0f} s", timed_out=True) from None
        except Error as error:
            raise _Failed(_first_line(error)) from error

    def _on_paused(self, event: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._decide(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decide(self, event: dict[str, Any]) -> None:
        """Decide about a request, or an answer, that the browser has paused."""
        command, arguments = self._decision(event)
        try:
            await self._devtools.send(command, {"requestId": event["requestId"], **arguments})
        except Error:  # the page went away meanwhile
            return
        if "interceptResponse" in arguments:
            self._writer.write(frame(Kind.SENT))

    def _decision(self, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        status = event.get("responseStatusCode")
        if "responseErrorReason" in event or (status is not None and status not in _REDIRECTS):
            return "Fetch.continueRequest", {}
        if status is not None:
            # The worker follows it, as a request that pays for its own admission.
            headers = [(one["name"], one["value"]) for one in event.get("responseHeaders", [])]
            self._redirect = {"status": status, "headers": headers, "cookies": ""}
            return "Fetch.failRequest", {"errorReason": "Aborted"}
        if event["resourceType"] == "Document":
            kind = {"name": "content-type", "value": "text/html"}
            return "Fetch.fulfillRequest", {"responseCode": 200, "responseHeaders": [kind], "body": _DOCUMENT}
        if self._unsent and event["resourceType"] in ("XHR", "Fetch"):
            self._unsent = False
            return "Fetch.continueRequest", {"interceptResponse": True}
        return "Fetch.failRequest", {"errorReason": "BlockedByClient"}


def _first_line(error: Error) -> str:
    return error.message.partition("\n")[0]


async def _serve(options: dict[str, Any]) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=sys.stdin.fileno()))
    async with async_playwright() as driver:
        try:
            context = await driver.chromium.launch_persistent_context(
                options["profile"],
                executable_path=options["executable"],
                headless=not options["headed"],
                chromium_sandbox=options["sandbox"],
                args=options["flags"],
                accept_downloads=False,
                timeout=LAUNCH_S * 1000,
            )
        except Error as error:
            writer.write(json_frame(Kind.FAILED, why=f"the browser did not start: {error.message}", timed_out=False))
            await writer.drain()
            return
        with suppress(Error):  # the browser is gone
            tab = await Tab.open(context, writer)
            writer.write(frame(Kind.READY))
            while (request := await _next(reader)) is not None:
                await tab.perform(request)
            await context.close()


async def _next(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next request; None when the worker is gone."""
    try:
        _, size = HEADER.unpack(await reader.readexactly(HEADER.size))
        request: dict[str, Any] = json.loads(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return request


def main() -> None:
    """Serve the worker until it is gone."""
    asyncio.run(_serve(json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()

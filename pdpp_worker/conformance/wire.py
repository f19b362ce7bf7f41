"""The way to the provider: real HTTP, without pacing, that can be cut or made to fail at one request."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache

import httpx

from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.typed import Judge, TypedTransport

TIMEOUT_S = 30.0


class SliceCut(BaseException):
    """The slice ends at a request, as it does when the pacing has to wait for longer than the slice lasts."""


class Wire:
    """Makes the clients of one attempt and counts what they send.

    From request `number` on (from 1), `failure` is raised in place of an answer: once, or each time when `lasting`.
    """

    def __init__(self, clients: ExitStack, number: int | None, failure: BaseException | None, *, lasting: bool) -> None:
        self._clients = clients
        self._number = number
        self._failure = failure
        self._lasting = lasting
        self.asked = 0
        """Requests that the connector made, whatever their kind, the refused ones included."""

    @property
    def has_failed(self) -> bool:
        """Whether the failure was met."""
        return self._failure is not None and self._number is not None and self.asked >= self._number

    @property
    def has_gone_on(self) -> bool:
        """Whether more was asked after the failure."""
        return self.has_failed and self.asked > (self._number or 0)

    def http(
        self, *, base_url: str = "", headers: Mapping[str, str] | None = None, judge: Judge | None = None
    ) -> httpx.Client:
        """A client as the runtime makes it."""
        client = ProviderClient(
            _Transport(self, judge), base_url=base_url, headers=headers, timeout_s=TIMEOUT_S, is_practice=True
        )
        self._clients.callback(client.close)
        return client

    @contextmanager
    def pace(self) -> Iterator[None]:
        """The turn of a request that is not HTTP."""
        self.pass_on()
        yield

    def pass_on(self) -> None:
        """Count a request; raises the failure when it is its turn."""
        self.asked += 1
        if self._failure is not None and self._number is not None:
            hit = self.asked >= self._number if self._lasting else self.asked == self._number
            if hit:
                raise self._failure


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """One for all clients of the process: reading the certificates takes longer than a whole attempt."""
    return httpx.create_ssl_context()


class _Transport(TypedTransport):
    """Typed outcomes, as connectors know them."""

    def __init__(self, wire: Wire, judge: Judge | None) -> None:
        super().__init__(httpx.HTTPTransport(verify=_tls()), judge=judge)
        self._wire = wire

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._wire.pass_on()
        return super().handle_request(request)

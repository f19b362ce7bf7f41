"""Makes the context of a connector: paced requests, settings, secrets, log, time and directory."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import httpx
from pydantic import SecretStr

from pdpp_worker import metrics
from pdpp_worker.browser.browser import Browser
from pdpp_worker.browser.browser_transport import BrowserTransport
from pdpp_worker.clock import going_on_from
from pdpp_worker.connector import Context, Interaction, InteractionResponse
from pdpp_worker.connector.author_context import Occasion, ask_nobody, tell_nobody
from pdpp_worker.errors import AuthExpired, ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.pacing.retry import ATTEMPTS, RetryingTransport
from pdpp_worker.pacing.transport import PacedTransport
from pdpp_worker.pacing.typed import Judge
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.connection_values import ceiling_ms, with_defaults
from pdpp_worker.runtime.limits import SliceLimits
from pdpp_worker.secrets import Place, Redactor, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.run_slices import Slice
from pdpp_worker.stored_files import connection_files

Answerer = Callable[[Interaction, Callable[[], None]], InteractionResponse]
"""Answers a connector's question; calls its second argument at least once a second while it waits for the owner."""


@runtime_checkable
class Watcher(Protocol):
    """An answerer that also shows what wants no answer."""

    def tell(self, text: str) -> None:
        """Show the owner a sentence."""


def make_context(
    settings: Settings,
    manifest: Manifest,
    claimed: Slice,
    pacer: Pacer,
    redactor: Redactor,
    clients: ExitStack,
    limits: SliceLimits,
    answerer: Answerer,
    *,
    retries_gaps: bool = False,
) -> Context:
    """The context of one slice; the HTTP clients it makes share one pacer and are closed with `clients`, its files too.

    `retries_gaps`: the slice retries gaps. Each has a schedule of its own, so no failed request is sent a second time.
    """
    row = claimed.connection
    stored = connection_files.store_at(settings, connection_files.files_dir(settings, row.id, row.name))
    clients.callback(stored.close)
    given = with_defaults(manifest.settings, row.settings)

    def retrying(paced: httpx.BaseTransport) -> httpx.BaseTransport:
        return RetryingTransport(paced, metrics.RETRIED.labels(row.name), attempts=1 if retries_gaps else ATTEMPTS)

    return Context(
        http=http_factory(
            settings, manifest, pacer, redactor, clients, retrying, transport_factory(settings, given, row, clients)
        ),
        settings=given,
        secret=secret_reader(Vault(settings), manifest, row, redactor),
        log=get_logger().bind(connection=row.name, connector=manifest.name),
        now=going_on_from(claimed.now),
        pace=pacer.turn,
        stored=stored,
        check=stored.with_look(limits.check),
        ask=_asker(answerer, limits, redactor),
        min_interval_ms=ceiling_ms(settings, manifest, row),
        occasion=Occasion(
            str(row.id),
            claimed.trigger,
            answerer is not nobody,
            limits.heartbeat.allow_idle,
            answerer.tell if isinstance(answerer, Watcher) else tell_nobody,
            row.as_fleet_user,
        ),
    )


def http_factory(
    settings: Settings,
    manifest: Manifest,
    pacer: Pacer,
    redactor: Redactor,
    clients: ExitStack,
    retrying: Callable[[httpx.BaseTransport], httpx.BaseTransport],
    transport: _TransportFactory,
) -> Callable[..., httpx.Client]:
    def learn(request: httpx.Request) -> None:
        # A token may come from the provider itself, and so be in no credential.
        redactor.learn(SecretStr(request.headers.get("authorization", "").rpartition(" ")[2]))

    def http(
        *, base_url: str = "", headers: Mapping[str, str] | None = None, judge: Judge | None = None
    ) -> httpx.Client:
        paced = PacedTransport(transport(signed_in=bool(base_url)), pacer, judge=judge, lane_of=manifest.pacing.lane_of)
        client = ProviderClient(
            retrying(paced), base_url=base_url, headers=headers, timeout_s=settings.http_timeout_s, on_request=[learn]
        )
        clients.callback(client.close)
        return client

    return http


def _asker(answerer: Answerer, limits: SliceLimits, redactor: Redactor) -> Callable[[Interaction], InteractionResponse]:
    def ask(question: Interaction) -> InteractionResponse:
        answer = answerer(question, limits.wait_for_owner)
        for value in (answer.data or {}).values():
            redactor.learn(SecretStr(str(value)))
        return answer

    return ask


def nobody(question: Interaction, _: Callable[[], None]) -> InteractionResponse:
    """The answerer of a run that no owner watches."""
    return ask_nobody(question)


class _TransportFactory(Protocol):
    def __call__(self, *, signed_in: bool) -> httpx.BaseTransport: ...


def transport_factory(
    settings: Settings, values: Mapping[str, Any], row: ConnectionRow, clients: ExitStack
) -> _TransportFactory:
    """Make the transport of a client: connections of its own, or the one browser of the slice.

    The browser would add the owner's own cookies, so a client that is signed in nowhere does without it.
    """
    if values.get("reach") != "browser":
        return _plain
    browser = Browser(settings, row)
    clients.callback(browser.close)
    return lambda *, signed_in: BrowserTransport(browser) if signed_in else _plain(signed_in=signed_in)


def _plain(*, signed_in: bool) -> httpx.HTTPTransport:  # noqa: ARG001 - the protocol's signature
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return httpx.HTTPTransport(limits=limits, verify=_tls())


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The trusted authorities, read once for all clients: each time takes some 25 ms and 0.7 MB."""
    return httpx.create_ssl_context()


def secret_reader(
    vault: Vault, manifest: Manifest, row: ConnectionRow, redactor: Redactor
) -> Callable[[str], SecretStr]:
    def secret(name: str) -> SecretStr:
        if name not in manifest.credentials:
            raise ConfigurationError(f"The manifest of {manifest.name} declares no credential {name!r}.")
        if name not in row.credentials:
            raise AuthExpired(f"the credential {name} is not set{_how_to_set(row, name)}")
        try:
            return redactor.learn(vault.open(Place(row.connector, row.name, name), row.credentials[name]))
        except ConfigurationError as error:
            raise AuthExpired(str(error)) from None

    return secret


def _how_to_set(row: ConnectionRow, name: str) -> str:
    """The command for it, where the connection is stored already."""
    return f"; run: pdpp-worker connection secret {row.name} {name}" if row.id else ""

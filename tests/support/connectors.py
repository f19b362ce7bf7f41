"""Run a connector's `collect` by itself: real HTTP and real files, no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import structlog
from pydantic import SecretStr

from pdpp_worker.confined.beside import beside
from pdpp_worker.connector import AuthExpired, Budget, Collect, Context, GapToClose, Message, Record, Start, State
from pdpp_worker.connector.author_context import HttpFactory, nothing_to_check
from pdpp_worker.pacing.client import ProviderClient
from pdpp_worker.pacing.typed import Judge, TypedTransport
from pdpp_worker.protocol.messages import StartScope
from pdpp_worker.protocol.scope import StreamScope
from pdpp_worker.stored_files.file_store import FileStore


def unpaced(make_transport: Callable[[], httpx.BaseTransport] = httpx.HTTPTransport) -> HttpFactory:
    """Makes clients as the runtime does, without pacing, that send through what `make_transport` makes."""

    def http(
        *, base_url: str = "", headers: Mapping[str, str] | None = None, judge: Judge | None = None
    ) -> httpx.Client:
        sending = TypedTransport(make_transport(), judge=judge)
        return ProviderClient(sending, base_url=base_url, headers=headers, timeout_s=5.0)

    return http


def context(
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    files: Path = Path("no-files-here"),
) -> Context:
    """A context as the runtime would hand it over, without pacing; `files` is the connector's own directory."""

    def secret(name: str) -> SecretStr:
        if secrets is None or name not in secrets:
            raise AuthExpired(f"the credential {name} is not set")
        return SecretStr(secrets[name])

    return Context(
        http=unpaced(),
        settings=settings or {},
        secret=secret,
        log=structlog.get_logger(),
        now=lambda: datetime.now(UTC),
        pace=nullcontext,
        stored=FileStore(files),
        beside=partial(beside, nothing_to_check, {}),
    )


def start(
    streams: Sequence[str],
    state: Mapping[str, Any] | None = None,
    *,
    gaps: Sequence[GapToClose] = (),
    recovery_only: bool = False,
    budget: Budget | None = None,
) -> Start:
    """A START for the given streams."""
    return Start(
        run_id="run-1",
        scope=StartScope(streams=[StreamScope(name=name) for name in streams]),
        state=dict(state) if state is not None else None,
        detail_gaps=list(gaps),
        recovery_only=recovery_only,
        budget=budget or Budget(),
    )


def messages(collect: Collect, request: Start, given: Context) -> Iterator[Message]:
    """The connector's messages, as they come."""
    return collect(request, given)


def records(sent: Sequence[Message], stream: str) -> dict[Any, dict[str, Any]]:
    """The last data of each key of a stream; a deletion removes it."""
    held: dict[Any, dict[str, Any]] = {}
    for message in sent:
        if isinstance(message, Record) and message.stream == stream:
            key = message.key if isinstance(message.key, str) else tuple(message.key)
            if message.op == "delete":
                held.pop(key, None)
            else:
                held[key] = message.data
    return held


def final_state(sent: Sequence[Message], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The cursors after these messages."""
    return {**(before or {}), **{m.stream: m.cursor for m in sent if isinstance(m, State)}}

"""All that a connector in Python imports: the messages it yields and the context it is handed.

A connector is a folder with `manifest.json` and a module `connector.py` that defines

    def collect(start: Start, context: Context) -> Iterator[Message]: ...

It has no database, no sleep and no retry loop of its own; it yields messages and the runtime does the rest. A DONE is
implied when the iterator ends; an exception ends the run as failed, and what was committed before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import SecretStr

from pdpp_worker.errors import (
    AuthExpired,
    Challenged,
    ConfigurationError,
    Forbidden,
    Gone,
    ProviderError,
    Throttled,
    UpstreamError,
)
from pdpp_worker.protocol.messages import (
    Budget,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    DoneError,
    GapToClose,
    Interaction,
    InteractionResponse,
    Message,
    Progress,
    Record,
    SkipResult,
    Start,
    State,
)
from pdpp_worker.protocol.reasons import Reason, RecoveryKind
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, TimeRange

if TYPE_CHECKING:  # named, not used: half of the connectors send no request
    import httpx
    from structlog.typing import FilteringBoundLogger

__all__ = [
    "WHOLE_STREAM",
    "AuthExpired",
    "BatchScope",
    "Budget",
    "Challenged",
    "Collect",
    "ConfigurationError",
    "Context",
    "DetailCoverage",
    "DetailGap",
    "DetailGapRecovered",
    "Done",
    "DoneError",
    "Forbidden",
    "GapToClose",
    "Gone",
    "Interaction",
    "InteractionResponse",
    "Message",
    "Progress",
    "ProviderError",
    "Reason",
    "Record",
    "RecoveryKind",
    "ResourceScope",
    "Scope",
    "SkipResult",
    "Start",
    "State",
    "Throttled",
    "TimeRange",
    "UpstreamError",
    "skip",
]


class HttpFactory(Protocol):
    """Makes the connector's HTTP client; every request through it is paced and its failures are typed."""

    def __call__(
        self,
        *,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        judge: Callable[[httpx.Response], ProviderError | None] | None = None,
    ) -> httpx.Client:
        """A client whose requests raise `Throttled`, `Challenged`, `AuthExpired`, `Forbidden`, `Gone`, `UpstreamError`.

        With `base_url` it talks to that origin alone, redirects included. Without one it reads any https address and
        carries neither cookies nor credentials. `judge` is asked about every answer that is no failure by its status,
        before it counts as a success: it returns the failure that the body tells of, if any.
        """
        ...


def ask_nobody(question: Interaction) -> InteractionResponse:
    """The answer where no owner is at the terminal."""
    return InteractionResponse(request_id=question.request_id, status="timeout")


def nothing_to_check() -> None:
    """Outside a slice nothing has to end."""


@dataclass(frozen=True)
class Context:
    """What a connector is handed beside START."""

    http: HttpFactory
    settings: Mapping[str, Any]
    """The connection's settings, with the manifest's defaults filled in."""
    secret: Callable[[str], SecretStr]
    """Reads one of the manifest's credentials; raises AuthExpired when it is missing."""
    log: FilteringBoundLogger
    now: Callable[[], datetime]
    pace: Callable[[], AbstractContextManager[None]]
    """For a request that is not HTTP: waits for its turn on entry; a ProviderError that leaves the block is reported to
    the rate controller as a failed request, anything else that ends it normally as an answered one."""
    files: Path
    """This connection's own directory for what is too big for the store; made before the connector is called."""
    check: Callable[[], None] = nothing_to_check
    """To be called at least every second by whoever waits for anything but `http`: raises what ends the slice."""
    ask: Callable[[Interaction], InteractionResponse] = ask_nobody
    """Asks the owner and waits; `timeout` at once where nobody is at the terminal (`run --interactive`)."""
    min_interval_ms: float = 1000.0
    """The owner's rate ceiling: least time between two requests. `http` keeps it by itself."""


Collect = Callable[[Start, Context], Iterator[Message]]


def skip(
    stream: str,
    reason: Reason,
    scope: Scope,
    message: str = "",
    *,
    retry_after: datetime | None = None,
    detail: dict[str, Any] | None = None,
) -> SkipResult:
    """A SKIP_RESULT whose recovery kind follows from its reason."""
    return SkipResult(
        stream=stream,
        reason=reason.value,
        message=message,
        scope=scope,
        recovery_kind=reason.kind,
        retry_after=retry_after,
        detail=detail,
    )

"""The context that a connector gets beside START: requests, settings, secrets, files, time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import SecretStr

from pdpp_worker.confined.beside import here
from pdpp_worker.errors import ProviderError
from pdpp_worker.protocol.messages import Interaction, InteractionResponse, Message, Start

if TYPE_CHECKING:  # named, not used: half of the connectors send no request
    import httpx
    from structlog.typing import FilteringBoundLogger

    from pdpp_worker.stored_files.file_store import FileStore


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


def no_longer_silence(_: float) -> None:
    """Outside a slice nobody minds silence."""


def count_nothing(_: int) -> None:
    """Outside a slice no day's bytes are counted."""


def nothing_opened() -> None:
    """Outside a slice nothing is opened ahead."""


def tell_nobody(_: str) -> None:
    """Where no owner is at the terminal, nothing is shown."""


class Closes(Protocol):
    """Whatever can be closed, in any thread."""

    def close(self) -> None:
        """Let go of it; raises nothing."""
        ...


@dataclass(frozen=True)
class Occasion:
    """The circumstances of a run, for a command."""

    connection_id: str = ""
    trigger: Literal["schedule", "sweep", "manual", "upgrade"] = "schedule"
    attended: bool = False
    """Whether an owner at the terminal answers questions."""
    allow_silence: Callable[[float], None] = no_longer_silence
    """Lets the connector say nothing for so long, s, where that is more than usual; 0: as usual."""
    tell: Callable[[str], None] = tell_nobody
    """Shows the owner at the terminal a sentence that wants no answer."""
    as_fleet_user: bool = False
    """Whether the owner lets a command run as the fleet's user where another one cannot run it."""


@dataclass(frozen=True)
class Context:
    """The tools of one slice, beside START."""

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
    stored: FileStore
    """This connection's own files, for what is too big for the store: each whole or not at all, encrypted where the
    owner wants it."""
    received: Callable[[int], None] = count_nothing
    """Tell it of the bytes that came otherwise than over `http`: they count for the day's budget, if there is one."""
    check: Callable[[], None] = nothing_to_check
    """Call it at least every second while waiting for anything but `http`: it raises what ends the slice."""
    ask: Callable[[Interaction], InteractionResponse] = ask_nobody
    """Asks the owner and waits; `timeout` at once where nobody is at the terminal (`run --interactive`)."""
    min_interval_ms: float = 1000.0
    """The owner's rate ceiling: least time between two requests. `http` keeps it by itself."""
    opened_ahead: Callable[[], Closes | None] = nothing_opened
    """Hands over, once, the connection that the module's `open_ahead` opened for this slice; it had its turn of
    `pace`, and the connector closes it. Raises the failure of `open_ahead`. None: the connector opens one itself."""
    occasion: Occasion = Occasion()
    """Why and where the run happens."""
    beside: Callable[..., Iterator[Message]] = here
    """Runs a generator function of messages, given by its name "module:function" and by arguments that msgpack knows,
    in a process beside the worker's; here where there is none. It pays from `WORTH_BYTES` of a source on."""

    @property
    def files(self) -> Path:
        """The directory of these files, for code that reads and writes by itself: it is made, and where files are
        encrypted, all of them are opened when it is first asked for, and closed at the end. `stored` need not."""
        return self.stored.open_directory()


Collect = Callable[[Start, Context], Iterator[Message]]
OpenAhead = Callable[[Mapping[str, Any], Callable[[str], SecretStr]], Callable[[], Closes] | None]
"""From settings and secrets to a function that sends one request and returns what it opened; None: nothing to open."""

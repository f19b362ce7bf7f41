"""One attempt of a connector: START goes in; its messages pass the runtime's own handler and are committed."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from pdpp_worker.conformance.account import PracticeAccount
from pdpp_worker.conformance.deletions import Deletions
from pdpp_worker.conformance.ending import Attempt, finish, is_another_account
from pdpp_worker.conformance.errors import Defect
from pdpp_worker.conformance.inserted import Insertion
from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.conformance.names import name_of
from pdpp_worker.conformance.watch import Watch, WatchHandler
from pdpp_worker.conformance.wire import SliceCut, Wire
from pdpp_worker.connector import AuthExpired, Check, Collect, Context, Reached
from pdpp_worker.connector.author_context import Occasion
from pdpp_worker.errors import ConfigurationError, PdppError, ProtocolViolation, ProviderError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import Budget, Message, Record, Start, StartScope, State, describe
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, StreamScope
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.registry import Connector
from pdpp_worker.runtime.command_handler import handler_for
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.runtime.handler import MessageHandler
from pdpp_worker.stored_files.file_store import FileStore

_SCOPES: dict[str, type] = {"resource": ResourceScope, "batch": BatchScope}

SILENCE_S = 60.0
"""A practice account is small: a program that says nothing for so long never will."""
MOST_MESSAGES = 200_000
"""A practice account is small: a connector that says more than this does not come to an end."""


@dataclass(frozen=True)
class Ask:
    """The request of an attempt, beside the ledger's cursors."""

    run_id: str = "1"
    streams: tuple[StreamScope, ...] = ()
    """Empty: every stream that the manifest supplies, whole."""
    full: bool = False
    gaps: bool = False
    """Assign the ledger's gaps that a later run can close."""
    recovery_only: bool = False
    budget: Budget = field(default_factory=Budget)
    later: timedelta = timedelta()
    """The time that has passed since the first attempt."""


@dataclass(frozen=True)
class Disruption:
    """A disruption of an attempt: it is cut after a message or at a request, requests fail, or a line is added."""

    stop_after: int | None = None
    request: int | None = None
    failure: BaseException | None = None
    lasting: bool = False
    insertion: Insertion | None = None
    between: Callable[[], None] | None = None
    """Called after each message."""


class Runner:
    """Runs a connector with its practice account."""

    def __init__(
        self,
        connector: Connector,
        account: PracticeAccount,
        directory: Path,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`directory` is where the ledgers keep their files; `settings` stand in for the account's own."""
        self.manifest: Manifest = connector.manifest
        self._collect: Collect = connector.load()
        self._account = account
        self._directory = directory
        self._settings = with_defaults(self.manifest.settings, account.settings if settings is None else settings)
        paths = {
            name: str(self._settings[name])
            for name, spec in self.manifest.settings.items()
            if spec.type in ("path", "file") and self._settings[name]
        }
        self.watch = Watch(account.secrets, paths)
        self._heard_at = time.monotonic()
        self.now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        """The time of the first attempt: noon, so that an hour later is the same day."""

    def ledger(self) -> Ledger:
        """A ledger that holds nothing."""
        return Ledger(Path(mkdtemp(dir=self._directory)), deletions=Deletions(self.manifest.children))

    @property
    def supplied(self) -> list[StreamManifest]:
        """The streams that the connector supplies with the practice account's settings."""
        return self.manifest.supplied_to(self._settings)

    def run(self, ledger: Ledger, ask: Ask | None = None, disruption: Disruption | None = None) -> Attempt:
        """Run the connector from the ledger's state, and commit to the ledger what it said.

        Raises:
            Defect: it broke the protocol, failed by its own fault, or did not stop when it had to.
        """
        ask, disruption = ask or Ask(), disruption or Disruption()
        self._heard_at = time.monotonic()
        attempt = Attempt(self._start(ledger, ask), ledger.account)
        ledger.begin_run(ask.later)
        handler = handler_for(self.manifest, attempt.start, lambda text: text, ledger.missing_names())
        with ExitStack() as clients, self._watched():
            wire = Wire(clients, disruption.request, disruption.failure, lasting=disruption.lasting)
            context = self._context(wire, ask, ledger)
            with suppress(SliceCut):
                self._pull(context, handler, attempt, disruption)
            attempt.requests = wire.asked
        if isinstance(disruption.failure, SliceCut) and wire.has_failed and (attempt.ended or wire.has_gone_on):
            raise Defect("it goes on after a request has ended the slice: it catches BaseException")
        finish(attempt, handler, ledger)
        return attempt

    def try_account(self, check: Check) -> tuple[Reached, int]:
        """Call the connector's check; returns what it reached, and how many requests it took.

        Raises:
            PdppError: the check refuses the account.
            Defect: it failed by its own fault.
        """
        self._heard_at = time.monotonic()
        with ExitStack() as clients, self._watched():
            wire = Wire(clients, None, None, lasting=False)
            try:
                return check(self._context(wire, Ask(), self.ledger())), wire.asked
            except PdppError as error:
                self.watch.read(str(error))
                raise
            except Exception as error:
                raise self._fault(error) from error

    def _start(self, ledger: Ledger, ask: Ask) -> Start:
        streams = ask.streams or tuple(StreamScope(name=stream.name) for stream in self.supplied)
        names = {scope.name for scope in streams}
        takes = [_SCOPES[form] for form in self.manifest.recovery.scopes]
        gaps = [gap for gap in ledger.due(ask.later) if gap.miss.stream in names and type(gap.miss.scope) in takes]
        return Start(
            run_id=ask.run_id,
            collection_mode="full_refresh" if ask.full else "incremental",
            scope=StartScope(streams=list(streams)),
            state=None if ask.full else dict(ledger.cursors) or None,
            bindings={binding: {} for binding in self.manifest.bindings},
            # What is missing of a whole stream, a walk brings; nobody is asked for it alone.
            detail_gaps=[gap.to_close for gap in gaps if gap.miss.scope != WHOLE_STREAM] if ask.gaps else [],
            recovery_only=ask.recovery_only,
            budget=ask.budget,
        )

    def _context(self, wire: Wire, ask: Ask, ledger: Ledger) -> Context:
        return Context(
            http=wire.http,
            settings=self._settings,
            secret=self._secret,
            log=self.watch.logger(),
            now=lambda: self.now + ask.later,
            pace=wire.pace,
            stored=FileStore(ledger.files),
            check=self._check_silence,
            min_interval_ms=0.0,
            occasion=Occasion(as_fleet_user=self._account.as_fleet_user),
        )

    def _check_silence(self) -> None:
        if time.monotonic() - self._heard_at >= SILENCE_S:
            raise Defect(f"it says nothing for {SILENCE_S:g} s, and does not end")

    def _secret(self, name: str) -> SecretStr:
        if name not in self.manifest.credentials:
            raise ConfigurationError(f"The manifest of {self.manifest.name} declares no credential {name!r}.")
        if name not in self._account.secrets:
            raise AuthExpired(f"the credential {name} is not set")
        return SecretStr(self._account.secrets[name])

    @contextmanager
    def _watched(self) -> Iterator[None]:
        handler = WatchHandler(self.watch)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)

    def _pull(self, context: Context, handler: MessageHandler, attempt: Attempt, disruption: Disruption) -> None:
        """Take the connector's messages; its own faults are told apart from what the provider did."""
        try:
            said = _messages(self._collect(attempt.start, context))
            if disruption.insertion is not None:
                said = disruption.insertion.into(said, attempt.start, context)
            with closing(said) as messages:
                attempt.ended = self._take_all(messages, handler, attempt, disruption)
        except (SliceCut, Defect):
            raise
        except (ProviderError, httpx.HTTPError) as error:
            self.watch.read(str(error))
            attempt.error = f"{type(error).__name__}: {error}"
            reason = getattr(error, "reason", Reason.UPSTREAM_ERROR.value)
            attempt.failed_streams = dict.fromkeys((scope.name for scope in attempt.start.scope.streams), reason)
        except ValidationError as error:
            raise Defect(f"it makes {_refused(error)}") from error
        except Exception as error:
            raise self._fault(error) from error

    def _take_all(
        self, messages: Iterator[Message], handler: MessageHandler, attempt: Attempt, disruption: Disruption
    ) -> bool:
        """Whether the connector came to its end."""
        if disruption.stop_after == 0:
            return False
        for message in messages:
            self._heard_at = time.monotonic()
            if not isinstance(message, BaseModel | Record):
                raise Defect(f"message {len(attempt.messages) + 1} is of type {type(message).__name__}, no message")
            attempt.messages.append(message)
            self.watch.see(message)
            _take(handler, message, attempt)
            if is_another_account(attempt, handler):
                return False
            if len(attempt.messages) == disruption.stop_after:
                return False
            if disruption.between is not None:
                disruption.between()
            if len(attempt.messages) > MOST_MESSAGES:
                raise Defect(f"it does not come to an end: {MOST_MESSAGES:,} messages for a practice account")
        return True

    def _fault(self, error: Exception) -> Defect:
        text = "".join(traceback.format_exception(error))
        self.watch.read(text)
        if isinstance(error, RuntimeError) and "ignored GeneratorExit" in str(error):
            return Defect("it yields another message while it is closed: it catches BaseException or GeneratorExit")
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        return Defect(f"it fails with {type(error).__name__} at {place}: {error}")


def _messages(given: Iterator[Message]) -> Generator[Message]:
    """The messages of `collect`; an iterator that is no generator has nothing to close."""
    if not isinstance(given, Iterable):
        raise Defect(f"its collect returns {type(given).__name__}, no iterator of messages")
    return cast(Generator[Message], given) if hasattr(given, "close") else (message for message in given)


def _take(handler: MessageHandler, message: Message, attempt: Attempt) -> None:
    if attempt.start.recovery_only and isinstance(message, State) and handler.is_strict:
        raise Defect(f"{name_of(message)} in a recovery run, which must never move a cursor")
    try:
        handler.handle(message)
    except ProtocolViolation as error:
        raise Defect(f"message {len(attempt.messages)} is refused: {error}") from error
    if handler.last_refusal is not None:
        attempt.refusals.append(f"message {len(attempt.messages)}, {handler.last_refusal}")
        handler.last_refusal = None


def _refused(error: ValidationError) -> str:
    """The message that could not be made, by the kind, stream and reason that it was given."""
    given: Any = error.errors(include_url=False)[0].get("input")
    fields = given if isinstance(given, dict) else {}
    named = [f"{name} {fields[name]!r}" for name in ("stream", "reason") if isinstance(fields.get(name), str)]
    return f"a {error.title}{' of ' if named else ''}{', '.join(named)} that is refused: {describe(error)}"

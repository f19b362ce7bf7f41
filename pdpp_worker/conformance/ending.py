"""The result of an attempt, and what is committed at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from pdpp_worker.conformance.ledger import Ledger
from pdpp_worker.protocol.messages import Message, Start
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.runtime.handler import MessageHandler
from pdpp_worker.store.effects import GapReport


@dataclass
class Attempt:
    """The result of an attempt."""

    start: Start
    account: str | None = None
    """The account of the attempts before, where it is known."""
    messages: list[Message] = field(default_factory=list)
    requests: int = 0
    ended: bool = False
    """Whether the connector came to its own end."""
    error: str | None = None
    """The provider's failure by which it ended, if it did."""
    failed_streams: dict[str, str] = field(default_factory=dict)
    checkpoint_errors: dict[str, str] = field(default_factory=dict)
    rejections: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """Messages of a command that were refused without ending the run: type, member and why."""


def is_another_account(attempt: Attempt, handler: MessageHandler) -> bool:
    """Whether the source is another owner's than before: the attempt ends, and nothing that it said counts."""
    met = handler.account
    if met is None or attempt.account in (None, met.identity):
        return False
    handler.forget()
    attempt.error = "the source is signed in to another account than before"
    attempt.failed_streams = dict.fromkeys((one.name for one in attempt.start.scope.streams), "another_account")
    handler.account = None
    return True


def finish(attempt: Attempt, handler: MessageHandler, ledger: Ledger) -> None:
    """Commit as the runtime does at the end of a slice."""
    done = handler.done
    if attempt.ended and done is not None and done.status != "succeeded" and not handler.is_certified:
        attempt.ended, attempt.error = False, done.error.message if done.error else f"DONE {done.status}"
        attempt.failed_streams = dict.fromkeys((one.name for one in attempt.start.scope.streams), "upstream_error")
    attempt.failed_streams = {**attempt.failed_streams, **handler.failed_streams}
    attempt.checkpoint_errors = handler.checkpoints.errors
    attempt.rejections = [f"{one.stream} {one.key}: {one.error}" for one in handler.batch.rejections]
    if attempt.ended:
        failed = set(handler.failed_streams)
        keepers = {keeper for name in failed for keeper in handler.checkpoints.keepers(name)}
        handler.checkpoints.commit_staged(excluding=failed | keepers)
    handler.checkpoints.release()
    ledger.commit(handler.pending.take())
    if handler.account is not None and ledger.account is None:
        ledger.account = handler.account.identity
    if attempt.error is not None and not attempt.start.recovery_only:
        _miss_all(attempt, handler, ledger)
    if attempt.ended and not attempt.start.recovery_only:
        walked = [scope.name for scope in attempt.start.scope.streams if scope.name not in attempt.failed_streams]
        ledger.end_walk(walked)


def _miss_all(attempt: Attempt, handler: MessageHandler, ledger: Ledger) -> None:
    """A run that ends badly opens a gap about every stream that it was to walk."""
    batch = handler.pending.take()
    for stream, word in attempt.failed_streams.items():
        reason = known_reason(word) or Reason.UPSTREAM_ERROR
        batch.effects.append(
            GapReport(stream, WHOLE_STREAM, reason.value, reason.kind.value, waits_for_owner=reason in NEEDS_OWNER)
        )
    ledger.commit(batch)

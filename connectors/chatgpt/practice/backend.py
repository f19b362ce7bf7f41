"""Decides on each request: bot check, token, quota, faults; and logs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.chatgpt.practice.account import Advanced
from connectors.chatgpt.practice.answers import (
    Answer,
    ApiError,
    challenge,
    error_answer,
    maintenance,
    too_many_requests,
)
from connectors.chatgpt.practice.faults import Fault, FaultPlan, fixed_detail
from connectors.chatgpt.practice.log import AnchoredClock, Arrival, Journal, LoggedRequest
from connectors.chatgpt.practice.new_field import with_new_field
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.quota import Quota
from connectors.chatgpt.practice.state import load_account, save_account
from pdpp_worker.conformance.quota.decisions import UNCHARGED, Decision
from pdpp_worker.conformance.quota.options import QuotaOptions

OPEN_KINDS = frozenset({"session", "login", "home"})
"""Requests that need no access token."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the backend sees it; `produce` makes the answer, or raises ApiError."""

    method: str
    path: str
    kind: str
    conversation_id: str | None
    authorization: str | None
    produce: Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer and how it is sent: after `delay_s`, and whole or `cut` in the middle."""

    answer: Answer
    delay_s: float = 0.0
    cut: bool = False


class Backend:
    """One account behind its defences."""

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options
        self.account = load_account(options)
        self.token = options.token
        self._token_uses = 0
        self._clock = AnchoredClock()
        self.journal = Journal(options.log, self._clock)
        self.set_quota(options.quota)
        self.set_faults(options.faults)
        self._shifts: list[tuple[int, Change]] = []

    def take(self, call: Call) -> Outcome:
        """Decide on a request that has just arrived, and write it down."""
        arrival = self.journal.arrive()
        fault = self.faults.choose(arrival.n)
        answer, decision = self._answer(call, fault)
        self.journal.write(_entry(arrival, call, answer, decision, fault))
        slow = fault is Fault.SLOW
        return Outcome(answer, self.faults.options.slow_s if slow else 0.0, cut=fault is Fault.CUT)

    def advance(self, change: Change) -> Advanced:
        """Let the account change, and keep that it did. Raises ValueError if it is too small for the change."""
        advanced = self.account.advance(change)
        if self.options.state:
            save_account(self.account, self.options.state)
        return advanced

    def shift(self, change: Change, after_pages: int) -> None:
        """Let the account change once so many more pages of its lists were given: in the middle of somebody's walk."""
        self._shifts.append((after_pages, change))

    def page_given(self) -> None:
        """A page of a list was made: let happen what waited for it."""
        left = [(pages - 1, change) for pages, change in self._shifts]
        self._shifts = [one for one in left if one[0] > 0]
        for pages, change in left:
            if pages <= 0:
                self.advance(change)

    def set_quota(self, options: QuotaOptions) -> None:
        """Begin another quota, with its full allowance."""
        self.quota = Quota(options, self._clock)

    def set_faults(self, options: FaultOptions) -> None:
        """Choose other faults."""
        self.faults = FaultPlan(options, self.options.seed)

    def set_token(self, token: str) -> None:
        """Let only this access token in from now on."""
        self.token, self._token_uses = token, 0

    def _answer(self, call: Call, fault: Fault | None) -> tuple[Answer, Decision]:
        if fault is Fault.CHALLENGE:
            return challenge(), UNCHARGED
        if call.kind not in OPEN_KINDS and not self._lets_in(call.authorization):
            return error_answer(401, "Could not validate credentials"), UNCHARGED
        decision = self.quota.charge(call.kind)
        if decision.verdict.refuses:
            form = self.quota.options.retry_after
            return too_many_requests(form, self._clock(), decision.wait_s), decision
        return self._admitted_answer(call, fault), decision

    def _admitted_answer(self, call: Call, fault: Fault | None) -> Answer:
        fixed = self.faults.fixed_status(call.kind, call.conversation_id)
        if fixed:
            return error_answer(fixed, fixed_detail(fixed, call.conversation_id, self.faults.options))
        if fault is Fault.ERROR:
            return error_answer(self.faults.options.error_status, "Something went wrong")
        if fault is Fault.MAINTENANCE:
            return maintenance()
        try:
            return with_new_field(call.produce(), call.kind, self.faults.options.new_field)
        except ApiError as error:
            return error_answer(error.status, error.detail)

    def _lets_in(self, authorization: str | None) -> bool:
        if authorization != f"Bearer {self.token}":
            return False
        self._token_uses += 1
        allowed = self.faults.options.token_requests
        return allowed is None or self._token_uses <= allowed


def _entry(arrival: Arrival, call: Call, answer: Answer, decision: Decision, fault: Fault | None) -> LoggedRequest:
    return LoggedRequest(
        n=arrival.n,
        at=arrival.at,
        monotonic_ns=arrival.monotonic_ns,
        method=call.method,
        path=call.path,
        kind=call.kind,
        conversation_id=call.conversation_id,
        status=answer.status,
        decision=decision.verdict,
        retry_after=answer.headers.get("Retry-After"),
        fault=fault,
    )

"""The common ground of the checks: the connector, its practice account, and one undisturbed run to compare with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

from pdpp_worker.conformance.account import Fault, Key, LivingFactory, PracticeAccount, RecordGroup
from pdpp_worker.conformance.attempt import Ask, Runner
from pdpp_worker.conformance.ending import Attempt
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.ledger import Gap, Held, Ledger
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.scope import ResourceScope
from pdpp_worker.registry import Connector
from pdpp_worker.store.values import exact_json, key_text

ROUNDS = 4
"""Runs within which everything that was missed has to be back."""


class Case:
    """A connector with its practice account."""

    def __init__(
        self,
        connector: Connector,
        account: PracticeAccount,
        directory: Path,
        open_living: LivingFactory,
        seeds: range,
    ) -> None:
        """`directory` is for the connector's files; `seeds` are those of the adversary."""
        self.connector = connector
        self.account = account
        self.directory = directory
        self.open_living = open_living
        self.seeds = seeds
        self._plain_fails = False
        self.runner = Runner(connector, account, directory)

    @property
    def manifest(self) -> Manifest:
        """The connector's manifest."""
        return self.runner.manifest

    @cached_property
    def plain(self) -> tuple[Attempt, Ledger]:
        """A whole run that nothing disturbs, from nothing.

        Raises:
            Defect: it breaks a rule.
        """
        ledger = self.runner.ledger()
        self._plain_fails = True  # unless it is found to come to a good end
        attempt = self.runner.run(ledger)
        require_well(attempt)
        self._plain_fails = False
        return attempt, ledger

    def after_plain(self) -> tuple[Attempt, Ledger]:
        """The plain run, and a ledger of the caller's own after it.

        Raises:
            NotChecked: the plain run failed, which is a check of its own.
        """
        nothing = NotChecked("The plain run fails, so there is nothing to compare with.")
        if self._plain_fails:
            raise nothing
        try:
            attempt, ledger = self.plain
        except Defect:
            raise nothing from None
        return attempt, ledger.copy()

    def requests_since(self, mark: int) -> list[str]:
        """The requests to the provider after the first `mark` ones."""
        return [request.text for request in (self.account.requests() or [])[mark:]]

    def mark(self) -> int:
        """The number of requests to the provider so far."""
        return len(self.account.requests() or [])

    def heal(self, ledger: Ledger) -> None:
        """Run until nothing that a later run brings is missing, as the sweeps and the schedule would."""
        targeted = self.manifest.recovery.supports_targeted_resource_fetch
        for number in range(ROUNDS):
            again = not targeted and bool(ledger.due())
            self.runner.run(ledger, Ask(run_id=f"later-{number}", gaps=targeted, full=again))
            if not ledger.gaps and not ledger.deletions.doubts:
                return

    def breakable(self, number: int) -> list[str]:
        """Resources of the practice account that faults can hit, spread over the account.

        Raises:
            NotChecked: the practice account has none.
        """
        found = sorted({group.resource for group in self.account.expected_records() if group.resource is not None})
        if len(found) <= number:
            raise NotChecked(f"The practice account has {len(found)} resources of its own; {number + 1} are needed.")
        return found[:: max(1, len(found) // number)][:number]

    def need(self, *faults: Fault) -> Fault:
        """The first of these faults that the practice account can inject.

        Raises:
            NotChecked: it can do none of them.
        """
        for fault in faults:
            if fault in self.account.faults:
                return fault
        raise NotChecked(f"The practice account cannot inject the fault {faults[0].value}.")


def require_well(attempt: Attempt) -> None:
    """Refuse an attempt that did not end as it should when nothing goes wrong.

    Raises:
        Defect: saying what was wrong with it.
    """
    if attempt.error is not None:
        raise Defect(f"it fails although nothing is wrong: {attempt.error}")
    for stream, reason in attempt.failed_streams.items():
        raise Defect(f"it skips the whole stream {stream!r} for {reason} although nothing is wrong")
    # A cursor that a refused message withholds is that message's cost, which is told with it.
    for stream, why in ({} if attempt.refusals else attempt.checkpoint_errors).items():
        raise Defect(f"STATE of stream {stream!r} is withheld: {why}")
    for text in attempt.rejections:
        raise Defect(f"it breaks its own manifest: record of stream {text}")


def wanted(groups: Sequence[RecordGroup]) -> dict[str, set[str]]:
    """The keys of groups, by stream, as the store writes them."""
    keys: dict[str, set[str]] = {}
    for group in groups:
        keys.setdefault(group.stream, set()).update(map(stored_key, group.keys))
    return keys


def stored_key(key: Key) -> str:
    """A key as the store writes it."""
    return key_text(key if isinstance(key, str) else list(key))


def gaps_about(gaps: Collection[Gap], resource: str) -> list[Gap]:
    """The gaps that name the resource; if none does, those about a part of a stream, which may hold it."""
    return naming(gaps, resource) or [gap for gap in gaps if not isinstance(gap.miss.scope, ResourceScope)]


def naming(gaps: Collection[Gap], resource: str) -> list[Gap]:
    """The gaps that are about one resource or record, and name this one."""
    return [gap for gap in gaps if isinstance(gap.miss.scope, ResourceScope) and _names(gap, resource)]


def _names(gap: Gap, resource: str) -> bool:
    """Whether the gap names it: by its scope or, where the scope speaks of a part of it, by its locator."""
    return exact_json(resource)[1:-1] in exact_json([gap.miss.scope.model_dump(), gap.miss.detail_locator])


def keys_of(held: Held) -> dict[str, set[str]]:
    """Only the keys."""
    return {stream: set(records) for stream, records in held.items()}


def is_foreign(manifest: Manifest) -> bool:
    """Whether the connector is a program of its own, which may use words that are not ours."""
    return manifest.command is not None

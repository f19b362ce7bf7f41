"""The practice account of a connector: the kit may read it, break it and restore it.

A connector brings its practice account in a module `conformance.py` beside its manifest, which defines

    def open_account() -> AbstractContextManager[PracticeAccount]: ...

All that the practice account needs (a server, a directory) begins when it is entered and is gone when it is left. It
must be small (some ten resources), and the same every time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.conformance.planting import Counted, Plant, Planted

Key = str | tuple[str, ...]
"""A record's key; a tuple stands for a compound one."""


class Fault(StrEnum):
    """A failure that a practice account can produce."""

    FAILING = "failing"
    """The resource cannot be read now: an answer of the 5xx kind, a file that does not open. A later run reads it."""
    REFUSED = "refused"
    """The resource is refused for the rate."""
    GARBLED = "garbled"
    """The resource comes in a form that this version of the connector cannot read. Only a newer version reads it."""
    GONE = "gone"
    """The provider affirms that the resource does not exist."""
    SIGNED_OUT = "signed_out"
    """The credentials are no longer accepted, for no resource."""


@dataclass(frozen=True)
class RecordGroup:
    """Records that the account holds and that come, or are missing, together.

    `resource` is the id by which the provider gives them alone, and by which a fault hits them; None if there is none.
    """

    stream: str
    keys: frozenset[Key]
    resource: str | None = None


@dataclass(frozen=True)
class Request:
    """Something that was asked of the provider: a request, a query, a file that was opened.

    `resources` are those that it was for; empty when it was for no resource in particular, as a listing is.
    """

    text: str
    resources: frozenset[str] = frozenset()


class PracticeAccount(ABC):
    """A practice account, its expected records and fault switches. Missing parts are reported as not checked."""

    settings: Mapping[str, Any] = {}
    """The connection's settings; the manifest's defaults fill in the rest."""
    secrets: Mapping[str, str] = {}
    """The connection's credentials: texts of 8 characters or more that stand nowhere in the account's data."""
    faults: frozenset[Fault] = frozenset()
    """The faults that `inject` can produce."""
    can_change: bool = False
    """Whether `change` can do something."""
    plants: frozenset[Plant] = frozenset()
    """Things that `plant` can plant."""
    as_fleet_user: bool = True
    """Whether a program may run as this user where another cannot run it: who opens a practice account, which is code
    of its author, trusts that."""
    counted: Sequence[Counted] = ()
    """Fields of records that count other records."""

    @abstractmethod
    def expected_records(self) -> Sequence[RecordGroup]:
        """The records of a complete collection of the account, as it is now without any fault: all streams."""

    def requests(self) -> Sequence[Request] | None:
        """All that was asked of the provider since the practice account began, in order; None if nobody counts.

        Requests that any session needs before the first question (a sign-in, the choice of a mailbox) are left out.
        """
        return None

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:  # noqa: B027 - optional
        """Let a fault hit these resources from now on, until `restore`."""

    def restore(self) -> None:  # noqa: B027 - optional
        """Undo every fault."""

    def plant(self, plant: Plant) -> Planted:
        """Plant something in what a run from nothing reads, until `restore`.

        Raises:
            NotChecked: the practice account cannot.
        """
        raise NotChecked(f"The practice account cannot plant {plant.value}.")

    def change(self) -> None:  # noqa: B027 - optional
        """Let something happen to the account between two visits: something new, something changed."""


class LivingAccount(PracticeAccount):
    """A practice account that changes while it is read. The adversary of the kit stands before it.

    It comes from `open_living_account(owner)` of the module `conformance`: 0 is the owner's own account; 1 is another
    owner's, with the same secrets, that answers at another address or lies in another directory.
    """

    events: Mapping[str, Callable[[Random], None]] = {}
    """Things that may happen to the account at any moment, by name: something arrives, moves, leaves, comes back."""

    imap_port: str | None = None
    """The setting that holds the port of an IMAP server on this machine, where there is one."""
    today: date = date.min
    """The day of the honest runs, for records that are named after the day on which they were read."""

    def settle(self, today: date) -> None:
        """Finish what is half done, such as a line that is being written: the honest runs begin, on this day."""
        self.today = today

    def may_be_held(self) -> Sequence[RecordGroup]:
        """Records that are no longer at the provider, and that a collection which has them keeps by design."""
        return ()


class AccountFactory(Protocol):
    """The function `conformance.open_account` of a connector."""

    def __call__(self) -> AbstractContextManager[PracticeAccount]:
        """A practice account, to be entered and left."""
        ...


class LivingFactory(Protocol):
    """The function `conformance.open_living_account` of a connector."""

    def __call__(self, owner: int) -> AbstractContextManager[LivingAccount]:
        """The account of the owner 0, or of another one."""
        ...

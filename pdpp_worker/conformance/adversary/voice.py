"""The voice of the adversary: it decides, answer by answer, whether to lie and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from pdpp_worker.conformance.adversary.lies import Lie
from pdpp_worker.conformance.errors import Defect

MOST_REQUESTS = 600
"""A living account is small: a walk that asks more often goes in a circle."""

MOST_EVENTS = 15
"""Events in one run: an account in which more happens than is read never comes to rest."""


@dataclass(frozen=True)
class Manner:
    """The way in which one run is lied to."""

    lies: tuple[Lie, ...] = ()
    share: float = 0.0
    """The share of answers that are lies, in [0, 1]."""
    steady: bool = False
    """The same question gets the same lie throughout the run."""
    restless: float = 0.0
    """The share of moments (a request, a message) at which something happens to the account."""


HONEST = Manner()


class Listener(Protocol):
    """A liar that is told of moments."""

    def __call__(self, *, begins: bool) -> None:
        """Lie anew, or go on."""
        ...


class Voice:
    """Draws the lies of a seed."""

    def __init__(self, rng: Random, happen: Callable[[Random], None]) -> None:
        """`happen` lets something happen to the account."""
        self.rng = rng
        self._happen = happen
        self._manner = HONEST
        self._asked = self._happened = 0
        self._known: dict[str, Lie | None] = {}
        self._listeners: list[Listener] = []
        self.told: Counter[str] = Counter()
        """The lies that were told; one that changed nothing is none."""

    def begin(self, manner: Manner) -> None:
        """Speak in this manner for a run."""
        self._manner, self._asked, self._happened, self._known = manner, 0, 0, {}
        for listener in self._listeners:
            listener(begins=True)

    @property
    def is_circling(self) -> bool:
        """Whether more was asked in this run than an account of this size has to tell."""
        return self._asked >= MOST_REQUESTS

    def on_moment(self, listener: Listener) -> None:
        """Call this as each run begins (begins=True), and at each moment within it."""
        self._listeners.append(listener)

    def between(self) -> None:
        """The moment between two messages."""
        self.moment()
        for listener in self._listeners:
            listener(begins=False)

    def moment(self) -> None:
        """Let something happen to the account."""
        if self._happened < MOST_EVENTS and self.rng.random() < self._manner.restless:
            self._happened += 1
            self._happen(self.rng)

    def draw(self, question: str) -> Lie | None:
        """The lie for this question, if there is to be one."""
        self._asked += 1
        self.moment()
        if self._manner.steady and question in self._known:
            return self._known[question]
        lies = self.rng.random() < self._manner.share
        self._known[question] = self.rng.choice(self._manner.lies) if lies and self._manner.lies else None
        return self._known[question]

    def tell(self, lie: Lie) -> None:
        """Note a lie that was told."""
        self.told[lie.value] += 1

    def require_progress(self) -> None:
        """Refuse a run that went in a circle.

        Raises:
            Defect: it asked too often.
        """
        if self.is_circling:
            raise Defect(f"it goes in a circle: more than {MOST_REQUESTS} requests in one run, and no gap ends it")

"""Whether a sign-in has expired: what was refused to old credentials, or once in passing, says nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pdpp_worker.connector import AuthExpired, Challenged, Context, DetailGap, Message, Start
from pdpp_worker.errors import ProviderError
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.store import connections
from tests.support.backlog import TARGETED, missing
from tests.support.scripted import Scenario, manifest, record, state


@pytest.fixture
def account(scenario: Scenario, no_haste: None) -> Scenario:
    """A connection that signs in."""
    token = {"token": {"title": "Token", "required": False}}
    scenario.manifest = manifest(recovery=TARGETED, credentials=token)
    return scenario


def renew(scenario: Scenario) -> None:
    """The owner gives new credentials."""
    with scenario.db.begin() as connection:
        connections.set_credentials(connection, scenario.connection_id, {"token": "env:NEW"})


def waiting(scenario: Scenario) -> list[bool]:
    """Of each open gap, whether it waits for the owner."""
    return [gap["next_attempt_at"] is None for gap in scenario.gaps() if gap["closed_at"] is None]


def refused(scenario: Scenario, meanwhile: Callable[[], None], error: ProviderError | None) -> None:
    """A connector that is refused one item, or everything, after something else has happened."""

    def collect(_: Start, __: Context) -> Iterator[Message]:
        meanwhile()
        yield DetailGap(stream="items", record_key="b", reason="credentials_expired")
        if error is not None:
            raise error
        yield state(2)

    scenario.install(collect)


@pytest.mark.parametrize("error", [None, AuthExpired("401"), Challenged("are you human?")])
def test_a_refusal_of_credentials_that_were_replaced_meanwhile_does_not_wait_for_the_owner(
    account: Scenario, error: ProviderError | None
) -> None:
    refused(account, lambda: renew(account), error)

    account.run()

    assert waiting(account) == [False] * (1 if error is None else 2)


@pytest.mark.parametrize("error", [None, AuthExpired("401")])
def test_a_refusal_of_the_credentials_that_are_held_does(account: Scenario, error: ProviderError | None) -> None:
    refused(account, lambda: None, error)

    account.run()

    assert waiting(account) == [True] * (1 if error is None else 2)


@pytest.mark.parametrize("renewed", [True, False])
def test_a_recovery_whose_credentials_are_replaced_meanwhile_is_tried_again(account: Scenario, renewed: bool) -> None:
    account.send(record("a"), *missing("b"), state(1))
    account.run()
    account.elapse()

    def collect(_: Start, __: Context) -> Iterator[Message]:
        if renewed:
            renew(account)
        raise AuthExpired("401")
        yield

    account.install(collect)
    sweep_transient(account.settings, account.db)
    account.work()

    assert [gap["reason"] for gap in account.gaps()] == ["credentials_expired"]
    assert waiting(account) == [not renewed]


@pytest.mark.parametrize("reason", ["credentials_expired", "challenged"])
def test_a_refusal_that_has_passed_is_no_expired_sign_in(account: Scenario, reason: str) -> None:
    account.send(record("a"), *missing("b", reason=reason), state(1))
    account.run()
    first = waiting(account)

    account.send(record("c"), state(2))
    account.run()

    assert (first, waiting(account)) == ([True], [False])


def test_a_run_that_is_refused_something_itself_proves_nothing(account: Scenario) -> None:
    account.send(*missing("b", reason="credentials_expired"), state(1))
    account.run()

    account.send(*missing("c", reason="credentials_expired"), state(2))
    account.run()

    assert waiting(account) == [True, True]


def test_a_run_that_fails_proves_nothing(account: Scenario) -> None:
    account.send(*missing("b", reason="credentials_expired"), state(1))
    account.run()

    def fails(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        raise ZeroDivisionError

    account.install(fails)
    account.run()

    assert waiting(account)[0]

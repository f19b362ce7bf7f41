"""Each built-in connector tries an account before the first run, and says what it reaches or why nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker import registry
from pdpp_worker.conformance.account import PracticeAccount
from pdpp_worker.connector import AuthExpired, Check, ConfigurationError, Context, NeedsOwner, Reached
from pdpp_worker.runtime.connection_values import with_defaults
from tests.support.connectors import context

BUILT_IN = ["chatgpt", "claude_code", "gmail", "slack", "usaa"]
SIGNED_IN = ["chatgpt", "gmail", "slack"]


def check_of(name: str) -> Check:
    found = registry.packaged_connectors()[name].check()
    assert found is not None
    return found


def given(name: str, settings: dict[str, Any], secrets: dict[str, str] | None = None) -> Context:
    specs = registry.packaged_connectors()[name].manifest.settings
    return context(with_defaults(specs, settings), secrets or {})


@contextmanager
def practice(name: str) -> Iterator[PracticeAccount]:
    """The practice account that the connector's conformance kit brings."""
    with import_module(f"connectors.{name}.conformance").open_account() as account:
        yield account


@pytest.mark.process
@pytest.mark.parametrize("name", BUILT_IN)
def test_an_account_that_works_is_reached_and_counted(name: str) -> None:
    with practice(name) as account:
        reached = check_of(name)(given(name, dict(account.settings), dict(account.secrets)))

    assert any(reached.holds.values())


@pytest.mark.process
@pytest.mark.parametrize("name", SIGNED_IN)
def test_a_wrong_credential_is_refused_as_one(name: str) -> None:
    with practice(name) as account:
        wrong = dict.fromkeys(account.secrets, "another-credential")
        with pytest.raises(NeedsOwner) as refusal:
            check_of(name)(given(name, dict(account.settings), wrong))

    assert "another-credential" not in str(refusal.value)


@pytest.mark.process
@pytest.mark.parametrize("name", SIGNED_IN)
def test_without_a_credential_it_is_said_that_one_is_needed(name: str) -> None:
    with practice(name) as account, pytest.raises(AuthExpired, match=r"set"):
        check_of(name)(given(name, dict(account.settings)))


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("chatgpt", "archive"),
        ("claude_code", "projects_dir"),
        ("gmail", "mail_path"),
        ("slack", "export"),
        ("usaa", "inbox"),
    ],
)
def test_a_place_that_is_not_there_is_named(name: str, setting: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="elsewhere"):
        check_of(name)(given(name, {setting: str(tmp_path / "elsewhere")}))


@pytest.mark.parametrize(
    ("name", "setting", "write"),
    [
        ("chatgpt", "archive", lambda place: (place / "user.json").write_text("{}")),
        ("gmail", "mail_path", lambda place: (place / "notes.txt").write_text("no mail")),
        ("slack", "export", lambda place: (place / "notes.txt").write_text("no export")),
    ],
)
def test_a_place_that_holds_something_else_is_refused(
    name: str, setting: str, write: Callable[[Path], object], tmp_path: Path
) -> None:
    write(tmp_path)

    with pytest.raises(ConfigurationError):
        check_of(name)(given(name, {setting: str(tmp_path)}))


def test_an_archive_that_the_first_run_makes_is_no_failure(tmp_path: Path) -> None:
    settings = {"archive": str(tmp_path / "later"), "slackdump": "true"}

    assert check_of("slack")(given("slack", settings)) == Reached(
        remark="The archive is not there yet: the first run lets slackdump make it."
    )

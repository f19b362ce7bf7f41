"""Each built-in connector tries an account before the first run, and says what it reaches or why nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker import registry
from pdpp_worker.conformance.account import PracticeAccount
from pdpp_worker.connector import Check, ConfigurationError, Context, Reached
from pdpp_worker.owner import checking
from pdpp_worker.owner.checking import Finding
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.connectors import context

BUILT_IN = ["chatgpt", "claude_code", "gmail", "slack", "usaa"]
SIGNED_IN = ["chatgpt", "gmail", "slack"]
WRONG = "another-credential"


def check_of(name: str) -> Check:
    found = registry.packaged_connectors()[name].check()
    assert found is not None
    return found


def draft(settings: Settings, name: str, given: Mapping[str, Any], secrets: Mapping[str, str]) -> ConnectionRow:
    """A connection that is not stored."""
    sealed = {key: Vault(settings).seal(value, Place(name, "new", key)) for key, value in secrets.items()}
    return checking.draft("new", name, given, sealed)


def given(name: str, settings: dict[str, Any]) -> Context:
    specs = registry.packaged_connectors()[name].manifest.settings
    return context(with_defaults(specs, settings))


@contextmanager
def practice(name: str) -> Iterator[PracticeAccount]:
    """The practice account that the connector's conformance kit brings."""
    with import_module(f"connectors.{name}.conformance").open_account() as account:
        yield account


@pytest.mark.process
@pytest.mark.parametrize("name", BUILT_IN)
def test_an_account_that_works_is_reached_and_counted(name: str, settings: Settings, db: Database) -> None:
    with practice(name) as account:
        found = checking.check(settings, db, draft(settings, name, account.settings, account.secrets))

    assert found.finding is Finding.REACHED, found.said
    assert any(found.holds.values())


@pytest.mark.process
@pytest.mark.parametrize("name", SIGNED_IN)
def test_a_wrong_credential_and_none_are_refused_as_such(name: str, settings: Settings, db: Database) -> None:
    with practice(name) as account:
        wrong = dict.fromkeys(account.secrets, WRONG)
        found = checking.check(settings, db, draft(settings, name, account.settings, wrong))
        without = checking.check(settings, db, draft(settings, name, account.settings, {}))

    assert (found.finding, without.finding) == (Finding.REFUSED, Finding.REFUSED)
    assert WRONG not in found.said
    assert "set" in without.said or "given" in without.said


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

"""A command imports what it uses alone, so that it answers at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pdpp_worker.cli.commands import PANELS
from pdpp_worker.cli.program import HELP, app
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.fleet import ROOT, environment
from tests.support.waiting import PATIENCE_S

HEAVY = {"alembic", "celery", "cryptography", "httpx", "kombu", "psycopg", "pydantic", "redis", "sqlalchemy", "uvicorn"}
_RUN = """
import json, sys
from pdpp_worker.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(settings: Settings, *arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        env=environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_import_no_library_of_the_fleet(settings: Settings, arguments: tuple[str, ...]) -> None:
    assert imported(settings, *arguments) & HEAVY == set()


LOOKS = (
    ("status",),
    ("runs",),
    ("gaps", "nobody"),
    ("why", "nobody", "messages"),
    ("connection", "list"),
    ("connection", "show", "nobody"),
)


@pytest.mark.parametrize("arguments", LOOKS, ids=" ".join)
def test_a_look_imports_a_client_of_the_database_and_nothing_that_changes_it_or_runs_a_connector(
    settings: Settings, db: Database, arguments: tuple[str, ...]
) -> None:
    found = imported(settings, *arguments)

    assert found & HEAVY == {"psycopg", "pydantic"}
    assert found & {"rich", "structlog"} == set()
    assert found & {"pdpp_worker.connector", "pdpp_worker.protocol.messages", "pdpp_worker.store.tables"} == set()
    assert {"pdpp_worker.runtime", "pdpp_worker.command", "psutil"} & found == set()


def test_the_supervisor_of_the_fleet_is_made_of_the_standard_library(settings: Settings) -> None:
    code = "import json, sys, pdpp_worker.local.fleet_supervisor; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    found = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert found <= {"__main__", "pdpp_worker", *sys.stdlib_module_names}


@pytest.mark.parametrize("name", HELP)
def test_what_the_list_says_of_a_command_fits_a_narrow_terminal(name: str) -> None:
    assert len(HELP[name]) <= 56
    assert HELP[name].endswith(".")


def test_every_command_that_there_is_has_its_line() -> None:
    files = {path.stem for path in (ROOT / "pdpp_worker" / "cli" / "commands").glob("[a-z]*.py")}

    assert files - {"login", "db_stats"} == {name for commands in PANELS.values() for name in commands}
    assert app.registered_callback is not None

"""The checks as tests, for the repository of a connector. pytest finds this plugin by itself.

    @pytest.mark.pdpp_connector("notes")  # an installed connector's name, or a directory
    def test_the_connector_conforms(pdpp_check):
        pdpp_check()

is one test for each check. A check that could not be tried is skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a plugin is loaded with every run of pytest, whatever it tests
    from pdpp_worker.conformance.report import Examination

MARK = "pdpp_connector"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARK}(*names): the connectors that `pdpp_check` checks, by name or directory")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each connector and check."""
    if "pdpp_check" not in metafunc.fixturenames:
        return
    from pdpp_worker.conformance.report import NAMES

    connectors = [str(name) for mark in metafunc.definition.iter_markers(MARK) for name in mark.args]
    if not connectors:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} needs @pytest.mark.{MARK}(name or directory)")
    cases = [(connector, check) for connector in connectors for check in NAMES]
    ids = [f"{connector.rstrip('/').rpartition('/')[2]}-{check.replace(' ', '-')}" for connector, check in cases]
    metafunc.parametrize("pdpp_check", cases, ids=ids, indirect=True)


@pytest.fixture(scope="session")
def pdpp_examinations() -> Iterator[Callable[[str], Examination]]:
    """Opens each connector's account once, and closes all of them at the end."""
    from pdpp_worker.conformance.report import begin

    opened: dict[str, Examination] = {}
    with ExitStack() as stack:

        def examination(connector: str) -> Examination:
            if connector not in opened:
                opened[connector] = begin(connector, stack, as_fleet_user=True)  # its repository's tests run its code
            return opened[connector]

        yield examination


@pytest.fixture
def pdpp_check(request: pytest.FixtureRequest, pdpp_examinations: Callable[[str], Examination]) -> Callable[[], None]:
    """Runs one check: fails with its sentence, or is skipped when it cannot be run."""
    from pdpp_worker.conformance.report import Ending

    connector, name = request.param

    def run() -> None:
        result = pdpp_examinations(connector).result(name)
        if result.ending is Ending.NOT_CHECKED:
            pytest.skip(result.found)
        if result.ending is Ending.FAILED:
            pytest.fail(f"{name}: {result.found}", pytrace=False)

    return run

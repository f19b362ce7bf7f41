"""A process that holds secrets shows nothing to others, and its children may do little."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pdpp_worker.privileges import CAPABILITIES, may_change_user
from tests.support.fleet import ROOT

pytestmark = [
    pytest.mark.process,  # starts processes itself
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux hides a process from those of its own user"),
]
DUMPABLE = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"


@pytest.mark.parametrize(
    "code",
    [f"import pdpp_worker.celery; {DUMPABLE}", f"from pdpp_worker.privileges import protect; protect(); {DUMPABLE}"],
)
def test_a_process_of_the_fleet_is_hidden_from_others_of_its_user(code: str) -> None:
    assert said(sys.executable, "-c", code) == "0"


def test_a_command_of_the_owner_is_hidden_too() -> None:
    code = (
        f"import sys; sys.argv = ['pdpp-worker', 'version']\ntry:\n import pdpp_worker.__main__\nfinally:\n {DUMPABLE}"
    )

    assert said(sys.executable, "-c", code).splitlines()[-1] == "0"


@pytest.mark.skipif(not may_change_user(), reason="only root gives capabilities")
def test_a_fleet_with_the_capabilities_hands_them_to_nobody_but_whom_it_means_to() -> None:
    code = f"""
import subprocess, sys
sys.path.insert(0, {str(ROOT)!r})
from pdpp_worker import privileges
privileges.protect()
asked = ["sh", "-c", "grep CapEff /proc/self/status"]
with privileges.handed_on():
    subprocess.run(asked)
subprocess.run(asked)
print(privileges.may_change_user(), flush=True)
"""
    given = ",".join(f"+{name.lower()}" for name in CAPABILITIES)
    options = ["--reuid=61183", "--regid=61183", "--clear-groups", f"--inh-caps={given}", f"--ambient-caps={given}"]

    handed_on, kept, may = said("setpriv", *options, sys.executable, "-c", code).splitlines()

    assert int(handed_on.split()[1], 16) == sum(1 << number for number in CAPABILITIES.values())
    assert (int(kept.split()[1], 16), may) == (0, "True")


def said(*command: str) -> str:
    """The output of a program."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

"""The connector's `check`: it tells an account that works from one that does not, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdpp_worker.conformance.attempt import Runner
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.names import plural
from pdpp_worker.conformance.own_account import OwnAccount
from pdpp_worker.connector import Check, Reached
from pdpp_worker.errors import PdppError

MOST_REQUESTS = 12
"""A check is to ask a handful: somebody waits for it, and it counts for the rate."""
WRONG = "a-wrong-credential"
_ELSEWHERE = "not-there"


def check_account(case: Case) -> str:
    """Whether an account that works is reached, and one that does not is refused in a sentence."""
    check = case.connector.check()
    if check is None:
        raise NotChecked("The connector has no check(context) that tries an account before it is saved.")
    before = _places(case.account.settings)
    found = _reached(case, check)
    refused = _refused(case, check)
    if _places(case.account.settings) != before:
        raise Defect("its check writes to the owner's directory")
    return f"{found}; {refused}"


def _reached(case: Case, check: Check) -> str:
    try:
        found, asked = case.runner.try_account(check)
    except PdppError as error:
        raise Defect(f"its check refuses an account that works: {error}") from error
    if not isinstance(found, Reached):
        raise Defect(f"its check returns {type(found).__name__}, no Reached")
    if asked > MOST_REQUESTS:
        raise Defect(f"its check sends {asked} requests, and should send a handful")
    return f"reached with {plural(asked, 'request')}"


def _refused(case: Case, check: Check) -> str:
    """The refusal of an account that does not work. A connector that cannot tell says so in its remark."""
    what, account = _wrong(case)
    runner = Runner(case.connector, account, case.directory)
    try:
        found, _ = runner.try_account(check)
    except PdppError as error:
        said = str(error).strip()
        if not said or WRONG in said:
            raise Defect(f"its check refuses {what} without a sentence, or with the credential in it") from error
        return f"{what} refused: {said}"
    if not found.remark:
        raise Defect(f"its check reaches an account with {what}, without a word of it")
    return f"{what} not told apart, as its remark says"


def _wrong(case: Case) -> tuple[str, OwnAccount]:
    """The account with what does not work, and what that is."""
    given = case.account
    if given.secrets:
        return "a wrong credential", OwnAccount(given.settings, dict.fromkeys(given.secrets, WRONG))
    paths = {name: str(Path(str(given.settings[name])) / _ELSEWHERE) for name in _path_settings(case)}
    if not paths:
        raise NotChecked("The practice account has neither credentials nor a path that could be wrong.")
    return "a path that is not there", OwnAccount({**given.settings, **paths}, {})


def _path_settings(case: Case) -> list[str]:
    specs, given = case.manifest.settings, case.account.settings
    return [name for name, spec in specs.items() if spec.type in ("path", "file") and given.get(name)]


def _places(settings: Mapping[str, Any]) -> dict[Path, tuple[int, int]]:
    """The files in the owner's directories, with size and time of change."""
    roots = [Path(value) for value in settings.values() if isinstance(value, str) and Path(value).is_absolute()]
    files = [one for root in roots for one in (root, *root.rglob("*")) if one.is_file()]
    return {one: (one.stat().st_size, one.stat().st_mtime_ns) for one in files}

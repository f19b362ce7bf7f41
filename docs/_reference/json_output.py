"""The page of what commands print with `--json`: the keys, read from the classes that are printed.

A class is found by its name wherever it stands in the package, so moving one changes nothing here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pdpp_worker
from docs._reference.markdown import code, documented, table


@dataclass(frozen=True)
class Output:
    """The output of one command: a document, a list, or a line for each item, made from a class and more keys."""

    form: str
    classes: tuple[str, ...] = ()
    more: dict[str, str] = field(default_factory=dict)


_WAIT = {
    "waits_until": "until when nothing is asked for at the connection; null: it does not wait",
    "wait_reason": "why it waits",
}
_GAP = {"sentence": "the reason as a sentence", "who_mends": "`time`, `upgrade`, `owner` or `nobody`"}

_CONNECTOR = {
    "name": "",
    "version": "",
    "title": "",
    "queue": "",
    "settings": "setting to its specification in the manifest",
    "credentials": "credential to its specification in the manifest",
    "streams": "a list with `name`, `supplied`, `not_with`, `not_without` and `reason`",
}

OUTPUTS: dict[str, Output] = {
    "status": Output("a list with an object for each stream; with `--watch` a list on each line", ("StatusRow",)),
    "coverage": Output("a list with an object for each stream", ("StreamCoverage",)),
    "why": Output("one object; without an item, the object of `coverage`", ("Answer",)),
    "report": Output(
        "one document",
        (),
        {
            "made_at": "the time of the snapshot",
            "answer": "one sentence about everything",
            "connections": "a list; each has `connection`, `connector`, `version`, `schedule`, `paused`, "
            "`next_run_at`, `last_run_id`, `last_run_status`, `last_run_at`, `waits_until`, `wait_reason`, "
            "`inventory` (a list of `MemberView`: what its source consists of) and `streams`. "
            "A stream has the keys of `coverage` and `gaps`, which are as `gaps` prints them.",
        },
    ),
    "rate": Output("a list with an object for each connection; with `--watch` a list on each line", ("RateView",)),
    "runs list": Output("a list with an object for each run", ("RunView",), _WAIT),
    "runs show": Output("one object", ("RunView",), {**_WAIT, "streams": "a list of `RunStreamView`"}),
    "gaps list": Output(
        "one object on each line", ("GapView",), {**_GAP, "who_acts": "the same for the owner, in words", **_WAIT}
    ),
    "deletions list": Output("one object on each line", ("DoubtView",)),
    "events": Output("one object on each line", ("EventView",)),
    "audit": Output("one object on each line", ("AuditView",)),
    "connection check": Output("one object", ("Checked",)),
    "files list": Output("a list with an object for each file", ("FoundFile",)),
    "data list": Output("a list with an object for each directory", ("DataDirectory",)),
    "connection list": Output("a list with an object for each connection", ("ConnectionView",)),
    "connection show": Output(
        "one object",
        ("ConnectionView",),
        {
            "rate_ceiling": "the ceiling in force, ms, and where it was set",
            "inventory": "a list of `MemberView`: what its source consists of",
        },
    ),
    "connectors": Output("a list with an object for each connector", (), _CONNECTOR),
    "connector show": Output("one object, as in the list of `connectors`", (), _CONNECTOR),
    "connector check": Output("a list with an object for each check", ("Result",)),
    "doctor": Output("a list with an object for each check", ("Check",)),
    "db stats": Output(
        "a list with an object for each table",
        ("TableStats",),
        {"kept_days": "after so many days rows are dropped that nothing needs; null: they are kept for ever"},
    ),
    "db revision": Output(
        "one object", (), {"revision": "the schema that is there", "needed": "the one this version needs"}
    ),
}
PARTS = ("Interval", "CompleteWalk", "LastWalk", "Cost", "RunStreamView", "MemberView")
"""Classes of values inside the objects above; those that the code does not have are left out."""


@cache
def _classes() -> dict[str, ast.ClassDef]:
    found: dict[str, ast.ClassDef] = {}
    for path in sorted(Path(pdpp_worker.__path__[0]).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, node)
    return found


def keys(command: str) -> dict[str, str]:
    """The keys of the object that a command prints, with what is said of each."""
    output = OUTPUTS[command]
    own = {name: text for one in output.classes for name, text in documented(_classes()[one]).items()}
    return {**own, **output.more}


def json_page() -> str:
    """The output of each command with `--json`."""
    text = (
        "# JSON output\n\nEvery command that reads takes `--json`. The names of the keys are stable; null is unknown, "
        "which is not zero. Times are ISO 8601 with their zone.\n"
    )
    for command, output in OUTPUTS.items():
        text += f"\n## {command}\n\nPrints {output.form}.\n\n" + _keys(keys(command))
    text += "\n## Values inside\n"
    return text + "".join(_inner(name, _classes()[name]) for name in PARTS if name in _classes())


def _inner(name: str, node: ast.ClassDef) -> str:
    return f"\n### {name}\n\n{ast.get_docstring(node) or ''}\n\n{_keys(documented(node))}"


def _keys(found: dict[str, str]) -> str:
    return table(("key", ""), [(code(name), text) for name, text in found.items()])

"""Tries a tap's account: the adapter asks the tap for its catalog, with the connection's settings and credentials."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from pdpp_worker.command.child import Child
from pdpp_worker.command.prepared_program import Program, prepared
from pdpp_worker.command.stderr import ErrorLog
from pdpp_worker.connector import Check, ConfigurationError, Context, Reached, Start
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import StartScope
from pdpp_worker.protocol.scope import StreamScope
from pdpp_worker.secrets import Redactor
from pdpp_worker.singer.definition import COMMAND

OPTION = "--check"
_REMARK = "Not every tap signs in for that: whether the credentials work, the first run tells."


def checker(manifest: Manifest, folder: Path) -> Check | None:
    """The check of a connector that is a tap; None: it is another program."""
    return partial(_check, manifest, folder) if tuple(manifest.command or ()) == COMMAND else None


def _check(manifest: Manifest, folder: Path, context: Context) -> Reached:
    asked = StartScope(streams=[StreamScope(name=one.name) for one in manifest.streams])
    with prepared(manifest, folder, Start(run_id="check", scope=asked), context) as program:
        said = _answer(program, context)
    if "error" in said:
        raise ConfigurationError(str(said["error"]))
    return Reached(holds={"tables": int(said["tables"])}, remark=_REMARK)


def _answer(program: Program, context: Context) -> dict[str, int | str]:
    child = Child(
        [*program.command, OPTION],
        program.folder,
        program.environment,
        check=context.check,
        log=ErrorLog(context.log, Redactor()),
        account=program.account,
        paths=program.paths,
        is_offline=program.is_offline,
    )
    try:
        for line in child.lines():
            if isinstance(line, bytes):
                answer: dict[str, int | str] = json.loads(line)
                return answer
    except ValueError:
        pass
    finally:
        child.stop()
    raise ConfigurationError("the tap's adapter gave no answer")

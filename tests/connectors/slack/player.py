"""Plays slackdump: takes its command lines, writes its archive bit by bit, and dies, stalls or ends as it is told to.

Its plan lies beside the program, as JSON: {"channels": {id: [messages]}, "calls": [{…}, …]}. Each call takes the next
entry: "fails" (a channel that it dies in after one page, or a thread that it cannot read), "exit", "said" (its last
words), "stalls" (it goes on without writing, and leaves a file that says so). Its command lines stand in
`calls.jsonl`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from tests.connectors.slack.account import CHANNEL_INFO, OWNER, THREAD, ArchiveMaker, Obj, channel, user

PAGE = 2


class DeadError(Exception):
    """It gives up here."""


class Player:
    """One call."""

    def __init__(self, program: Path, arguments: list[str]) -> None:
        self._arguments = arguments
        self._plan = json.loads(program.with_name("plan.json").read_text())
        log = program.with_name("calls.jsonl")
        number = len(log.read_text().splitlines()) if log.exists() else 0
        with log.open("a") as file:
            file.write(json.dumps(arguments) + "\n")
        self._stalled = has_stalled(program)
        calls = self._plan["calls"]
        self._call: Obj = calls[number] if number < len(calls) else {}

    def play(self) -> int:
        """Do what the command line says; returns the exit code."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._arguments[0] == "workspace":
            self._login = Path(self._arguments[-1]).read_text()
            return int(self._call.get("exit", 0))
        maker = ArchiveMaker(self._directory)
        maker.begin(self._arguments[0], "|".join(self._arguments))
        try:
            self._write(maker)
            if "exit" not in self._call:
                maker.finish()
        except DeadError:
            pass
        maker.close()
        if self._call.get("stalls"):
            self._stalled.touch()
            threading.Event().wait(600)
        sys.stderr.write(self._call.get("said", ""))
        return int(self._call.get("exit", 0))

    @property
    def _directory(self) -> Path:
        flag = "-o" if self._arguments[0] == "archive" else "-api-config"
        return Path(self._arguments[self._arguments.index(flag) + (1 if flag == "-o" else 2)])

    def _write(self, maker: ArchiveMaker) -> None:
        names = [one for one in self._arguments if one.lstrip("^").partition(":")[0] in self._plan["channels"]]
        named = [one for one in names if not one.startswith("^")]
        listed = [key for key in self._plan["channels"] if f"^{key}" not in names]
        if self._arguments[0] == "archive" and named:
            wanted = named
        else:
            maker.workspace()
            maker.users(user(OWNER))
            maker.channels(*(channel(key) for key in self._plan["channels"]))
            wanted = [*(key for key in listed if key not in named), *named]
        # The one that it dies in comes last, so that the others are there.
        for entity in sorted(wanted, key=lambda one: one == self._call.get("fails")):
            self._entity(maker, entity)

    def _entity(self, maker: ArchiveMaker, entity: str) -> None:
        key, _, parent = entity.partition(":")
        messages: list[Obj] = self._plan["channels"][key]
        if parent:
            self._thread(maker, key, parent, messages)
            return
        maker.channels(channel(key), kind=CHANNEL_INFO)
        top = [one for one in messages if one.get("thread_ts") in (None, one["ts"])][::-1]
        pages = [top[at : at + PAGE] for at in range(0, len(top), PAGE)] or [[]]
        for number, page in enumerate(pages):
            if self._call.get("fails") == key and number == 1:
                raise DeadError
            maker.messages(key, page, final=number == len(pages) - 1)
        for one in top:
            if one.get("reply_count"):
                self._thread(maker, key, one["ts"], messages)

    def _thread(self, maker: ArchiveMaker, key: str, parent: str, messages: list[Obj]) -> None:
        if self._call.get("fails") == f"{key}:{parent}":
            return
        maker.messages(key, [one for one in messages if one.get("thread_ts") == parent], kind=THREAD)


def install(folder: Path, channels: dict[str, list[Obj]], *calls: Obj) -> Path:
    """Put the program in a folder with its plan; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "slackdump"
    root = Path(__file__).parents[3]
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n\nsys.path.insert(0, {str(root)!r})\n"
        "from tests.connectors.slack.player import Player\n\n"
        "sys.exit(Player(Path(__file__), sys.argv[1:]).play())\n"
    )
    program.chmod(0o755)
    plan(program, channels, *calls)
    return program


def plan(program: Path, channels: dict[str, list[Obj]], *calls: Obj) -> None:
    """Another workspace, and what becomes of the next calls."""
    done: list[Obj] = [{} for _ in called(program)]
    program.with_name("plan.json").write_text(json.dumps({"channels": channels, "calls": [*done, *calls]}))


def has_stalled(program: Path) -> Path:
    """The file that is there once it writes no more."""
    return program.with_name("stalled")


def called(program: Path) -> list[list[str]]:
    """The command lines so far."""
    log = program.with_name("calls.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

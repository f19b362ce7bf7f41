"""The tool's own directory beside the projects: whose text is kept, what is left out and why, what is not known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from connectors.claude_code.tree import encode_name

HISTORY = "history.jsonl"
PROJECTS = "projects"
TEXTS = {
    "CLAUDE.md": ("instructions", ".md"),
    "agents": ("agent", ".md"),
    "output-styles": ("output_style", ".md"),
    "paste-cache": ("paste", ".txt"),
    "plans": ("plan", ".md"),
    "rules": ("rule", ".md"),
    "tasks": ("task", ".json"),
    "teams": ("team", ".json"),
    "todos": ("todo", ".json"),
}
"""Files and directories whose text is kept: the kind of document, and how their names end."""
ELSEWHERE = {"skills": ("skills", "SKILL.md"), "commands": ("slash_commands", ".md")}
"""Directories that streams of their own read: the stream, and how the names of its files end."""
_SETTINGS = "settings and credentials of the tool are never opened"
_CACHE = "a cache of the tool, which makes it again"
_WORKING = "the tool's working files, without anything that you wrote"
DECLARED = {
    "backups": _SETTINGS,
    "cache": _CACHE,
    "chrome": _WORKING,
    "config.json": _SETTINGS,
    "debug": "the tool's own log, for its makers",
    "downloads": _CACHE,
    "file-history": "copies of your own files before the tool changed them; the transcripts hold the changes",
    "ide": _WORKING,
    "image-cache": "pictures that were pasted; the transcripts hold them in the message",
    "keybindings.json": _SETTINGS,
    "local": "the program itself",
    "logs": "the tool's own log, for its makers",
    "mcp-needs-auth-cache.json": _CACHE,
    "plugins": "programs and texts of others, which can be installed again",
    "policy-limits.json": _SETTINGS,
    "remote-settings.json": _SETTINGS,
    "session-env": _WORKING,
    "sessions": _WORKING,
    "settings.json": _SETTINGS,
    "settings.local.json": _SETTINGS,
    "shell-snapshots": "the settings of your shell, as the tool found them",
    "stats-cache.json": "sums over the transcripts, which `usage` holds answer by answer",
    "statsig": _WORKING,
    "statusline-command.sh": _SETTINGS,
    "telemetry": "measurements for the tool's makers",
    "usage-data": "reports that the tool made from the transcripts",
}
"""Files and directories that are left out, and why."""
HIDDEN = "names that begin with a dot are never opened: credentials are kept there"


@dataclass(frozen=True, slots=True)
class HomeFile:
    """A file below the tool's directory: its path, its name relative to it, and what its directory tells of it."""

    path: Path
    name: str
    size: int
    mtime_ns: int

    @property
    def top(self) -> str:
        """The file or directory of the tool's own directory that it is or lies in."""
        return self.name.split("/", 1)[0]


@dataclass(slots=True)
class HomeTree:
    """Everything in the tool's directory but the projects, sorted by name."""

    texts: list[tuple[str, HomeFile]] = field(default_factory=list)
    """Each with its kind."""
    elsewhere: list[HomeFile] = field(default_factory=list)
    declared: list[HomeFile] = field(default_factory=list)
    hidden: int = 0
    others: list[HomeFile] = field(default_factory=list)
    history: HomeFile | None = None
    has_projects: bool = False
    unlisted: dict[str, OSError] = field(default_factory=dict)


def scan_home(home: Path) -> HomeTree:
    """Find everything in the tool's directory; nothing is opened, and links are not followed.

    Raises:
        OSError: the directory itself cannot be listed.
    """
    tree = HomeTree()
    for path in sorted(home.iterdir()):
        if path.name == PROJECTS:
            tree.has_projects = True
        elif path.name.startswith("."):
            tree.hidden += 1
        else:
            for one in _files(home, path, tree):
                _place(one, tree)
    return tree


def _files(home: Path, path: Path, tree: HomeTree) -> Iterator[HomeFile]:
    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            tree.unlisted[encode_name(os.path.relpath(error.filename, home))] = error

    paths = [path] if not path.is_dir() else []
    for directory, below, names in os.walk(path, onerror=failed) if not paths else ():
        tree.hidden += sum(name.startswith(".") for name in (*below, *names))
        below[:] = sorted(name for name in below if not name.startswith("."))
        paths += [Path(directory, name) for name in sorted(names) if not name.startswith(".")]
    for one in paths:
        try:
            stat = one.lstat()
        except OSError:
            continue
        yield HomeFile(one, encode_name(str(one.relative_to(home))), stat.st_size, stat.st_mtime_ns)


def _place(found: HomeFile, tree: HomeTree) -> None:
    kind, ending = TEXTS.get(found.top, ("", ""))
    if found.name == HISTORY:
        tree.history = found
    elif kind and found.name.endswith(ending):
        tree.texts.append((kind, found))
    elif found.top in DECLARED:
        tree.declared.append(found)
    elif found.top in ELSEWHERE and found.name.endswith(ELSEWHERE[found.top][1]):
        tree.elsewhere.append(found)
    else:
        tree.others.append(found)

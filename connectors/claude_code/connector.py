"""Claude Code's logs on this machine: local files only, no request is ever sent."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from errno import ENOTDIR
from functools import partial
from pathlib import Path

from connectors.claude_code.apart import transcripts
from connectors.claude_code.documents import (
    DOCUMENTS,
    MEMORY_NOTES,
    SKILLS,
    SLASH_COMMANDS,
    DocumentSet,
    commands_documents,
    notes_documents,
    other_documents,
    skills_documents,
    subagents_documents,
    walk_documents,
)
from connectors.claude_code.folder_check import reached
from connectors.claude_code.history import PROMPTS, HistoryWalk
from connectors.claude_code.home import PROJECTS, HomeTree, scan_home
from connectors.claude_code.members import home_inventory, projects_inventory
from connectors.claude_code.records import ATTACHMENTS, MESSAGES, SESSIONS, SUBAGENTS, USAGE, RecordFactory
from connectors.claude_code.recover import Recovery
from connectors.claude_code.stream_counts import describe_os_error
from connectors.claude_code.tree import Tree, scan
from pdpp_worker.connector import (
    WHOLE_STREAM,
    Context,
    Message,
    Reached,
    Reason,
    ResourceScope,
    SkipResult,
    Start,
    skip,
)

_FROM_TRANSCRIPTS = frozenset({SESSIONS, MESSAGES, ATTACHMENTS, USAGE, SUBAGENTS})
_FROM_PROJECTS = _FROM_TRANSCRIPTS | {MEMORY_NOTES, DOCUMENTS}
_FROM_HOME = (SKILLS, SLASH_COMMANDS, DOCUMENTS, PROMPTS)


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Recover the gaps that are due, then read what is new in the transcripts and the owner's own files."""
    home = Path(context.settings["claude_dir"]).expanduser()
    root = _projects_directory(context)
    unsupported = {} if start.recovery_only else {one.stream: one for one in _unsupported(start)}
    wanted = {scope.name for scope in start.scope.streams} - unsupported.keys()
    factory = RecordFactory(root, home, frozenset(wanted & _FROM_TRANSCRIPTS), context.now)
    recovery = Recovery(factory, partial(_documents, root=root, home=home, context=context))
    yield from unsupported.values()
    yield from recovery.run(start.detail_gaps[: start.budget.items], is_all=start.recovery_only)
    if not start.recovery_only:
        tree = yield from _walk_projects(start, context, factory, wanted)
        yield from _walk_home(start, context, factory, wanted, tree)


def check(context: Context) -> Reached:
    """The projects and transcripts that the settings lead to."""
    root = _projects_directory(context)
    return reached(root, Path(context.settings["claude_dir"]).expanduser(), partial(_scan, root, context))


def _projects_directory(context: Context) -> Path:
    """The setting, else the projects of the tool's own directory: another such directory is another account."""
    named = context.settings.get("projects_dir")
    return Path(named or Path(context.settings["claude_dir"], "projects")).expanduser()


def _unsupported(start: Start) -> Iterator[SkipResult]:
    """Streams whose scope cannot be held; a narrower reading would need a position of its own in every file."""
    reason = Reason.SCOPE_NOT_SUPPORTED
    whole = {
        scope.name
        for scope in start.scope.streams
        if scope.resources is None and scope.time_range is None and scope.fields is None
    }
    for scope in start.scope.streams:
        if scope.name not in whole:
            text = "Resources, a time range or fields cannot be asked for; ask for the whole stream."
            yield skip(scope.name, reason, WHOLE_STREAM, text)
        elif scope.name in _FROM_TRANSCRIPTS and SESSIONS not in whole:
            text = "Ask for the whole stream sessions as well: it keeps the position in each file."
            yield skip(scope.name, reason, WHOLE_STREAM, text)


def _walk_projects(
    start: Start, context: Context, factory: RecordFactory, wanted: set[str]
) -> Generator[Message, None, Tree | None]:
    """Everything below the projects directory; what was found there, or None where it shows nothing."""
    asked = sorted(wanted & _FROM_PROJECTS)
    try:
        tree = _scan(factory.root, context)
    except OSError as error:
        text = (
            f"{_projects_directory(context)} cannot be listed: {describe_os_error(error)}. "
            "Set `projects_dir` to the directory where Claude Code keeps its projects."
        )
        yield from _skip_all(asked, text)
        return None
    if tree.projects and not tree.kept:
        text = f"`include` and `exclude` leave none of the {tree.projects} projects; correct these settings."
        yield from _skip_all(asked, text)
        return None
    if not tree.projects and any(_held_files(start, stream) for stream in (SESSIONS, MEMORY_NOTES)):
        text = (
            f"{_projects_directory(context)} is empty, and transcripts lay there before. "
            "Is its disk mounted? If they are gone for good, nothing more is needed: what was collected stays."
        )
        yield from _skip_all(asked, text)
        return None
    if factory.wanted:
        rejected = list(_rejected_sessions(start))
        yield from transcripts(factory, tree, start.cursor(SESSIONS), rejected, context)
    sets = {MEMORY_NOTES: notes_documents, SUBAGENTS: subagents_documents}
    for stream in sorted(sets.keys() & wanted):
        yield from walk_documents(factory, stream, sets[stream](factory.root, tree), start.cursor(stream))
    yield projects_inventory(tree)
    return tree


def _walk_home(
    start: Start, context: Context, factory: RecordFactory, wanted: set[str], projects: Tree | None
) -> Iterator[Message]:
    """Everything in the tool's own directory; its other texts lie there and among the projects."""
    home, named = factory.home, context.settings["claude_dir"]
    asked = [stream for stream in _FROM_HOME if stream in wanted and (stream != DOCUMENTS or projects is not None)]
    if not home.is_dir():
        yield from _skip_all(asked, f"{named} is not a directory. Set `claude_dir` to Claude Code's own.")
        return
    tree = scan_home(home)
    is_empty = next(home.iterdir(), None) is None
    for stream in asked:
        if is_empty and _held_files(start, stream):
            text = f"{named} is empty, and files lay there before. Is its disk mounted?"
            yield from _skip_all([stream], text)
        elif stream != PROMPTS:
            documents = _home_documents(stream, factory.root, home, projects or Tree(), tree)
            yield from walk_documents(factory, stream, documents, start.cursor(stream))
        elif tree.history is not None:
            yield from HistoryWalk(factory, tree.history, start.cursor(PROMPTS)).run()
    yield home_inventory(tree, is_projects_elsewhere=factory.root != home / PROJECTS)


def _home_documents(stream: str, root: Path, home: Path, projects: Tree, tree: HomeTree) -> DocumentSet:
    if stream == DOCUMENTS:
        return other_documents(root, projects, tree)
    return skills_documents(home) if stream == SKILLS else commands_documents(home)


def _held_files(start: Start, stream: str) -> bool:
    """Whether files of a stream were read before."""
    cursor = start.cursor(stream)
    return isinstance(cursor, dict) and bool(cursor.get("files"))


def _rejected_sessions(start: Start) -> Iterator[str]:
    """Sessions whose records an earlier version's shape had no room for."""
    for gap in start.detail_gaps[: start.budget.items]:
        is_rejected = gap.reason == Reason.RECORD_REJECTED and gap.stream == SESSIONS
        if is_rejected and isinstance(gap.scope, ResourceScope):
            yield gap.scope.resource_id


def _skip_all(streams: list[str], text: str) -> Iterator[SkipResult]:
    return (skip(stream, Reason.SOURCE_PARTITION_FAILED, WHOLE_STREAM, text) for stream in streams)


def _documents(stream: str, *, root: Path, home: Path, context: Context) -> DocumentSet:
    if stream == MEMORY_NOTES:
        return notes_documents(root, _scan(root, context))
    if stream == SUBAGENTS:
        return subagents_documents(root, _scan(root, context))
    if not home.is_dir():
        raise NotADirectoryError(ENOTDIR, "the directory `claude_dir` is not there")
    projects = _scan(root, context) if stream == DOCUMENTS else Tree()
    return _home_documents(stream, root, home, projects, scan_home(home) if stream == DOCUMENTS else HomeTree())


def _scan(root: Path, context: Context) -> Tree:
    include, exclude = (_parts(context.settings.get(name)) for name in ("include", "exclude"))

    def keeps(project: str) -> bool:
        is_included = not include or any(part in project for part in include)
        return is_included and not any(part in project for part in exclude)

    return scan(root, keeps)


def _parts(setting: object) -> list[str]:
    """The parts of a comma-separated setting."""
    return [part.strip() for part in str(setting or "").split(",") if part.strip()]

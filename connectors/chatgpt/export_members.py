"""The members of an export: what each is for, so that none goes unnamed."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Literal, NamedTuple

from connectors.chatgpt.gaps import TREES
from pdpp_worker.connector import SourceMember

CONVERSATIONS_MEMBER = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
"""Large exports come in numbered parts."""
FILE_MEMBER = re.compile(r"(?:.*/)?(file[-_][A-Za-z0-9]+)(?![A-Za-z0-9])[^/]*")
"""The bytes of a file, under a name that begins with its id."""
COLLECTED = {
    "shared_conversations": re.compile(r"(?:.*/)?shared_conversations\.json"),
    "group_chats": re.compile(r"(?:.*/)?group_chats\.json"),
    "feedback": re.compile(r"(?:.*/)?(?:message_feedback|model_comparisons)\.json"),
    "canvases": re.compile(r"(?:.*/)?textdocs/.*\.json"),
}
"""Stream to the members that go into it, beside the conversations."""
_DECLARED = {
    re.compile(r"(?:.*/)?chat\.html"): "a copy of the conversations for reading",
    re.compile(r"(?:.*/)?user\.json"): "the account itself; its id is used to notice another account",
    re.compile(r"(?:.*/)?user_settings\.json"): "settings of the web application",
    re.compile(r"(?:.*/)?export_manifest\.json"): "a list of the export's own members",
    re.compile(r"(?:.*/)?conversation_asset_file_names\.json"): "names of files, which the messages tell too",
}
_MEDIA = re.compile(
    r".*\.(?:pdf|png|jpe?g|webp|gif|svg|heic|wav|mp3|m4a|mp4|webm|csv|txt|docx?|xlsx?|pptx?|md|zip|dat|bin|py|html?)",
    re.IGNORECASE,
)


class _Use(NamedTuple):
    """The kind of a member, its disposition, and the streams or the reason that go with that."""

    kind: str
    disposition: Literal["collected", "declared", "unknown"]
    streams: tuple[str, ...] = ()
    reason: str | None = None


def file_id(name: str) -> str | None:
    """The id of the file of which a member holds the bytes."""
    found = FILE_MEMBER.fullmatch(name)
    return found[1] if found else None


def members(names: Sequence[str], size: Callable[[str], int], kept: Container[str]) -> Iterator[SourceMember]:
    """The members with their sizes in bytes; many of a folder are one. `kept`: the files whose bytes were copied."""
    groups: dict[tuple[_Use, str], list[str]] = {}
    for name in names:
        if not name.endswith("/"):
            use = _use(name, kept)
            groups.setdefault((use, _pattern(name) if use.kind == "files" else name), []).append(name)
    for (use, label), alike in groups.items():
        yield SourceMember(
            kind=use.kind,
            name=label,
            disposition=use.disposition,
            streams=list(use.streams),
            count=len(alike),
            bytes=sum(map(size, alike)),
            reason=use.reason,
        )


def _use(name: str, kept: Container[str]) -> _Use:
    if CONVERSATIONS_MEMBER.fullmatch(name):
        return _Use("member", "collected", TREES)
    for stream, form in COLLECTED.items():
        if form.fullmatch(name):
            return _Use("files" if stream == "canvases" else "member", "collected", (stream,))
    for form, reason in _DECLARED.items():
        if form.fullmatch(name):
            return _Use("member", "declared", reason=reason)
    key = file_id(name)
    if key is not None and key in kept:
        return _Use("files", "collected", ("files",))
    if key is not None or _MEDIA.fullmatch(name):
        return _Use("files", "declared", reason="no message names it, or keep_files is off: it stays in the export")
    return _Use("files", "unknown")


def _pattern(name: str) -> str:
    """The members of a folder that end alike; a folder of one conversation stands for all such folders."""
    folder, slash, file = name.rpartition("/")
    ending = file.rpartition(".")[2] if "." in file else ""
    return f"{_ANY_ID.sub('*', folder)}{slash}*{'.' if ending else ''}{ending}"


_ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|user-[A-Za-z0-9]+")

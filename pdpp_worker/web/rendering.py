"""HTML from templates, and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pdpp_worker.coverage import phrases, times
from pdpp_worker.coverage.documents import plain
from pdpp_worker.coverage.sentences import sentence
from pdpp_worker.web import charts

ICONS = {
    "complete": "✓",
    "recovering": "↻",
    "waiting_for_owner": "!",
    "waiting_for_upgrade": "⇧",
    "unknown": "?",
    "known_absent": "∅",
    "succeeded": "✓",
    "partially_completed": "◐",
    "failed": "✗",
    "cancelled": "■",
    "running": "▶",
    "reached": "✓",
    "refused": "✗",
    "untried": "?",
    "queued": "…",
}


@cache
def environment() -> Environment:
    """The templates with their filters; all text is escaped."""
    made = Environment(
        loader=PackageLoader("pdpp_worker.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        words=phrases.in_words,
        number=phrases.number,
        counts=phrases.counts,
        local=times.local,
        zoned=times.zoned,
        due=times.due,
        relative=times.relative,
        clock=times.clock,
        duration=times.duration,
        sentence=sentence,
        icon=lambda word: ICONS.get(str(word), "·"),
        json=lambda value: json.dumps(value, default=plain, ensure_ascii=False),
        scope=scope_words,
    )
    made.globals.update(phrases=phrases, stacked=charts.stacked, ticks=charts.ticks)
    return made


def html(template: str, values: Mapping[str, Any]) -> str:
    """A page."""
    return environment().get_template(template).render(values)


def document(value: Any) -> bytes:
    """A JSON document."""
    return json.dumps(value, default=plain, indent=2).encode() + b"\n"


def scope_words(scope: Mapping[str, Any]) -> str:
    """The scope of a gap as people read it."""
    if scope == {"partition": {}}:
        return "the whole stream"
    return str(scope.get("resource_id") or json.dumps(scope, ensure_ascii=False))

"""JSON documents that commands and pages print alike."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.run_words import is_active
from pdpp_worker.coverage.sentences import who_acts
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.reasons import known_reason
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.run_views import RunView


def plain(value: object) -> object:
    """Convert a value that JSON has no form of."""
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def connection_document(outlook: Outlook) -> dict[str, Any]:
    """A connection as JSON, with its rate ceiling."""
    return {**asdict(outlook.view), "rate_ceiling": outlook.ceiling._asdict()}


def run_document(view: RunView, outlook: Outlook) -> dict[str, Any]:
    """A run as JSON, with the wait that is in force while it is active."""
    wait = outlook.wait if is_active(view, outlook) else None
    return {
        **asdict(view),
        "waits_until": wait.until if wait else None,
        "wait_reason": wait.reason if wait else None,
    }


def gap_document(gap: GapView, outlook: Outlook) -> dict[str, Any]:
    """A gap as JSON, with who acts on it and when."""
    reason, wait = known_reason(gap.reason), outlook.wait
    return {
        **asdict(gap),
        "next_attempt_at": outlook.next_try(gap),
        "sentence": reason.sentence if reason else None,
        "who_acts": who_acts(gap, outlook),
        "who_mends": outlook.who_mends(gap),
        "waits_until": wait.until if wait else None,
        "wait_reason": wait.reason if wait else None,
    }


def connector_document(manifest: Manifest) -> dict[str, Any]:
    """A connector as JSON."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title,
        "queue": manifest.queue,
        "settings": {name: spec.model_dump() for name, spec in manifest.settings.items()},
        "credentials": {name: credential.model_dump() for name, credential in manifest.credentials.items()},
        "streams": [
            {
                "name": stream.name,
                "supplied": stream in manifest.supplied,
                "not_with": stream.availability.with_ if stream.availability else None,
                "not_without": stream.availability.without if stream.availability else None,
                "reason": stream.availability.reason if stream.availability else None,
            }
            for stream in manifest.streams
        ],
    }

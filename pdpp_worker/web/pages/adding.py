"""The page on which a connection is added: a form made from the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdpp_worker import registry
from pdpp_worker.coverage.documents import connector_document
from pdpp_worker.owner.checking import Checked
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.connection import fields


@dataclass(frozen=True)
class Typed:
    """A form as it was sent, and what came of it."""

    name: str = ""
    every: str = ""
    cron: str = ""
    timezone: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    """Sealed credentials, so that they need not be typed again."""
    checked: Checked | None = None


def new(visit: Visit) -> Page:
    """The connectors, and the form of the one that was chosen."""
    name = visit.text("connector")
    return page_of(registry.get(name).manifest if name is not None else None, Typed())


def page_of(chosen: Manifest | None, typed: Typed) -> Page:
    """The form of a connector with what was typed into it; without one, the connectors to choose from."""
    document = [connector_document(one.manifest) for _, one in sorted(registry.all_connectors().items())]
    return Page("add.html", document, {"chosen": chosen, "typed": typed, "fields": fields(chosen, typed.settings)})

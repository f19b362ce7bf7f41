"""The owner's workspaces and projects, as the platform lists them."""

from __future__ import annotations

from typing import Any

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.content import sentence
from connectors.chatgpt.practice.conversation import PROJECTS
from connectors.chatgpt.practice.extras import moment
from connectors.chatgpt.practice.rendering import iso_time, list_item, project_id, workspace_id
from pdpp_worker.conformance.seeding import generator

PAGE = 50


def workspaces(seed: int) -> dict[str, Any]:
    """The answer that names the workspaces: the owner's own, and that of a team."""
    own, team = workspace_id(seed), workspace_id(seed, team=True)
    entries = {own: _workspace(own, "personal", None), team: _workspace(team, "workspace", "Team")}
    return {"accounts": {**entries, "default": entries[own]}, "account_ordering": [own, team]}


def sidebar(account: Account, few: int, *, team: bool) -> dict[str, Any]:
    """The projects of a workspace, each with its latest conversations; the team has projects with none."""
    items = [_project(account, number, few, team=team) for number in range(PROJECTS)]
    return {"items": [] if team else items, "cursor": None}


def conversations(account: Account, key: str, cursor: int, limit: int, *, team: bool) -> dict[str, Any] | None:
    """A page of a project's conversations from `cursor` on; None if there is no such project."""
    number = next((number for number in range(PROJECTS) if project_id(account.seed, number) == key), None)
    return None if number is None else _page(account, number, cursor, limit, team=team)


def _workspace(key: str, structure: str, name: str | None) -> dict[str, Any]:
    account = {"account_id": key, "structure": structure, "name": name, "is_deactivated": False, "plan_type": "plus"}
    return {"account": account, "features": [], "entitlement": {"has_active_subscription": True}}


def _project(account: Account, number: int, few: int, *, team: bool) -> dict[str, Any]:
    rng = generator(account.seed, "project", number)
    created = moment(account.seed, "project", number)
    key = project_id(account.seed, number)
    gizmo = {
        "id": key,
        "short_url": f"{key}-project-{number}",
        "instructions": sentence(rng),
        "display": {"name": f"Project {number}", "description": sentence(rng), "emoji": "🌱"},
        "created_at": iso_time(created),
        "updated_at": iso_time(created + 86_400),
        "gizmo_type": "snorlax",
    }
    files = [{"file_id": f"file-{key[4:16]}", "name": "notes.pdf", "type": "application/pdf", "size": 4096 + number}]
    shown = _page(account, number, 0, few, team=team)
    return {"gizmo": {"gizmo": gizmo, "files": files, "tools": []}, "conversations": shown}


def _page(account: Account, number: int, cursor: int, limit: int, *, team: bool) -> dict[str, Any]:
    listed = account.listed(project=number, team=team)
    end = cursor + min(limit, PAGE)
    return {"items": [list_item(one) for one in listed[cursor:end]], "cursor": str(end) if end < len(listed) else None}

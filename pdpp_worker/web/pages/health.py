"""The page of the doctor: servers, settings, connectors, credentials and workers."""

from __future__ import annotations

import socket

from pdpp_worker.doctor.checks import all_checks
from pdpp_worker.settings import Settings
from pdpp_worker.web.console import Page, Visit

_LISTENS_S = 0.5


def doctor(visit: Visit) -> Page:
    """Is everything there that the fleet needs?"""
    settings = visit.settings
    flower = f"http://{settings.flower_address}:{settings.flower_port}"
    return Page("doctor.html", list(all_checks(settings)), {"flower": flower if has_flower(settings) else None})


def has_flower(settings: Settings) -> bool:
    """Whether something listens where `up --flower` starts Flower."""
    try:
        with socket.create_connection((settings.flower_address, settings.flower_port), timeout=_LISTENS_S):
            return True
    except OSError:
        return False

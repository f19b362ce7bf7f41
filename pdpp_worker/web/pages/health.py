"""The page of the doctor: servers, settings, connectors, credentials and workers."""

from __future__ import annotations

from pdpp_worker.doctor.checks import all_checks
from pdpp_worker.web.console import Page, Visit


def doctor(visit: Visit) -> Page:
    """Is everything there that the fleet needs?"""
    settings = visit.settings
    flower = f"http://{settings.flower_address}:{settings.flower_port}"
    return Page("doctor.html", list(all_checks(settings)), {"flower": flower})

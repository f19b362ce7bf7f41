"""Pictures of the console for the documentation: which pages, and how they are taken."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

SHOTS: Mapping[str, str] = {
    "home": "/",
    "connection": "/connections/1",
    "gaps": "/gaps",
    "records": "/records",
}
"""Name of a picture to the page that it shows."""
FOLDER = Path(__file__).parents[2] / "docs" / "screens"
SIZE = {"width": 960, "height": 640}
MOST_BYTES = 60_000


def shoot(page: Page, name: str, words: str | None = None) -> bytes:
    """The picture of a page as WebP; `words` are looked for first, where the page is for that."""
    page.goto(SHOTS[name])
    if words is not None and name == "records":
        page.get_by_label("words").fill(words)
        page.get_by_role("button", name="Search").click()
    taken = io.BytesIO()
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(taken, "WEBP", quality=60, method=6)
    return taken.getvalue()

"""Hands the generated pages to MkDocs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))


def on_files(files: Any, config: Any) -> Any:
    """Add each generated page to the files of the site."""
    from mkdocs.structure.files import File

    from docs._reference.pages import PAGES

    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files

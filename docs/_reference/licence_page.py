"""The page of licences: of every package that a fleet installs."""

from __future__ import annotations

from docs._reference.markdown import table
from docs._supply.licences import REQUIREMENTS, licences
from docs._supply.pins import pins_of


def licences_page() -> str:
    """Package, version and licence."""
    versions = {str(name): version for name, version in pins_of(REQUIREMENTS).items()}
    rows = [(name, versions[name], licence) for name, licence in licences().items()]
    intro = "Licences of the packages that a fleet may install, as pinned in `requirements/run.txt`."
    return f"# Licences\n\n{intro}\n\n{table(('package', 'version', 'licence'), rows)}"

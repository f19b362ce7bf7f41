"""The program of an added connector: found beside its manifest, or named by the owner."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pdpp_worker.errors import ConfigurationError

FILE = "program.json"
"""Beside the manifest of an added connector."""
_ENTRY = "index.ts"


class Program(BaseModel):
    """How an added connector is run, and where its manifest came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: list[str]
    folder: str
    """Where it is run."""
    source: str
    """The manifest that it was added from."""
    variables: list[str] = []
    """Variables that it reads and its manifest does not name."""
    name: str = ""
    """The owner's name for the connector; empty: its manifest's."""

    def write(self, folder: Path) -> None:
        """Write it beside the manifest."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @property
    def is_there(self) -> bool:
        """Whether the program can be started on this machine."""
        first = self.command[0]
        return (Path(self.folder) / first).exists() if "/" in first else shutil.which(first) is not None


def read_program(folder: Path) -> Program | None:
    """The program that was written beside a manifest; None where there is none."""
    try:
        return Program.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise ConfigurationError(f"{folder / FILE} is damaged; add the connector anew.") from None


def find_program(manifest: Path, command: Sequence[str], variables: Sequence[str]) -> Program:
    """The program of a manifest: as named, or the entry of the connector that lies where the reference ones do.

    Raises:
        ConfigurationError: none is named, and none lies there.
    """
    source = str(manifest)
    if command:
        return Program(command=list(command), folder=str(manifest.parent), source=source, variables=list(variables))
    for root in (manifest.parent, manifest.parent.parent):
        for entry in (root / "connectors" / manifest.stem / _ENTRY, root / _ENTRY):
            if entry.is_file():
                found = ["node", "--import", "tsx", str(entry)]
                return Program(command=found, folder=str(root), source=source, variables=list(variables))
    raise ConfigurationError(
        f"No program lies beside {manifest} (connectors/{manifest.stem}/{_ENTRY}); name it with --command."
    )

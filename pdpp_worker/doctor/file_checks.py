"""Checks the form of stored files, where they are to be encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pdpp_worker import secret_keys
from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import connection_files, file_forms
from pdpp_worker.stored_files.clear_trees import files_below
from pdpp_worker.stored_files.tree_lock import TreeLock


def stored_files(settings: Settings) -> str:
    """A sentence for the owner about files that are in the clear, and about where the key is.

    Raises:
        ConfigurationError: files are in the clear that nobody uses.
    """
    clear = [path for root in connection_files.directories(settings) for path in _clear_below(root)]
    if clear:
        raise ConfigurationError(
            f"{len(clear):,} stored files are in the clear, such as {clear[0]}; run: pdpp-worker secrets rotate"
        )
    if settings.secret_key is None:
        return f"encrypted; the key is in {secret_keys.FILE} beside them, and hides little: see PDPP_SECRET_KEY"
    return "encrypted"


def _clear_below(root: Path) -> Iterator[Path]:
    """The clear files of a connection, unless somebody works with them."""
    with suppress(UpstreamError), TreeLock(root).held(timeout_s=0.0):
        for path in files_below(root):
            with suppress(FileNotFoundError):
                if not file_forms.is_sealed(path):
                    yield path

"""The keys for files, as they are now: a key that was added counts from the next file on, in processes that run too."""

from __future__ import annotations

from pathlib import Path

from pdpp_worker import secret_keys
from pdpp_worker.secret_keys import Keys
from pdpp_worker.settings import Settings


class KeySource:
    """Reads the keys anew only where their file has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = settings.data_dir / secret_keys.FILE
        self._seen: object = None
        self._keys: Keys | None = None

    def __call__(self) -> Keys:
        """The keys; raises as `read_keys` does. The same object as long as they are the same."""
        now = _signature(self._file)
        if self._keys is None or now != self._seen:
            self._keys, self._seen = secret_keys.read_keys(self._settings), now
        return self._keys


def _signature(path: Path) -> object:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_mtime_ns, told.st_size

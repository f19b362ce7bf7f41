"""Brings the browser profiles of a host to the form that the settings ask for: encrypted or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pdpp_worker.browser import profile
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secret_keys import read_keys
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import file_forms
from pdpp_worker.stored_files.replacing import Replacing, to_disk
from pdpp_worker.stored_files.resealing import Resealed

_WAIT_S = 10.0


def reseal(settings: Settings) -> Resealed:
    """Bring encrypted profiles under the newest key; where the setting asks for it, encrypt clear ones too."""
    return _each(settings, _encrypt if settings.encrypt_files else _renew)


def open_all(settings: Settings) -> Resealed:
    """Bring encrypted profiles back into the clear."""
    return _each(settings, _open)


def _each(settings: Settings, bring: Callable[[Settings, Path], bool]) -> Resealed:
    outcome = Resealed()
    for one in _profiles(settings):
        try:
            outcome.rewritten += bring(settings, one)
        except (ConfigurationError, OSError) as error:  # one that is in use is a TimeoutError
            outcome.left.append(f"{one}: {error}" if isinstance(error, OSError) else str(error))
    return outcome


def _profiles(settings: Settings) -> Iterator[Path]:
    root = profile.root(settings)
    found = [path for path in (root.iterdir() if root.is_dir() else ()) if path.name.partition("-")[0].isdecimal()]
    whole = {path.with_suffix("") for path in found if path.suffix == profile.SEALED}
    yield from sorted(whole | {path for path in found if path.is_dir() and path.suffix != profile.BEGUN})


def _encrypt(settings: Settings, one: Path) -> bool:
    file = profile.sealed_file(one)
    if not one.exists():
        with file_forms.open_sealed(file, read_keys(settings)) as sealed:
            if sealed.is_newest:
                return False
    with profile.opened(one, timeout_s=_WAIT_S, settings=settings):
        pass  # it is encrypted at the end
    return True


def _renew(settings: Settings, one: Path) -> bool:
    file = profile.sealed_file(one)
    if not file.exists():
        return False
    with profile.locked(one, timeout_s=_WAIT_S), Replacing(file.parent) as replacing:
        replacing.apply(file, lambda path: file_forms.reseal_file(path, read_keys(settings)))
    return replacing.count > 0


def _open(settings: Settings, one: Path) -> bool:
    file = profile.sealed_file(one)
    if not file.exists():
        return False
    with profile.opened(one, timeout_s=_WAIT_S, settings=settings):
        to_disk(one)
        file.unlink()
    return True

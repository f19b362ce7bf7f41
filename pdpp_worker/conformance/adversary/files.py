"""A liar about files: lays them down as they are, or cut, emptied, older, moved, doubled, unreadable, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import rmtree

from pdpp_worker.conformance.adversary.lies import Lie
from pdpp_worker.conformance.adversary.living_files import Kept, LivingFiles
from pdpp_worker.conformance.adversary.voice import Voice

UNMOUNTED = "the directory"
"""The question whether the directory is there at all."""
CHANGES_MIND = 0.1
"""The share of moments within a run at which another lie is told of a file."""
_AWAY_S = (-86_400.0, 90.0, 86_400.0 * 400)
"""How far a clock is off, seconds."""


class FileLiar:
    """Keeps an account's directory, and lies about its files."""

    def __init__(self, account: LivingFiles, voice: Voice) -> None:
        self._account = account
        self._voice = voice
        self._earlier: dict[str, list[Kept]] = {}
        self._told: dict[str, tuple[Kept, dict[str, Kept | None]]] = {}
        """A file, and how it is shown in this run."""
        self._is_away = False
        self._laid: dict[str, Kept | None] = {}
        """Files that lie in the directory; None is one that cannot be read."""
        voice.on_moment(self.lay)

    def lay(self, *, begins: bool) -> None:
        """Lay the files down as they are now; as a run begins, or within one, where few things change."""
        if begins:
            self._told, self._is_away = {}, self._is_unmounted()
        elif self._told and self._voice.rng.random() < CHANGES_MIND:
            del self._told[self._voice.rng.choice(sorted(self._told))]
        wanted = {} if self._is_away else self._all_shown()
        for name in self._laid.keys() - wanted.keys():
            self._remove(name)
        for name, shown in wanted.items():
            if name not in self._laid or self._laid[name] != shown:
                self._write(name, shown)
        self._laid = wanted

    def _all_shown(self) -> dict[str, Kept | None]:
        wanted: dict[str, Kept | None] = {}
        for name, kept in sorted(self._account.files.items()):
            if name not in self._told or self._told[name][0] != kept:
                self._told[name] = kept, self._shown(name, kept)
            wanted |= self._told[name][1]
        return wanted

    def _is_unmounted(self) -> bool:
        lie = self._voice.draw(UNMOUNTED)
        if lie is Lie.EMPTY and self._account.files:
            self._voice.tell(lie)
            return True
        return False

    def _shown(self, name: str, kept: Kept) -> dict[str, Kept | None]:
        known = self._earlier.setdefault(name, [])
        if kept not in known:
            known.append(kept)
        lie = self._voice.draw(f"file {name}")
        if lie is None or lie not in self._account.lies:
            return {name: kept}
        made = self._lied(lie, name, kept)
        if made != {name: kept}:
            self._voice.tell(lie)
        return made

    def _lied(self, lie: Lie, name: str, kept: Kept) -> dict[str, Kept | None]:
        rng, path = self._voice.rng, Path(name)
        if lie is Lie.MISPLACED:
            return {str(path.with_name(f"moved {path.name}")): kept}
        if lie is Lie.REPEATED:
            return {name: kept, str(path.with_name(f"copy of {path.name}")): kept}
        if lie is Lie.REFUSED:
            return {name: None}
        if lie is Lie.STALE:
            return {name: rng.choice(self._earlier[name])}
        if lie is Lie.CONTRADICTORY:
            return {name: kept._replace(changed_at=kept.changed_at + rng.choice(_AWAY_S))}
        if lie is Lie.CUT:
            return {name: kept._replace(content=kept.content[: rng.randrange(len(kept.content) + 1)])}
        if lie is Lie.SHORT:
            lines = kept.content.splitlines(keepends=True)
            return {name: kept._replace(content=b"".join(lines[: rng.randrange(len(lines) + 1)]))}
        return {name: kept._replace(content=b"")} if lie is Lie.EMPTY else {name: kept}

    def _write(self, name: str, shown: Kept | None) -> None:
        path = self._account.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if shown is None or path.is_symlink():
            path.unlink(missing_ok=True)
        if shown is None:
            path.symlink_to(path.name)  # a link to itself: nobody can open it, whatever his rights
            return
        before = self._laid.get(name)
        grows = before is not None and shown.content.startswith(before.content)
        with path.open("ab" if grows else "wb") as file:
            file.write(shown.content[len(before.content) :] if grows and before is not None else shown.content)
        os.utime(path, (shown.changed_at, shown.changed_at))

    def _remove(self, name: str) -> None:
        path = self._account.directory / name
        path.unlink(missing_ok=True)
        while path.parent != self._account.directory and not any(path.parent.iterdir()):
            path = path.parent
            rmtree(path)

"""The programs that people use to bring their mail home, each with a folder of its own."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_MBSYNC = """
IMAPAccount far
Host 127.0.0.1
Port {port}
User {user}
Pass {password}
SSLType None

IMAPStore far
Account far

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel mail
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
"""
_OFFLINEIMAP = """
[general]
accounts = mail
metadata = {folder}/metadata

[Account mail]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {folder}/mail

[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
createfolders = False
"""


@dataclass(frozen=True)
class Took:
    """How long a program took, and its CPU time, s; of a fleet that of all its processes, its servers included."""

    seconds: float
    cpu_s: float


@dataclass(frozen=True)
class Peer:
    """A program: its name, its configuration, and its arguments before the configuration's file."""

    name: str
    program: str
    config: str
    arguments: tuple[str, ...]

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.program) is not None

    def sync(self, folder: Path, port: int, user: str, password: str) -> Took:
        """Bring an account to a folder, or up to date there."""
        folder.mkdir(exist_ok=True)
        config = folder / "config"
        config.write_text(self.config.format(folder=folder, port=port, user=user, password=password))
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [self.program, *self.arguments, str(config), *(["-a"] if self.program == "mbsync" else [])]
        subprocess.run(command, env={**os.environ, "HOME": str(folder)}, stdout=subprocess.DEVNULL, check=True)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Took(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


PEERS = (
    Peer("mbsync", "mbsync", _MBSYNC, ("-c",)),
    Peer("offlineimap", "offlineimap", _OFFLINEIMAP, ("-o", "-u", "quiet", "-c")),
)

"""The account the embedded servers run as, and the directories it must reach."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pdpp_worker.errors import ConfigurationError

# Root runs the servers as an account that is there already. `postgres` exists to own PostgreSQL's files; where it is
# missing, `nobody` owns as little as any account may. Making an account of our own would change the machine for good.
_ACCOUNTS_FOR_ROOT = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An account of this machine that is not the caller's."""

    name: str
    uid: int
    gid: int

    def reaches(self, path: Path) -> bool:
        """Whether the account may enter the directory, or run the program, at `path`."""
        probe = ["test", "-x", str(path)]
        return subprocess.run(probe, user=self.uid, group=self.gid, extra_groups=[], check=False).returncode == 0


def account_for(data: Path) -> Account | None:
    """The account to run a server with the data directory `data` as; None: the caller's own.

    Raises:
        ConfigurationError: root has no unprivileged account to turn to.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (status := data.stat()).st_uid != 0:
        return Account(_name(status.st_uid), status.st_uid, status.st_gid)
    for name in _ACCOUNTS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and this machine has neither an account `postgres` nor `nobody`. "
        "Run pdpp-worker as another user, or set PDPP_DATABASE_URL and PDPP_REDIS_URL to servers of your own."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def refuse_as_root(path: Path) -> None:
    """Refuse root in another account's directory: what root makes there would lock that account out.

    Raises:
        ConfigurationError: naming the account, and what to do.
    """
    if os.geteuid() != 0:
        return
    there = next(directory for directory in (path, *path.parents) if directory.exists())
    if (owner := there.stat().st_uid) != 0:
        raise ConfigurationError(
            f"{there} belongs to {_name(owner)}, and root would make files there that {_name(owner)} cannot read. "
            f"Run it as that account, without sudo; or set PDPP_DATA_DIR to a directory of root's own."
        )


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents for the caller alone; those that exist are left as they are.

    Root's directories can also be entered (not listed), for the sake of the account that the servers run as.

    Raises:
        ConfigurationError: the caller is root, and the directory is, or would be, in that of another account.
    """
    refuse_as_root(path)
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o711 if os.geteuid() == 0 else 0o700)


def make_owned_directory(path: Path, account: Account | None) -> None:
    """Create a directory that only `account` may use, or check that an existing one is that.

    Raises:
        ConfigurationError: something that belongs to somebody else is in its place.
    """
    owner = account.uid if account else os.geteuid()
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or not path.is_dir() or status.st_uid not in {owner, os.geteuid()}:
        raise ConfigurationError(f"{path} is not a directory of this account; remove it, or set PDPP_DATA_DIR.")
    if account and status.st_uid != owner:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o700)


def check_reach(account: Account, directory: Path) -> None:
    """Make sure that the account can enter a directory.

    Raises:
        ConfigurationError: naming the first directory that keeps it out, and what to do.
    """
    if account.reaches(directory):
        return
    barred = next(path for path in (*reversed(directory.parents), directory) if not account.reaches(path))
    raise ConfigurationError(
        f"The embedded servers run as the account `{account.name}`, since PostgreSQL refuses to run as root, and that "
        f"account cannot enter {barred}. Set PDPP_DATA_DIR to a directory it can enter, such as one under /var/lib, "
        "or run pdpp-worker as another user."
    )


def reachable_copy(program: Path, package: Path, copy: Path, account: Account | None) -> Path:
    """A path of `program` that the account can run: itself, or the one in a copy of its package made at `copy`."""
    if account is None or account.reaches(program):
        return program
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_directory(unfinished)
        # Shared libraries that a wheel bundles lie beside its package.
        for tree in package.parent.glob(f"{package.name}*"):
            if tree.name in {package.name, f"{package.name}.libs"}:
                shutil.copytree(tree, unfinished / tree.name, ignore=shutil.ignore_patterns("*.a", "*.py", "include"))
        unfinished.rename(copy)
    return copy / program.relative_to(package.parent)

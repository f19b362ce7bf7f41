"""`pdpp-worker secrets`: the keys under which credentials are stored."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.cli.output import note, say
from pdpp_worker.owner import key_rotation
from pdpp_worker.owner.session import open_session
from pdpp_worker.secret_keys import add_key
from pdpp_worker.secrets import Vault

app = typer.Typer(help="The keys of stored credentials.", no_args_is_help=True)


@app.callback()
def secrets() -> None:
    """The keys of stored credentials."""


@app.command()
def rotate(
    new_key: Annotated[bool, typer.Option("--new-key", help="Put a new key into secret.key first.")] = False,
    decrypt_files: Annotated[
        bool, typer.Option("--decrypt-files", help="Bring files and browser profiles back into the clear.")
    ] = False,
) -> None:
    """Seal all that is stored anew under the first key: credentials, and this host's files. The fleet may run."""
    with open_session() as session:
        if new_key:
            add_key(session.settings)
        outcome = key_rotation.rotate(session.db, Vault(session.settings))
        files = key_rotation.rotate_files(session.settings, decrypt=decrypt_files)
    for sentence in (*outcome.left, *files.left):
        note(f"Not sealed anew: {sentence}")
    say(f"Sealed {outcome.rewritten:,} credentials anew.")
    if files.rewritten:
        say(f"Decrypted {files.rewritten:,} files." if decrypt_files else f"Sealed {files.rewritten:,} files anew.")
    if outcome.left or files.left:
        raise typer.Exit(1)
    say("The first key opens all that is stored; older ones are only needed for older backups.")

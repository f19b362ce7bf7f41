"""The commands, a file each, of the same name: a function of that name, or a group of further commands as `app`.

A command's file is imported when it is run, since each needs other libraries. So what the list of commands says of
each stands here.
"""

from __future__ import annotations

PANELS: dict[str, dict[str, str]] = {
    "Start": {
        "up": "Start everything and stay in the foreground.",
        "demo": "Collect a practice account, and watch.",
        "connectors": "List the installed connectors.",
        "connection": "Add, change and remove accounts.",
        "connector": "Add, check or begin a connector.",
    },
    "Look": {
        "status": "Show what is held and missing, and what comes next.",
        "coverage": "Say of each stream what is missing, and why.",
        "why": "Say whether one item is here, and if not, why.",
        "gaps": "List what is missing, and decide on it.",
        "runs": "List the latest runs, or show one.",
        "events": "List what happened, oldest first.",
        "rate": "Show the learned rates and when all is done.",
        "report": "Write a statement of what is held and missing.",
        "audit": "List who changed what.",
        "web": "Show the console in a browser.",
    },
    "Act": {
        "run": "Collect a connection now.",
        "recover": "Retry now what is missing.",
        "cancel": "Stop the active run of a connection.",
        "deletions": "Decide on records that are gone at the source.",
        "export": "Write records to a file or standard output.",
        "files": "List or read attachments and other files.",
    },
    "Look after": {
        "doctor": "Check servers, settings, connectors and credentials.",
        "secrets": "Change the key of credentials and files.",
        "notify": "Send a trial to where notices go.",
        "db": "Upgrade, back up or restore the database.",
        "data": "List the data directories, or remove one.",
        "version": "Show the version.",
    },
}
"""Heading of the list to the commands below it, in order, with a line of at most 56 columns about each."""

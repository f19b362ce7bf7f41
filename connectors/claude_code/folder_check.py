"""Tries the folders: counts the projects and transcripts that are there, and opens none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from connectors.claude_code.stream_counts import describe_os_error
from connectors.claude_code.tree import Tree
from pdpp_worker.connector import ConfigurationError, Reached


def reached(root: Path, home: Path, scan: Callable[[], Tree]) -> Reached:
    """The projects below `root`, as `scan` finds them with the owner's settings; `home` is the tool's own directory."""
    try:
        tree = scan()
    except OSError as error:
        why = f"{root} cannot be listed: {describe_os_error(error)}; set projects_dir, or claude_dir"
        raise ConfigurationError(why) from None
    if tree.projects and not tree.kept:
        raise ConfigurationError(f"include and exclude leave none of the {tree.projects} projects")
    remark = "" if home.is_dir() else f"{home} is not there: skills, commands and prompts are read from claude_dir."
    return Reached(holds={"projects": tree.kept, "transcripts": len(tree.transcripts)}, remark=remark)

"""`python -m connectors.chatgpt.practice`."""

from __future__ import annotations

import asyncio
import sys

from connectors.chatgpt.practice.cli import parse
from connectors.chatgpt.practice.server import serve


def main() -> None:
    """Serve until told to stop; a start that fails ends with a message and status 1."""
    try:
        asyncio.run(serve(parse()))
    except (OSError, ValueError) as error:
        sys.exit(f"The provider cannot start: {error}")


if __name__ == "__main__":
    main()

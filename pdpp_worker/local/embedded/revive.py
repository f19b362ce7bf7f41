"""Starts an embedded server again that lost its supervisor, and ends when it answers.

python -m pdpp_worker.local.embedded.revive postgres|valkey DATA_DIR
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pdpp_worker.errors import PdppError
from pdpp_worker.local.embedded.reference import Reference
from pdpp_worker.local.embedded.server_supervisor import KINDS


def main(kind: str, data_dir: str) -> None:
    """Exit with status 1 and a sentence where it does not start."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        Reference(KINDS[kind](Path(data_dir))).close()
    except PdppError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])

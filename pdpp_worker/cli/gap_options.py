"""Options by which several commands choose gaps."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.cli.number_options import MAX_ID

Stream = Annotated[str | None, typer.Option(help="Only gaps of this stream.")]
Why = Annotated[str | None, typer.Option("--reason", help="Only gaps of this reason.")]
Gaps = Annotated[
    list[int] | None, typer.Option("--gap", help="Only the gap of this number; again for more.", min=1, max=MAX_ID)
]

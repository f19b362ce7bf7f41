"""Claude Code's logs through a worker process, beside what reads them otherwise."""

"""The ingest benchmark: how fast records reach PostgreSQL, beside COPY and beside what one would write by hand."""

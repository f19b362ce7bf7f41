"""Read models: rows that people and commands ask for. Nothing here writes."""

"""One slice of a run, from START to its last commit. Knows no Celery."""

"""The doors: thin Celery tasks that check their arguments, call one function and report. No SQL, no parsing."""

"""Thin Celery tasks: each checks its arguments, calls one function and reports. No SQL, no parsing."""

"""The Collection Profile: its messages, its manifests and their rules. Knows no SQL, no HTTP, no Celery."""

"""Requests that run inside a page of the owner's own browser profile."""

"""Connectors in any language: a manifest's `command` run as a child process that speaks JSON lines."""

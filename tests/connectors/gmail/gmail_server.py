"""The Gmail of the tests is the one that connectors are practised on."""

from pdpp_worker.demo.gmail import DROP, PASSWORD, TOKEN, USER, Fault, GmailServer, Stored, running, structure

__all__ = ["DROP", "PASSWORD", "TOKEN", "USER", "Fault", "GmailServer", "Stored", "running", "structure"]

"""The Gmail of the tests is the one that connectors are practised on."""

from connectors.gmail.practice.account import DROP, PASSWORD, TOKEN, USER, Fault, GmailServer, Stored
from connectors.gmail.practice.answers import structure
from connectors.gmail.practice.server import running

__all__ = ["DROP", "PASSWORD", "TOKEN", "USER", "Fault", "GmailServer", "Stored", "running", "structure"]

"""Runs a parser of foreign bytes in a child process, where it can be killed."""

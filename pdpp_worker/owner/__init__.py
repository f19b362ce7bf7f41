"""The owner's service: every change that an owner asks for, from the command line or as a task."""

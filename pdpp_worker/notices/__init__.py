"""Notices: tells the owner outside the fleet what waits for them, once, and when it is over."""

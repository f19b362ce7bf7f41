"""Doctor: whether everything is there that the fleet needs, and what to do about what is not."""

"""Search: records by their words, their time and their thread."""

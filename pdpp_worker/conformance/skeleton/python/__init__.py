"""A connector in Python."""

"""The planning benchmark: what it takes to know what is due and what is missing, among many gaps."""

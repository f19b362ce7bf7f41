"""Rate controllers side by side, in virtual time."""

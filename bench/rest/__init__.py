"""The fleet at rest: what it holds, what it takes, and how soon it answers."""

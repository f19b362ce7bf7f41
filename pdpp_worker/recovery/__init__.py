"""Recovery: when gaps are retried, by whom, and at what cost."""

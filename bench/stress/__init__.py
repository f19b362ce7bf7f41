"""Everybody at once on one database: workers, dispatchers, sweeps and an owner, in random order, with crashes."""

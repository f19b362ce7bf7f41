"""Records as tables: typed columns from the schemas of streams, as SQL views and as files."""

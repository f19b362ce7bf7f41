"""Whether each page of the console stays quick over a million records, and live pages and search with it."""

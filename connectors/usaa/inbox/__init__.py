"""The inbox as a source: files that the owner puts into a directory."""

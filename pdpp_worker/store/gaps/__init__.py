"""Everything that writes the table `gaps`: one function for each transition of docs/gap-lifecycle.md."""

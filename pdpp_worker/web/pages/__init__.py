"""Pages: each is a function from a visit to a document and what its HTML shows beside that."""

"""A practice IMAP server that speaks as Gmail does."""

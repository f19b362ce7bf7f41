"""Mail: a Gmail account with labels and threads, or any other account that speaks IMAP."""

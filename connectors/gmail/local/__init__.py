"""Mail in files: mbox, Google Takeout, Maildir and single mails, read as if a server told of them."""

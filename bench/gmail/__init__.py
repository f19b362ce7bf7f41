"""A large mailbox on a real IMAP server, collected by a worker of its own whose memory is watched."""

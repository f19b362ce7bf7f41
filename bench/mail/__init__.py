"""A mailbox of mixed structure, collected by a default fleet beside mbsync and offlineimap, from one Dovecot."""

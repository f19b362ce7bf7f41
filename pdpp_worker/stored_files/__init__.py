"""Files of connections on the disk: written whole, encrypted where the owner wants it, read in either form."""

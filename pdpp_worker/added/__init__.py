"""Connectors in the profile's form that an owner has added: the manifest as it came, and where the program is."""

"""The beginnings of a new connector: real connectors, copied under another name. See `new.py`."""

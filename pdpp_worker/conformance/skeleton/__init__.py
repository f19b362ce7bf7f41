"""What a new connector begins as: real connectors, copied under another name. See `new.py`."""

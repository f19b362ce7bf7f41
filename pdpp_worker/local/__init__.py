"""The fleet on this machine: its processes, and the servers that it uses."""
